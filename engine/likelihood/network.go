package likelihood

import (
	"errors"
	"fmt"

	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// NetworkOptions say which network is asked, and on what.
type NetworkOptions struct {
	Network       nets.Network
	Weights       []float32 // flat
	Height, Width int
	Batch         int // rows that are asked together
	Device        device.Device

	variance bool // what the network says of it is wanted
}

// network is a network on a device, in float32, as a function of single rows: what one
// row gives does not depend on the rows beside it. It gives the output y, and for
// directions e the product eᵀ ∂y/∂input, which is the graph's own gradient.
type network struct {
	NetworkOptions
	graph    *nets.Graph
	e        *gorgonia.Node // directions; nil: it gives outputs alone
	product  *gorgonia.Node
	plan     *plan.Plan
	memory   device.Memory
	program  device.Program
	classes  int // numbers that a row is told of its class
	input    []float32
	time     []float32
	class    []float32
	along    []float32
	outputs  []float32
	spreads  []float32 // what the network says of variances; nil: nobody asks
	products []float32
}

// newNetwork puts a network on a device, with products or without.
func newNetwork(o NetworkOptions, products bool) (*network, error) {
	if err := nets.CheckDenoiser(o.Network); err != nil {
		return nil, err
	}
	g, err := nets.Build(o.Network, nets.BuildOptions{Batch: o.Batch, Height: o.Height, Width: o.Width, Dtype: tensor.Float32})
	if err != nil {
		return nil, err
	}
	n := &network{NetworkOptions: o, graph: g}
	c := plan.Options{Inputs: []*gorgonia.Node{g.Sample, g.Time}, Outputs: []*gorgonia.Node{g.Output}, Target: o.Device.Target(), Prepare: true}
	for _, in := range []*gorgonia.Node{g.Class, g.Estimate, g.Jump, g.Guidance} {
		if in != nil {
			c.Inputs = append(c.Inputs, in)
		}
	}
	if o.variance {
		c.Outputs = append(c.Outputs, g.Variance)
	}
	if products {
		n.e = gorgonia.NewTensor(g.G, tensor.Float32, 4, gorgonia.WithShape(g.Output.Shape()...), gorgonia.WithName("e"))
		d, err := gorgonia.Backpropagate(gorgonia.Nodes{g.Output}, gorgonia.Nodes{n.e}, gorgonia.Nodes{g.Sample})
		if err != nil {
			return nil, fmt.Errorf("differentiating the network by its input: %w", err)
		}
		n.product = d[0]
		c.Inputs, c.Outputs = append(c.Inputs, n.e), append(c.Outputs, n.product)
	}
	buffer := plan.Weights("params", nets.FlatSize(g.Params), c.Target, c.Precision)
	for i, p := range g.Params {
		c.Parameters = append(c.Parameters, plan.Parameter{Node: g.Nodes[i], Buffer: buffer, Offset: p.Offset})
	}
	if n.plan, err = plan.Compile(c); err != nil {
		return nil, err
	}
	return n, n.load(buffer)
}

// load takes memory and binds the plan to it.
func (n *network) load(buffer *plan.Buffer) (err error) {
	g := n.graph
	values := g.Sample.Shape().TotalSize()
	plans, once := []*plan.Plan{n.plan}, n.plan.Preparation() // weights as products read them
	if once != nil {
		plans = append(plans, once)
	}
	sizes := plan.UnionOf(plans...)
	// What the host keeps of a row are its state and a solver's slopes.
	const kept = 8*12 + 4*4
	if err := device.CheckMemory(device.Need{What: "a network and its gradient", Bytes: sizes.Bytes()}, device.Need{What: "states of images", Bytes: plan.Product(kept, values)}); err != nil {
		return err
	}
	if n.memory, err = n.Device.Alloc(sizes); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if err := n.memory.Write(buffer, 0, n.Weights); err != nil {
		return err
	}
	if once != nil {
		program, err := n.Device.Load(once, n.memory)
		if err != nil {
			return err
		}
		if err := errors.Join(device.Run(program), program.Free()); err != nil {
			return err
		}
	}
	n.input, n.time, n.outputs = make([]float32, values), make([]float32, n.Batch), make([]float32, values)
	results := []plan.Tensor{n.plan.Place(g.Output)}
	if n.variance {
		n.spreads = make([]float32, values)
		results = append(results, n.plan.Place(g.Variance))
	}
	if n.e != nil {
		n.along, n.products = make([]float32, values), make([]float32, values)
		results = append(results, n.plan.Place(n.product))
	}
	if g.Class != nil {
		n.class = make([]float32, g.Class.Shape().TotalSize())
		n.classes = len(n.class) / n.Batch
	}
	if n.program, err = n.Device.Load(n.plan, n.memory, results...); err != nil {
		return err
	}
	// The velocity is a function of z and t: a network that takes its own last estimate
	// is given none, and one that is told how far its answer is to lead is told nowhere.
	for _, in := range []*gorgonia.Node{g.Estimate, g.Jump} {
		if in != nil {
			err = errors.Join(err, n.program.Write(n.plan.Place(in), make([]float32, in.Shape().TotalSize())))
		}
	}
	if g.Guidance != nil {
		scales := make([]float32, n.Batch)
		for i := range scales {
			scales[i] = float32(n.Network.Spec().Unguided())
		}
		err = errors.Join(err, n.program.Write(n.plan.Place(g.Guidance), scales))
	}
	return err
}

func (n *network) close() error {
	var err error
	if n.program != nil {
		err = n.program.Free()
	}
	if n.memory != nil {
		err = errors.Join(err, n.memory.Free())
	}
	return err
}

// dims are the numbers of a row.
func (n *network) dims() int { return n.graph.Sample.Shape().TotalSize() / n.Batch }

// row is the part of a buffer that is row i's.
func row(buffer []float32, i, size int) []float32 { return buffer[i*size:][:size] }

// run asks the rows that are set.
func (n *network) run() error {
	g := n.graph
	for _, w := range []struct {
		node   *gorgonia.Node
		values []float32
	}{{g.Sample, n.input}, {g.Time, n.time}, {g.Class, n.class}, {n.e, n.along}} {
		if w.node != nil {
			if err := n.program.Write(n.plan.Place(w.node), w.values); err != nil {
				return err
			}
		}
	}
	if err := device.Run(n.program); err != nil {
		return err
	}
	err := n.program.Read(n.plan.Place(g.Output), n.outputs)
	if n.spreads != nil {
		err = errors.Join(err, n.program.Read(n.plan.Place(g.Variance), n.spreads))
	}
	if n.e != nil {
		err = errors.Join(err, n.program.Read(n.plan.Place(n.product), n.products))
	}
	return err
}
