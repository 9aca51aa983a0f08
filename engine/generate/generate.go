// Package generate runs samplers on networks: it turns seeds and classes into
// images, batch after batch. An image depends on its own seed alone.
package generate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"fluxion/engine/device"
	"fluxion/engine/noise"
	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/draw"
	"fluxion/kernels/feed"
	"fluxion/kernels/guide"
	"fluxion/kernels/inpaint"
	"fluxion/kernels/number"
	"fluxion/kernels/philox"
	"fluxion/kernels/pointwise"
	"fluxion/kernels/row"
	"fluxion/kernels/spread"
	"fluxion/kernels/update"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Options say what a sampling step computes.
type Options struct {
	Network       nets.Network
	Height, Width int
	Batch         int          // images made together
	Guided        bool         // evaluate every image without its class, too
	Guide         nets.Network // a second, weaker network, away from which is guided: Karras et al., "Guiding a Diffusion Model with a Bad Version of Itself" (2024); nil: none
	Reduced       bool         // guidance looks at whole images: Guidance.Rescale, Guidance.Percentile
	Inpaint       bool         // a picture is given: see Request.Picture
	Source        process.Source
	Slots         int  // outputs of earlier calls that the sampler combines
	Unlimited     bool // the output before x̂ was limited takes part, too: see Request.Excess
	Spread        bool // the network says the variance of noise: see sampler.Row
	Calls         int  // of the network for an image, as far as they are known: what a GPU sets up together
	Target        plan.Target
	Precision     number.Type
	Weights       *plan.Buffer // where the network's parameters lie, as plan.Weights declares it; nil: NewStep declares it
	Prepare       bool         // weights are laid out once a Run, in memory of their own, where the device can: see plan.Options
	Without       []string     // names of plan.Fusions to leave out
}

// imageNumbers is at least what a step keeps of each image of a batch besides its
// pixels, in bytes.
const imageNumbers = 64

// maxAhead bounds the calls whose parameters are on a GPU together.
const maxAhead = 256

// Step is a sampling step as a plan: times, network, guidance, update. Before
// the first step of a batch, Start draws the noise that it begins with.
type Step struct {
	Options
	Graph *nets.Graph
	Plan  *plan.Plan
	Start *plan.Plan

	GuideWeights *plan.Buffer // where Guide's parameters are to be written; nil without

	weights []*plan.Plan // bring what products read of the weights up to date
	pixels  *gorgonia.Node
	shape   draw.Shape
	head    *draw.Head  // the key of the noise, and its scale at the start
	fresh   *draw.Head  // of the noise of a step that is not white, or spread; nil: the update draws it
	spread  *spread.Row // of Spread; nil without
	images  []int64     // the number of each image of a batch
	update  *update.Row
	before  *update.Row // of the update that keeps the output as it was before x̂ was limited; nil without
	inpaint *inpainting // of Picture; nil without
	guide   *guide.Row  // of a stage before the update; nil where the update guides
	times   *feed.Vector
	jumps   *feed.Vector // nil where no network is told one
	scales  *feed.Vector // of guidance; nil where the network is told none

	// estimate is the x̂ that networks which condition on their own estimate are
	// given, for every place of the network's batch; nil without such. A run begins
	// without one, x̂ = 0, which training has shown them, too: from noise, from a
	// picture, and upwards alike. After that it is that of the last call, whatever
	// the sampler made the call for (the second stage of heun, a step of pndm's
	// start). It is guided and limited as the update has it, and in ±1 in any case,
	// as in training. It is the network's own where parts of a picture are kept: z
	// tells it of those. Adaptive samplers go without: see adapt.
	estimate *gorgonia.Node
}

