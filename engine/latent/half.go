// Package latent makes latents of images and images of latents, with an autoencoder on a
// device: whole, or in tiles.
package latent

import (
	"errors"
	"fmt"

	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/number"
	"fluxion/nets"
	"fluxion/nets/autoencoder"

	"gorgonia.org/gorgonia"
)

// Options say how an autoencoder is run.
type Options struct {
	Model     *autoencoder.Model
	Device    device.Device
	Precision number.Type
	Batch     int // images that are made together
	// Tile is the side of tiles in pixels, a multiple of 4 of the autoencoder's factor; 0: images
	// are not tiled. An image that is no larger than a tile is one.
	Tile int
	// Prepare says that the device keeps weights as products read them, too, where it can.
	// That has one place in a memory: it is not for LoadIn, nor for more than one size.
	Prepare bool
}

// half is the encoder or the decoder for images of one size, as one plan for each size of
// its tiles.
type half struct {
	Options
	tiling
	*plans
}

// plans are those for tiles of all sizes, of the same weights.
type plans struct {
	which   autoencoder.Half
	params  []nets.Param
	weights *plan.Buffer
	parts   map[[2]int]*part // by height and width of a tile
	sizes   plan.Sizes
	memory  device.Memory
	own     bool // the memory
	in, out int  // channels
	buffer  []float32
}

// part is the plan for tiles of a size.
type part struct {
	graph   *autoencoder.Graph
	plan    *plan.Plan
	copies  *plan.Plan // makes the weights' copy in bf16, the same for all parts; nil: there is none
	program device.Program
	output  []float32
}

// newHalf compiles it. Height and width are those of what it takes.
func newHalf(o Options, which autoencoder.Half, height, width int) (*half, error) {
	if o.Batch < 1 {
		return nil, fmt.Errorf("a batch of %d images; want at least 1", o.Batch)
	}
	t, err := newTiling(o, which, height, width)
	if err != nil {
		return nil, err
	}
	h := &half{Options: o, tiling: t, plans: &plans{which: which, parts: map[[2]int]*part{}}}
	return h, h.add()
}

// also compiles it for another size, too, before it is loaded: with the same weights and memory,
// which are those of the first.
func (h *half) also(height, width int) (*half, error) {
	t, err := newTiling(h.Options, h.which, height, width)
	if err != nil {
		return nil, err
	}
	other := &half{h.Options, t, h.plans}
	return other, other.add()
}

// add compiles the plans for tiles that are not there yet.
func (h *half) add() (err error) {
	for _, size := range h.tiling.sizes() {
		if h.parts[size] != nil {
			continue
		}
		p := &part{}
		if p.graph, err = h.Model.Build(h.which, h.Batch, size[0], size[1]); err != nil {
			return err
		}
		if h.weights == nil {
			h.params = p.graph.Params
			h.weights = plan.Weights(h.which.String(), nets.FlatSize(h.params), h.Device.Target(), h.Precision)
		}
		if err := p.compile(h); err != nil {
			return err
		}
		h.parts[size] = p
		for _, q := range p.all() {
			h.plans.sizes = plan.Union(h.plans.sizes, q.Sizes)
		}
		h.in, h.out = p.graph.Input.Shape()[3], p.graph.Output.Shape()[3]
	}
	return nil
}

func (p *part) compile(h *half) (err error) {
	c := plan.Options{Inputs: []*gorgonia.Node{p.graph.Input}, Outputs: []*gorgonia.Node{p.graph.Output}, Target: h.Device.Target(), Precision: h.Precision, Prepare: h.Prepare && len(h.tiling.sizes()) == 1}
	for i, param := range h.params {
		c.Parameters = append(c.Parameters, plan.Parameter{Node: p.graph.Nodes[i], Buffer: h.weights, Offset: param.Offset})
	}
	if p.plan, err = plan.Compile(c); err != nil {
		return err
	}
	if copies := plan.Copying(h.weights); len(copies) > 0 {
		p.copies, err = p.plan.Then(copies...)
	}
	return err
}

