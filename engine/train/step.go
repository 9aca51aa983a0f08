package train

import (
	"fmt"
	"slices"

	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels"
	"fluxion/kernels/cast"
	"fluxion/kernels/draw"
	"fluxion/kernels/ema"
	"fluxion/kernels/feed"
	"fluxion/kernels/gradnorm"
	"fluxion/kernels/loss"
	"fluxion/kernels/mix"
	"fluxion/kernels/number"
	"fluxion/kernels/pointwise"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// StepOptions say what a training step computes.
type StepOptions struct {
	Network       nets.Network
	Height, Width int
	Batch         int     // images of a micro-batch
	Accumulate    int     // micro-batches of a step
	Accumulation  string  // order in which their gradients are added; empty: tree
	Optimizer     string  // empty: AdamW
	MoreEMAs      []int64 // half-lives of further EMAs, by which they are named
	Target        plan.Target
	Precision     number.Type
	Resident      int      // images of a data set that lies on the device; 0: pixels come with every batch
	Floats        bool     // pixels are float32, taken as they are; else bytes
	Flip          bool     // images are mirrored there; else pixels come as they are to be
	Errors        bool     // the error of each image is wanted: see Trainer.Observe
	Without       []string // names of plan.Fusions to leave out
	Recompute     string   // name of one of plan.Recomputations; empty: none
}

// imageNumbers is at least what a step keeps of each image of a batch besides its
// pixels, in bytes.
const imageNumbers = 128

// Step is a training step as plans: noise, forward, loss, backward for each
// micro-batch, then clipping, optimizer and average.
type Step struct {
	StepOptions
	Graph   *nets.Graph
	Buffers Buffers
	// Plans of one micro-batch and of the end of the step. Without accumulation
	// the micro-batch's holds everything.
	Micro  *plan.Plan
	sums   []*plan.Plan // each is one addition of gradients
	update *plan.Plan
	// additions are those of sums that follow each micro-batch.
	additions [][]int
	// narrow brings the bf16 copy of the weights that products read up to date, when they
	// were written from outside; nil without a copy.
	narrow *plan.Plan

	target, weight, loss, norm *gorgonia.Node
	errors                     *gorgonia.Node // nil if they are not wanted
	batch                      *draw.Batch
	noise                      *draw.Head
	addresses                  []int64      // of the noise of each image
	times                      *feed.Vector // of each image, as the network is told it
	sample, answer             *feed.Vector // what x and ε weigh in what the network sees of each image, and is to answer
	weights, classes           *feed.Vector // of each image; classes are nil without
	estimates                  *feed.Vector // what z and y weigh in x̂ of each image; nil without self-conditioning
	optimizer                  optimizer
	emas                       []ema.Hyper // of Buffers.MoreEMAs
	setHyper                   func(Hyper) // for the optimizer's kernel
}

// NewStep builds the graph, differentiates it, and compiles the plans.
func NewStep(o StepOptions) (*Step, error) {
	if err := nets.CheckDenoiser(o.Network); err != nil {
		return nil, err
	}
	g, err := nets.Build(o.Network, nets.BuildOptions{Batch: o.Batch, Height: o.Height, Width: o.Width, Dtype: tensor.Float32})
	if err != nil {
		return nil, err
	}
	if err := device.CheckMemory(device.Need{What: "what is known of each image", Bytes: plan.Product(o.Batch, imageNumbers)}); err != nil {
		return nil, err
	}
	s := &Step{StepOptions: o, Graph: g, weights: feed.New(o.Batch, 1)}
	if s.optimizer, err = findOptimizer(o.Optimizer); err != nil {
		return nil, err
	}
	s.weights.Set(1)
	shape := draw.Shape{Images: o.Batch, Pixels: o.Height * o.Width, Channels: o.Network.Spec().Channels}
	s.Buffers = newBuffers(nets.FlatSize(g.Params), o.Resident*shape.Values(), s.optimizer.states, o)
	c := plan.Options{
		Gradients: s.Buffers.Gradients, Target: o.Target, Precision: o.Precision, Without: o.Without, Recompute: o.Recompute,
	}
	if g.Estimate != nil {
		if err := s.conditionOnItself(&c); err != nil {
			return nil, err
		}
	}
	s.target = gorgonia.NewTensor(g.G, tensor.Float32, 4, gorgonia.WithShape(g.Output.Shape()...), gorgonia.WithName("target"))
	s.weight = gorgonia.NewVector(g.G, tensor.Float32, gorgonia.WithShape(o.Batch), gorgonia.WithName("weight"))
	s.loss = loss.MSE(g.Output, s.target, s.weight)
	grads, err := gorgonia.Grad(s.loss, g.Nodes...)
	if err != nil {
		return nil, fmt.Errorf("differentiating the network: %w", err)
	}
	s.norm = gorgonia.NewScalar(g.G, tensor.Float32, gorgonia.WithName("gradient norm"))
	c.Inputs = append(c.Inputs, g.Sample, g.Time, s.target, s.weight)
	c.Outputs = []*gorgonia.Node{s.loss}
	c.Forward.Loss, c.Forward.Blocks = s.loss, append(c.Forward.Blocks, g.Blocks...)
	begin := append(s.noising(shape, &c), plan.Stage{Kernel: s.weights, Out: plan.Ref{Node: s.weight}})
	c.Before = append(begin, c.Before...)
	if o.Errors {
		s.errors = loss.Images(g.Output, s.target)
		c.Outputs = append(c.Outputs, s.errors)
	}
	if g.Class != nil {
		s.classes = feed.New(g.Class.Shape().TotalSize(), g.Class.Dims())
		c.Inputs = append(c.Inputs, g.Class)
		c.Before = append(c.Before, plan.Stage{Kernel: s.classes, Out: plan.Ref{Node: g.Class}})
	}
	for i, p := range g.Params {
		c.Parameters = append(c.Parameters, plan.Parameter{Node: g.Nodes[i], Buffer: s.Buffers.Parameters, Offset: p.Offset, Gradient: grads[i]})
	}
	return s, s.compile(c)
}

// conditionOnItself puts a pass without gradient before the network's own, which
// is given what the first one, that was given nothing, says of the clean image:
// algorithm 1 of "Analog Bits" (Chen et al., 2022). Images that did not draw it
// have weights of 0, and so x̂ = 0; the first pass is made for all the same: a batch
// of 8 in which none draws it at probability ½ is one of 256.
func (s *Step) conditionOnItself(c *plan.Options) (err error) {
	first := *s.Graph
	weights := gorgonia.NewMatrix(first.G, tensor.Float32, gorgonia.WithShape(s.Batch, 2), gorgonia.WithName("weights of the estimate"))
	s.estimates = feed.New(2*s.Batch, 2)
	c.Inputs = append(c.Inputs, first.Estimate, weights)
	c.Before = append(c.Before,
		plan.Stage{Kernel: pointwise.NewZero(4), In: []plan.Ref{{Node: first.Sample}}, Out: plan.Ref{Node: first.Estimate}},
		plan.Stage{Kernel: s.estimates, Out: plan.Ref{Node: weights}})
	s.Graph.Estimate = mix.Images(mix.Options{Clip: 1}, weights, first.Sample, first.Output)
	c.Forward.Blocks = []*gorgonia.Node{s.Graph.Estimate} // or recomputation would make the first pass again
	s.Graph.Result, err = s.Graph.Apply(s.Graph.Inputs)
	return err
}

// compile makes one plan of the step, or several if gradients are accumulated.
func (s *Step) compile(c plan.Options) error {
	b := s.Buffers
	gradients := b.Gradients
	if s.Accumulate > 1 {
		gradients = b.Sums[0]
	}
	optimizer := plan.Stage{Out: plan.Ref{Buffer: b.Parameters}, In: []plan.Ref{{Buffer: gradients}}}
	optimizer.Kernel, s.setHyper = s.optimizer.kernel()
	for _, state := range b.States {
		optimizer.In = append(optimizer.In, plan.Ref{Buffer: state})
	}
	optimizer.In = append(optimizer.In, plan.Ref{Buffer: b.EMA}, plan.Ref{Node: s.norm})
	if b.Parameters.Copy != nil {
		optimizer.In = append(optimizer.In, plan.Ref{Buffer: b.Parameters.Copy})
	}
	// Processes that train together would join the sums of their micro-batches here,
	// before the norm.
	end := []plan.Stage{{Kernel: gradnorm.New(), In: []plan.Ref{{Buffer: gradients}}, Out: plan.Ref{Node: s.norm}}, optimizer}
	end = append(end, s.averaging()...)
	flat := plan.Options{Target: c.Target, Precision: c.Precision}
	var err error
	compile := func(to **plan.Plan, o plan.Options, after ...plan.Stage) {
		if o.After = after; err == nil {
			*to, err = plan.Compile(o)
		}
	}
	if b.Parameters.Copy != nil {
		compile(&s.narrow, flat, plan.Stage{Kernel: cast.New(1), In: []plan.Ref{{Buffer: b.Parameters}}, Out: plan.Ref{Buffer: b.Parameters.Copy}})
	}
	if s.Accumulate == 1 {
		c.Inputs = append(c.Inputs, s.norm)
		compile(&s.Micro, c, end...)
		return err
	}
	compile(&s.Micro, c)
	if err == nil {
		err = s.compileSums(flat)
	}
	flat.Inputs = []*gorgonia.Node{s.norm}
	compile(&s.update, flat, end...)
	return err
}

// plans of the step, in the order of their first run.
func (s *Step) plans() []*plan.Plan {
	if s.Accumulate == 1 {
		return []*plan.Plan{s.Micro}
	}
	return slices.Concat([]*plan.Plan{s.Micro}, s.sums, []*plan.Plan{s.update})
}

// Sizes is the memory that the step needs.
func (s *Step) Sizes() plan.Sizes {
	if s.narrow == nil {
		return plan.UnionOf(s.plans()...)
	}
	return plan.UnionOf(append(s.plans(), s.narrow)...)
}

// Recomputed is the part of Cost that recomputation adds.
func (s *Step) Recomputed() kernels.Cost {
	c := s.Micro.Recomputed()
	n := int64(s.Accumulate)
	return kernels.Cost{FLOPs: n * c.FLOPs, Bytes: n * c.Bytes}
}

// Cost of a step.
func (s *Step) Cost() kernels.Cost {
	cost := s.Micro.Cost()
	if s.Accumulate == 1 {
		return cost
	}
	total := s.update.Cost()
	for _, after := range s.additions {
		total = total.Add(cost)
		for _, i := range after {
			total = total.Add(s.sums[i].Cost())
		}
	}
	return total
}