// NewStep builds the network's graph and compiles the plan. Guidance makes the
// network's batch twice as large: with classes, then without.
func NewStep(o Options) (*Step, error) {
	if err := nets.CheckDenoiser(o.Network); err != nil {
		return nil, err
	}
	images := o.Batch
	if o.Guided {
		images *= 2
	}
	g, err := nets.Build(o.Network, nets.BuildOptions{Batch: images, Height: o.Height, Width: o.Width, Dtype: tensor.Float32})
	if err != nil {
		return nil, err
	}
	if err := device.CheckMemory(device.Need{What: "what is known of each image", Bytes: plan.Product(images, imageNumbers)}); err != nil {
		return nil, err
	}
	s := &Step{Options: o, Graph: g, head: &draw.Head{}, images: make([]int64, o.Batch), update: &update.Row{}, times: feed.New(images, 1)}
	s.shape = draw.Shape{Images: o.Batch, Pixels: o.Height * o.Width, Channels: o.Network.Spec().Channels}
	s.pixels = gorgonia.NewVector(g.G, tensor.Uint8, gorgonia.WithShape(o.Batch*s.shape.Values()), gorgonia.WithName("pixels"))
	if s.Weights == nil {
		s.Weights = plan.Weights("params", nets.FlatSize(g.Params), o.Target, o.Precision)
	}
	c := plan.Options{
		Inputs: []*gorgonia.Node{g.Sample, g.Time, s.pixels}, Outputs: []*gorgonia.Node{g.Output},
		Target: o.Target, Precision: o.Precision, Ahead: min(o.Calls, maxAhead), Prepare: o.Prepare, Without: o.Without,
	}
	for _, n := range []*gorgonia.Node{g.Class, g.Concat} {
		if n != nil {
			c.Inputs = append(c.Inputs, n)
		}
	}
	slots := []plan.Ref{{Node: g.Output}, {Node: s.pixels}}
	slot := func(i int) plan.Ref {
		n := gorgonia.NewTensor(g.G, tensor.Float32, 4, gorgonia.WithName(fmt.Sprint("history ", i)),
			gorgonia.WithShape(o.Batch, o.Height, o.Width, o.Network.Spec().Channels))
		c.Inputs = append(c.Inputs, n)
		return plan.Ref{Node: n}
	}
	for i := range o.Slots {
		slots = append(slots, slot(i))
	}
	c.Before = []plan.Stage{{Kernel: s.times, Out: plan.Ref{Node: g.Time}}}
	for i, p := range g.Params {
		c.Parameters = append(c.Parameters, plan.Parameter{Node: g.Nodes[i], Buffer: s.Weights, Offset: p.Offset})
	}
	var unlimited plan.Ref
	if o.Unlimited {
		unlimited = slot(o.Slots)
		s.keepUnlimited(&c, unlimited)
	}
	if err := s.addGuide(&c); err != nil {
		return nil, err
	}
	if o.Unlimited {
		slots = append(slots, unlimited)
	}
	if o.Spread && g.Variance == nil {
		return nil, errors.New("noise of a variance that the network says, of a network that says none")
	}
	if o.Source.Gaussian() && !o.Source.White() || o.Spread {
		s.fresh = &draw.Head{Scale: 1}
		fresh := slot(s.freshSlot())
		c.After = append(c.After, noise.Stages(o.Source, draw.NoiseOptions{Shape: s.shape, Stream: philox.SampleNoise}, o.Height, o.Width, s.fresh, s.images, fresh)...)
		if o.Spread {
			s.spread = &spread.Row{}
			c.Outputs = append(c.Outputs, g.Variance)
			c.After = append(c.After, plan.Stage{Kernel: spread.New(s.spread), In: []plan.Ref{{Node: g.Variance}}, Out: fresh})
		}
		slots = append(slots, fresh)
	}
	updates := update.Options{Shape: s.shape, Guided: o.Guided, Combined: s.guide != nil}
	c.After = append(c.After, plan.Stage{Kernel: update.New(updates, s.update, s.images), In: slots, Out: plan.Ref{Node: g.Sample}})
	if o.Inpaint {
		s.addInpainting(&c)
	}
	if g.Jump != nil {
		s.jumps = feed.New(images, 1)
		c.Inputs = append(c.Inputs, g.Jump)
		c.Before = append(c.Before, plan.Stage{Kernel: s.jumps, Out: plan.Ref{Node: g.Jump}})
	}
	if g.Guidance != nil {
		s.scales = feed.New(images, 1)
		c.Inputs = append(c.Inputs, g.Guidance)
		c.Before = append(c.Before, plan.Stage{Kernel: s.scales, Out: plan.Ref{Node: g.Guidance}})
	}
	if s.Plan, err = plan.Compile(c); err != nil {
		return nil, err
	}
	begin := noise.Stages(o.Source, draw.NoiseOptions{Shape: s.shape, Stream: philox.SampleStart, Guided: o.Guided}, o.Height, o.Width, s.head, s.images, plan.Ref{Node: g.Sample})
	if s.estimate != nil { // there is none yet
		begin = append(begin, plan.Stage{Kernel: pointwise.NewZero(4), In: []plan.Ref{{Node: g.Sample}}, Out: plan.Ref{Node: s.estimate}})
	}
	if o.Unlimited { // whatever lies there, 0 times it is 0 from now on
		begin = append(begin, plan.Stage{Kernel: pointwise.NewZero(4), In: []plan.Ref{{Node: g.Sample}}, Out: unlimited})
	}
	if o.Inpaint {
		begin = append(begin, s.inpaint.stage(s, &s.inpaint.start))
	}
	if s.Start, err = s.Plan.Then(begin...); err != nil {
		return nil, err
	}
	if err := s.copyWeights(); err != nil {
		return nil, err
	}
	if prepared := s.Plan.Preparation(); prepared != nil {
		s.weights = append(s.weights, prepared)
	}
	return s, nil
}