// all are the plans, in the order in which they are to run.
func (p *part) all() (plans []*plan.Plan) {
	for _, q := range []*plan.Plan{p.copies, p.plan.Preparation(), p.plan} {
		if q != nil {
			plans = append(plans, q)
		}
	}
	return plans
}

// Sizes is the memory of the device that it takes.
func (h *half) Sizes() plan.Sizes { return h.plans.sizes }

// Load takes the memory and brings the weights there.
func (h *half) Load() error {
	if err := device.CheckMemory(device.Need{What: "the autoencoder", Bytes: h.plans.sizes.Bytes()}); err != nil {
		return fmt.Errorf("%w; smaller tiles take less", err)
	}
	memory, err := h.Device.Alloc(h.plans.sizes)
	if err != nil {
		return err
	}
	h.own = true
	return h.LoadIn(memory)
}

// LoadIn brings the weights to memory of the caller, of which it takes Sizes.
func (h *half) LoadIn(memory device.Memory) error {
	h.memory = memory
	err := h.load()
	if err != nil {
		err = errors.Join(err, h.Close())
	}
	return err
}

func (h *half) load() error {
	if err := h.memory.Write(h.weights, 0, h.Model.Weights(h.params)); err != nil {
		return err
	}
	for _, p := range h.parts {
		once := p.all()
		for _, q := range once[:len(once)-1] {
			program, err := h.Device.Load(q, h.memory)
			if err != nil {
				return err
			}
			if err := errors.Join(device.Run(program), program.Free()); err != nil {
				return err
			}
		}
		var err error
		if p.program, err = h.Device.Load(p.plan, h.memory, p.plan.Place(p.graph.Output)); err != nil {
			return err
		}
		p.output = make([]float32, p.graph.Output.Shape().TotalSize())
		h.buffer = make([]float32, max(len(h.buffer), p.graph.Input.Shape().TotalSize()))
	}
	return nil
}

// Close gives back what it holds.
func (h *half) Close() error {
	var err error
	for _, p := range h.parts {
		if p.program != nil {
			err = errors.Join(err, p.program.Free())
			p.program = nil
		}
	}
	if h.own {
		err = errors.Join(err, h.memory.Free())
	}
	h.memory, h.own = nil, false
	return err
}

// run makes of one batch or less what the half gives: images next to each other, NHWC.
func (h *half) run(from, to []float32) error {
	n := len(from) / (h.height * h.width * h.in)
	if n > h.Batch || n*h.height*h.width*h.in != len(from) || n*h.outHeight()*h.outWidth()*h.out != len(to) {
		return fmt.Errorf("%d numbers that are to become %d; want up to %d images of %d×%d×%d", len(from), len(to), h.Batch, h.height, h.width, h.in)
	}
	if len(h.rows) == 1 && len(h.columns) == 1 {
		return h.tile(h.rows[0], h.columns[0], from, n, to)
	}
	return h.tiled(from, n, to)
}

// tile runs a tile of n images; to takes it.
func (h *half) tile(y, x span, from []float32, n int, to []float32) error {
	p := h.parts[[2]int{y.size(), x.size()}]
	in := h.buffer[:p.graph.Input.Shape().TotalSize()]
	clear(in)
	row := x.size() * h.in
	for i := range n {
		for k := range y.size() {
			at := ((i*h.height+y.from+k)*h.width + x.from) * h.in
			copy(in[(i*y.size()+k)*row:][:row], from[at:])
		}
	}
	if err := p.program.Write(p.plan.Place(p.graph.Input), in); err != nil {
		return err
	}
	if err := device.Run(p.program); err != nil {
		return err
	}
	if err := p.program.Read(p.plan.Place(p.graph.Output), p.output); err != nil {
		return err
	}
	copy(to, p.output[:len(p.output)/h.Batch*n])
	return nil
}
