package nets

import (
	"errors"
	"fmt"
	"runtime"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Parameters are those of one network as nodes of a graph. One graph may hold several,
// and the same network with several sets of parameters.
type Parameters struct {
	Params []Param          // sorted by name
	Nodes  []*gorgonia.Node // of Params, in the same order

	scope Scope
}

// PlaceParameters adds nodes for the parameters that a builder declares to a graph.
// The builder adds a network to the graph that it is given, which is thrown away.
// Prefix begins the names of the nodes, which tell the sets of parameters of a graph apart.
func PlaceParameters(g *gorgonia.ExprGraph, dtype tensor.Dtype, prefix string, build func(s *Scope, g *gorgonia.ExprGraph)) (*Parameters, error) {
	params, err := layout(build)
	if err != nil {
		return nil, err
	}
	p := &Parameters{Params: params, scope: Scope{graph: g, dtype: dtype, params: map[string]declared{}, placed: true}}
	for _, param := range params {
		node := p.scope.node(param, prefix)
		p.scope.params[param.Name] = declared{param, node}
		p.Nodes = append(p.Nodes, node)
	}
	return p, nil
}

// Use runs a builder that declares these parameters once more.
func (p *Parameters) Use(build func(s *Scope)) (err error) {
	defer catch(&err)
	build(&p.scope)
	return nil
}

// Placed is a network whose parameters are nodes of a graph.
type Placed struct {
	Network Network
	*Parameters
}

// Place adds nodes for the parameters of a network to a graph.
func Place(g *gorgonia.ExprGraph, n Network, dtype tensor.Dtype, prefix string) (*Placed, error) {
	if err := n.Validate(); err != nil {
		return nil, err
	}
	p, err := PlaceParameters(g, dtype, prefix, smallest(n))
	return &Placed{n, p}, err
}

// Apply applies the network once more, to these inputs. What two applications have in
// common, such as the embedding of one time, is one set of nodes: Gorgonia's graphs
// hold equal operations on equal operands once.
func (p *Placed) Apply(in Inputs) (r Result, err error) {
	spec, shape := p.Network.Spec(), in.Sample.Shape()
	switch {
	case len(shape) != 4 || !spec.takes(shape[1], shape[2]):
		return r, fmt.Errorf("building the network: a sample of shape %v, want images of %s", shape, spec.sizes())
	case spec.tooLarge(shape[0], shape[1], shape[2]):
		return r, &SizeError{shape[0], shape[1], shape[2]}
	case spec.Conditional() && in.Class == nil:
		return r, errors.New("building the network: it is told no class, and is conditional")
	case spec.Jump && in.Jump == nil:
		return r, errors.New("building the network: it is told no jump, and is a flow map")
	case spec.Told() && in.Guidance == nil:
		return r, errors.New("building the network: it is told no guidance, and wants to know it")
	case spec.Estimate && in.Estimate == nil:
		return r, errors.New("building the network: it is given no estimate, and takes one")
	case spec.Concat > 0 && in.Concat == nil:
		return r, errors.New("building the network: it is given no second image, and takes one")
	}
	err = p.Use(func(s *Scope) { r = p.Network.Apply(s, in) })
	return r, err
}

// catch makes an error of a panic of a builder.
func catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case runtime.Error:
		panic(r)
	case error:
		*err = fmt.Errorf("building the network: %w", r)
	default:
		*err = fmt.Errorf("building the network: %v", r)
	}
}

// BuildOptions are the sizes a graph is built for.
type BuildOptions struct {
	Batch         int
	Height, Width int          // 0: as the network says
	Dtype         tensor.Dtype // Float32 if it is the zero value
}

// Graph is a network without values, applied to inputs of its own.
type Graph struct {
	G *gorgonia.ExprGraph
	Inputs
	*Placed
	Result
}

// Build makes the graph of a network.
func Build(n Network, o BuildOptions) (*Graph, error) {
	if err := n.Validate(); err != nil {
		return nil, err
	}
	o, err := o.complete(n.Spec())
	if err != nil {
		return nil, err
	}
	g := &Graph{G: gorgonia.NewGraph()}
	g.Inputs = newInputs(g.G, n.Spec(), o)
	if g.Placed, err = Place(g.G, n, o.Dtype, ""); err != nil {
		return nil, err
	}
	g.Result, err = g.Apply(g.Inputs)
	return g, err
}

func newInputs(g *gorgonia.ExprGraph, spec Spec, o BuildOptions) Inputs {
	in := Inputs{
		Sample: gorgonia.NewTensor(g, o.Dtype, 4, gorgonia.WithShape(o.Batch, o.Height, o.Width, spec.Channels), gorgonia.WithName("sample")),
		Time:   gorgonia.NewVector(g, o.Dtype, gorgonia.WithShape(o.Batch), gorgonia.WithName("timestep")),
	}
	if spec.Estimate {
		in = in.WithEstimate()
	}
	if spec.Concat > 0 {
		in = in.WithConcat(spec.Concat)
	}
	if spec.Jump {
		in = in.WithJump()
	}
	if spec.Augmented {
		in.Augment = gorgonia.NewMatrix(g, o.Dtype, gorgonia.WithShape(o.Batch, AugmentLabels), gorgonia.WithName("augment_labels"))
	}
	if spec.Told() {
		in.Guidance = gorgonia.NewVector(g, o.Dtype, gorgonia.WithShape(o.Batch), gorgonia.WithName("guidance"))
	}
	switch {
	case spec.Embedding > 0:
		in.Class = gorgonia.NewMatrix(g, o.Dtype, gorgonia.WithShape(o.Batch, spec.Embedding), gorgonia.WithName("class_labels"))
	case spec.Conditional():
		in.Class = gorgonia.NewVector(g, o.Dtype, gorgonia.WithShape(o.Batch), gorgonia.WithName("class_labels"))
	}
	return in
}

// maxValues is more than a layer may hold, 16 TiB of float32: within it, no sum or
// product of sizes leaves an int. What a machine has is another question, for whoever
// knows the machine.
const maxValues = 1 << 42

// SizeError is images for which no machine could hold a network's layers.
type SizeError struct{ Batch, Height, Width int }

func (e *SizeError) Error() string {
	return fmt.Sprintf("a batch of %d images of %d×%d pixels: a layer would have more than 2^42 numbers; want smaller images or batches", e.Batch, e.Width, e.Height)
}

func (s Spec) tooLarge(batch, height, width int) bool {
	return float64(batch)*float64(height)*float64(width)*float64(s.Widest) > maxValues
}

func (o BuildOptions) complete(spec Spec) (BuildOptions, error) {
	if o.Height == 0 && o.Width == 0 {
		o.Height, o.Width = spec.Height, spec.Width
	}
	if o.Dtype.Type == nil {
		o.Dtype = tensor.Float32
	}
	switch {
	case o.Batch < 1:
		return o, fmt.Errorf("building the network: batch is %d, want at least 1", o.Batch)
	case !spec.takes(o.Height, o.Width):
		return o, fmt.Errorf("building the network: images of %d×%d, want %s", o.Height, o.Width, spec.sizes())
	case spec.tooLarge(o.Batch, o.Height, o.Width):
		return o, &SizeError{o.Batch, o.Height, o.Width}
	case o.Dtype != tensor.Float32 && o.Dtype != tensor.Float64:
		return o, fmt.Errorf("building the network: element type %v, want float32 or float64", o.Dtype)
	}
	return o, nil
}