// copyWeights adds the plan that brings the copies of the weights that products read
// up to date, if there are any.
func (s *Step) copyWeights() error {
	stages := plan.Copying(s.Weights, s.GuideWeights)
	if len(stages) == 0 {
		return nil
	}
	p, err := s.Plan.Then(stages...)
	s.weights = append(s.weights, p)
	return err
}

// Plans are those of a batch, in the order of their first run.
func (s *Step) Plans() []*plan.Plan { return []*plan.Plan{s.Start, s.Plan} }

// Busiest sets the parameters of a step in which every kernel does all that it
// can: for counting what kernels do.
func (s *Step) Busiest() {
	*s.update = update.Row{A: 1, B: 1, C: 1, Store: -1, Guidance: 2, Clip: 1, XZ: 1, XY: 1, Pixels: 1}
	if s.Slots > 0 {
		s.update.Store = 0
	}
	for slot := range s.Slots {
		s.update.History[slot] = 1
	}
	if s.guide != nil {
		*s.guide = guide.Row{Guidance: 2, Rescale: 0.7, Percentile: 0.99, XZ: 1, XY: 1, Clip: 1}
		s.update.Clip = 0
	}
	if s.before != nil {
		*s.before = update.Row{B: 1, Store: -1, Guidance: 2}
		s.update.History[s.Slots] = 1
	}
	if s.spread != nil {
		s.spread.Rate = 0.5
	}
	if s.inpaint != nil {
		s.inpaint.step = inpaint.Row{A: 1, S: 1, Active: 1, Pixels: 1}
		s.inpaint.start = s.inpaint.step
	}
}

// Sizes is the memory that sampling needs.
func (s *Step) Sizes() plan.Sizes {
	return plan.UnionOf(append(s.Plans(), s.weights...)...)
}

// Load binds the step to memory, in whose Weights are those to sample from.
func (s *Step) Load(d device.Device, m device.Memory) (*Generator, error) {
	g := &Generator{Step: s, pixels: make([]byte, s.Batch*s.shape.Values()), last: make([]float32, s.Graph.Sample.Shape().TotalSize())}
	var err error
	if g.program, err = d.Load(s.Plan, m, s.Plan.Place(s.pixels)); err != nil {
		return nil, err
	}
	if g.start, err = d.Load(s.Start, m); err != nil {
		return nil, errors.Join(err, g.Free())
	}
	for _, p := range s.weights {
		program, err := d.Load(p, m)
		if err != nil {
			return nil, errors.Join(err, g.Free())
		}
		g.weights = append(g.weights, program)
	}
	return g, nil
}

// Generator is a sampling step on a device.
type Generator struct {
	*Step
	program, start device.Program
	weights        []device.Program
	pixels         []byte    // of the batch that is ready
	last           []float32 // its states, before they were made pixels
}

