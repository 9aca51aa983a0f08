package evaluate

import (
	"errors"
	"fmt"

	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/number"
	"fluxion/nets"
	"fluxion/nets/feature"

	"gorgonia.org/gorgonia"
)

// ExtractorOptions say what is to be known of images, and how.
type ExtractorOptions struct {
	Network    feature.Network
	Weights    []float32 // its flat buffer
	Convention Convention
	Outputs    []string // of Network.Outputs
	Batch      int      // images that are looked at together
	Device     device.Device
	Precision  number.Type
}

// Extractor makes features of images, batch after batch. An image's features do not
// depend on the images beside it.
type Extractor struct {
	ExtractorOptions
	graph   *feature.Graph
	plan    *plan.Plan
	buffer  *plan.Buffer  // of the weights
	once    []*plan.Plan  // make of the weights what products read
	memory  device.Memory // nil before Load
	program device.Program
	resizer *resizer // of the size of the last image
	pixels  []float32
	filled  int // images of the batch
	rows    map[string][]float32
	visit   func(output string, rows []float32, dim int) error
}

// mostPrepared are the weights of which a second copy is kept, laid out for products. Those
// of a larger network are laid out in every batch, which costs it a small share.
const mostPrepared = 1 << 27

// NewExtractor compiles a network for a device. Visit is given the features of each
// batch in the order of the images, output by output; what it is given is valid until it
// returns.
func NewExtractor(o ExtractorOptions, visit func(output string, rows []float32, dim int) error) (*Extractor, error) {
	g, err := o.Network.Build(o.Batch)
	if err != nil {
		return nil, err
	}
	e := &Extractor{ExtractorOptions: o, graph: g, visit: visit, rows: map[string][]float32{}}
	e.buffer = plan.Weights("params", nets.FlatSize(g.Params), o.Device.Target(), o.Precision)
	c := plan.Options{Inputs: []*gorgonia.Node{g.Image}, Target: o.Device.Target(), Precision: o.Precision, Prepare: nets.FlatSize(g.Params) <= mostPrepared}
	for _, name := range o.Outputs {
		n := g.Outputs[name]
		if n == nil {
			return nil, fmt.Errorf("%s has no output %q; there are %v", o.Network.Name, name, o.Network.Outputs)
		}
		c.Outputs = append(c.Outputs, n)
	}
	for i, p := range g.Params {
		c.Parameters = append(c.Parameters, plan.Parameter{Node: g.Nodes[i], Buffer: e.buffer, Offset: p.Offset})
	}
	if e.plan, err = plan.Compile(c); err != nil {
		return nil, err
	}
	e.once, err = e.before(e.buffer)
	return e, err
}

// sizes is the memory of the device that the network takes.
func (e *Extractor) sizes() plan.Sizes { return plan.UnionOf(append(e.once, e.plan)...) }

// FLOPs of an image.
func (e *Extractor) FLOPs() int64 { return e.plan.Cost().FLOPs / int64(e.Batch) }

// Load takes the memory and brings the weights there.
func (e *Extractor) Load() error {
	sizes := e.sizes()
	if err := device.CheckMemory(device.Need{What: "a network of features", Bytes: sizes.Bytes()}); err != nil {
		return err
	}
	err := device.CheckRoom(e.Device, sizes, 0, e.smaller)
	if err != nil {
		return err
	}
	if e.memory, err = e.Device.Alloc(sizes); err != nil {
		return err
	}
	for _, name := range e.Outputs {
		e.rows[name] = make([]float32, e.graph.Outputs[name].Shape().TotalSize())
	}
	e.pixels = make([]float32, e.graph.Image.Shape().TotalSize())
	return e.load()
}

// smaller is the batch with which the network would fit a device.
func (e *Extractor) smaller(fits func(plan.Sizes) bool) []string {
	n := device.Largest(e.Batch, func(n int) bool {
		o := e.ExtractorOptions
		o.Batch = n
		other, err := NewExtractor(o, nil)
		return err == nil && fits(other.sizes())
	})
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("--batch %d", n)}
}

// before are the plans that make of the weights what products read.
func (e *Extractor) before(buffer *plan.Buffer) (once []*plan.Plan, err error) {
	if copies := plan.Copying(buffer); len(copies) > 0 {
		p, err := e.plan.Then(copies...)
		if err != nil {
			return nil, err
		}
		once = append(once, p)
	}
	if p := e.plan.Preparation(); p != nil {
		once = append(once, p)
	}
	return once, nil
}

func (e *Extractor) load() error {
	if err := e.memory.Write(e.buffer, 0, e.Weights); err != nil {
		return err
	}
	for _, p := range e.once {
		program, err := e.Device.Load(p, e.memory)
		if err != nil {
			return err
		}
		if err := errors.Join(device.Run(program), program.Free()); err != nil {
			return err
		}
	}
	var results []plan.Tensor
	for _, name := range e.Outputs {
		results = append(results, e.plan.Place(e.graph.Outputs[name]))
	}
	var err error
	e.program, err = e.Device.Load(e.plan, e.memory, results...)
	return err
}

// Close gives back what the extractor holds.
func (e *Extractor) Close() error {
	var err error
	if e.program != nil {
		err = e.program.Free()
	}
	if e.memory != nil {
		err = errors.Join(err, e.memory.Free())
	}
	e.program, e.memory = nil, nil
	return err
}

// Image is pixels as bytes, row after row, of one or three channels.
type Image struct {
	Pixels                  []byte
	Height, Width, Channels int
}

// Add takes an image in, and looks at the batch if it is full.
func (e *Extractor) Add(i Image) error {
	if i.Channels != 1 && i.Channels != 3 || i.Height < 1 || i.Width < 1 || len(i.Pixels) != i.Height*i.Width*i.Channels {
		return fmt.Errorf("an image of %d×%d×%d in %d bytes; want one or three channels", i.Height, i.Width, i.Channels, len(i.Pixels))
	}
	if r := e.resizer; r == nil || r.h != i.Height || r.w != i.Width || r.c != i.Channels {
		e.resizer = newResizer(e.Convention.filter, i.Height, i.Width, i.Channels, e.Network.Side)
	}
	size := len(e.pixels) / e.Batch
	e.Convention.prepare(e.pixels[e.filled*size:][:size], i.Pixels, e.resizer)
	if e.filled++; e.filled == e.Batch {
		return e.Flush()
	}
	return nil
}

// Flush looks at the images that wait.
func (e *Extractor) Flush() error {
	if e.filled == 0 {
		return nil
	}
	size := len(e.pixels) / e.Batch
	clear(e.pixels[e.filled*size:])
	if err := e.program.Write(e.plan.Place(e.graph.Image), e.pixels); err != nil {
		return err
	}
	if err := device.Run(e.program); err != nil {
		return err
	}
	n := e.filled
	e.filled = 0
	for _, name := range e.Outputs {
		rows := e.rows[name]
		if err := e.program.Read(e.plan.Place(e.graph.Outputs[name]), rows); err != nil {
			return err
		}
		if name == feature.Spatial {
			rows = channels(rows, e.graph.Outputs[name].Shape()[3], feature.SpatialChannels)
		}
		dim := len(rows) / e.Batch
		if err := e.visit(name, rows[:n*dim], dim); err != nil {
			return err
		}
	}
	return nil
}

// channels keeps the first of each pixel, in place.
func channels(rows []float32, all, keep int) []float32 {
	for i := range len(rows) / all {
		copy(rows[i*keep:][:keep], rows[i*all:][:keep])
	}
	return rows[:len(rows)/all*keep]
}