// Free gives back what the generator holds besides its memory.
func (g *Generator) Free() error {
	var err error
	for _, p := range append([]device.Program{g.program, g.start}, g.weights...) {
		if p != nil {
			err = errors.Join(err, p.Free())
		}
	}
	return err
}

// Request is what to make.
type Request struct {
	Table     sampler.Table
	Adaptive  *Adaptive // instead of the table
	Seed      uint64    // the key of all randomness
	Seeds     []int64   // the number of each image
	Classes   []int     // of each image; nil for an unconditional network
	NullClass int       // the class that stands for none
	// Told is what the network is told of each image in the place of a class, where that is
	// numbers, and Untold what stands for none of these.
	Told     [][]float32
	Untold   []float32
	Guidance Guidance
	Clip     bool    // clip the predicted image to the range of pixels
	Range    float64 // or to ±Range, where that is not 0
	// Excess times what limiting x̂ changes it by is added to the state after a row,
	// beside what the changed output brings; nil is nothing. With a step of Options.Unlimited.
	Excess  []float64
	Picture *Picture // that a run begins with, or keeps parts of; nil: none
	// Input writes the second image that the network is given for image i of the request,
	// as it sees it: nets.Inputs.Concat. Nil where it takes none.
	Input func(i int, to []float32) error
	// Begin changes the state that image i of the request begins with, NHWC: to alpha of an
	// image and sigma of noise, of which it is the noise that was drawn. Nil leaves it.
	Begin func(i int, alpha, sigma float64, z []float32) error
	// Step is told, before each step of a batch, how many of those of all are done; nil: nobody is.
	Step func(done, of int)

	memory sampler.Memory // of the table
}

// Sample is what was made, NHWC, valid until the visit that it is handed to returns.
type Sample struct {
	Pixels []byte    // clipped to ±1, as bytes
	Values []float32 // as the sampler left them
	Calls  int       // of the network for it, those with and without the class as one
}

// Run makes the images in batches and hands each out as soon as its batch is
// done: its place in the request and what was made. The weights are those that the memory holds now. Numbers that are
// not finite are a *NotFiniteError, and no picture.
func (g *Generator) Run(ctx context.Context, r Request, visit func(i int, s Sample) error) error {
	for _, p := range g.weights {
		if err := device.Run(p); err != nil {
			return err
		}
	}
	if err := errors.Join(g.show(r), g.checkLimit(r), g.checkInput(r), r.Guidance.Check(g.Network)); err != nil {
		return err
	}
	if r.Adaptive != nil {
		if err := r.check(); err != nil {
			return err
		}
		for i := range r.Seeds {
			sample, err := g.adapt(ctx, r, i)
			if err == nil {
				err = visit(i, sample)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	r.Excess = r.folded()
	r.Table = toData(r.Table.Fold())
	if err := r.check(); err != nil {
		return err
	}
	if r.Table.Spreads() && !g.Spread {
		return errors.New("a table of a variance that the network says, of a step that was made without")
	}
	var err error
	if r.memory, err = r.Table.Memory(g.Slots); err != nil {
		return err
	}
	for first := 0; first < len(r.Seeds); first += g.Batch {
		n := min(g.Batch, len(r.Seeds)-first)
		if err := g.batch(ctx, r, first, n); err != nil {
			return err
		}
		for i := range n {
			size := g.shape.Values()
			if err := visit(first+i, Sample{g.pixels[i*size:][:size], g.last[i*size:][:size], len(r.Table.Rows)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// unit is what the last state of a run is a multiple of: α of an image, or of noise, where
// the run goes upwards, σ.
func unit(g sampler.Grid) float64 {
	begin, end := g.Points[0], g.Points[len(g.Points)-1]
	if end.LogSNR < begin.LogSNR {
		return end.Sigma
	}
	return end.Alpha
}

// toData divides what the last row of a folded table gives by its unit: what is made is an
// image or noise as such.
func toData(t sampler.Table) sampler.Table {
	if len(t.Grid.Points) == 0 {
		return t
	}
	by, last := unit(t.Grid), len(t.Rows)-1
	if by == 1 || by == 0 {
		return t
	}
	r := t.Rows[last]
	r.A, r.C, r.Recall, r.B = r.A/by, r.C/by, r.Recall/by, slices.Clone(r.B)
	for i := range r.B {
		r.B[i] /= by
	}
	t.Rows[last] = r
	return t
}

// batch makes images [first, first+n); a batch that is not full repeats its last image.
func (g *Generator) batch(ctx context.Context, r Request, first, n int) error {
	at := func(i int) int { return first + min(i, n-1) }
	for i := range g.Batch {
		g.images[i] = r.Seeds[at(i)]
	}
	g.head.Seed, g.head.Scale = r.Seed, float32(r.Table.Start)
	g.begin(r, r.Table.Rows[0].Call.Alpha)
	if err := device.Run(g.start); err != nil {
		return err
	}
	if err := errors.Join(g.classes(r, at), g.given(r, at), g.change(r, r.Table.Rows[0].Call.Alpha, r.Table.Start, at)); err != nil {
		return err
	}
	err := g.program.RunSteps(len(r.Table.Rows), func(i int) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if r.Step != nil {
			rows, batches := len(r.Table.Rows), (len(r.Seeds)+g.Batch-1)/g.Batch
			r.Step(first/g.Batch*rows+i, batches*rows)
		}
		return g.set(r, i)
	})
	if err != nil {
		return err
	}
	if err := g.checkImages(r.Seeds[first : first+n]); err != nil {
		return err
	}
	return g.program.ReadBytes(g.Plan.Place(g.Step.pixels), g.pixels)
}

// classes gives every place of the batch the class of its image, or what it is told instead.
func (g *Generator) classes(r Request, at func(i int) int) error {
	if g.Graph.Class == nil {
		return nil
	}
	classes := make([]float32, g.Graph.Class.Shape().TotalSize())
	width := len(classes) / g.Graph.Class.Shape()[0]
	for i := range g.Batch {
		if r.Told != nil {
			copy(classes[i*width:][:width], r.Told[at(i)])
			if g.Guided {
				copy(classes[(g.Batch+i)*width:][:width], r.Untold)
			}
			continue
		}
		classes[i] = float32(r.Classes[at(i)])
		if g.Guided {
			classes[g.Batch+i] = float32(r.NullClass)
		}
	}
	return g.program.Write(g.Plan.Place(g.Graph.Class), classes)
}

// set makes the parameters those of a call.
func (g *Generator) set(r Request, call int) error {
	of := r.Table.Rows[call]
	u := update.Row{A: float32(of.A), C: float32(of.C), Count: uint32(call), Pixels: row.If(call == len(r.Table.Rows)-1)}
	access := r.memory.Rows[call]
	u.B, u.Store = float32(of.B[0]), int32(access.Store)
	u.KeepZ, u.KeepY = float32(of.Keep.Z), float32(of.Keep.Y)
	for slot, c := range access.Slots {
		u.History[slot] = float32(c)
	}
	x := of.X
	if r.Range != 0 {
		// clip(x̂, ±R) = R clip(x̂/R, ±1)
		x.Z, x.Y = x.Z/r.Range, x.Y/r.Range
	}
	if g.fresh != nil { // one more slot, behind the others
		*g.fresh = draw.Head{Seed: r.Seed, Scale: 1, Step: uint32(call)}
		u.History[g.freshSlot()], u.C = u.C, 0
	}
	if g.spread != nil {
		g.spread.Rate = float32(of.Spread / 4) // of the logarithm of a deviation, by 1+v
	}
	g.call(u, r, of.Call, x, of.Jump)
	g.addExcess(r, call)
	g.keep(r, call)
	return nil
}

// freshSlot is the place of the noise of a step among the slots.
func (s *Step) freshSlot() int {
	if s.Unlimited {
		return s.Slots + 1
	}
	return s.Slots
}

// Evaluate runs the step once more and waits for it: for benchmarks.
func (g *Generator) Evaluate() error {
	if err := device.Run(g.program); err != nil {
		return err
	}
	return g.program.ReadBytes(g.Plan.Place(g.Step.pixels), g.pixels)
}

// Launches runs the step once and calls visit after each launch, for timing.
func (g *Generator) Launches(visit func(i int) error) error { return g.program.Launches(visit) }
