package train

import (
	"errors"
	"fmt"
	"math"

	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/kernels"
	"fluxion/kernels/adamw"
	"fluxion/kernels/cast"
	"fluxion/kernels/cpu"
	"fluxion/kernels/draw"
	"fluxion/kernels/feed"
	"fluxion/kernels/gradnorm"
	"fluxion/kernels/loss"
	"fluxion/kernels/number"
	"fluxion/kernels/philox"
	"fluxion/kernels/pointwise"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// StepOptions say what a training step computes.
type StepOptions struct {
	Config        nets.Config
	Height, Width int
	Batch         int // images of a micro-batch
	Accumulate    int // micro-batches of a step
	Target        plan.Target
	Precision     number.Type
}

// Step is a training step as plans: noise, forward, loss, backward for each
// micro-batch, then clipping, optimizer and average.
type Step struct {
	StepOptions
	Graph *nets.Graph
	// Plans of one micro-batch and of the end of the step. Without accumulation
	// the micro-batch's holds everything.
	Micro  *plan.Plan
	first  *plan.Plan // gradients become the sum
	next   *plan.Plan // gradients join the sum
	update *plan.Plan
	// half brings the copy of the weights that products read up to date, when they
	// were written from outside; nil in float32.
	half *plan.Plan

	target, weight, loss, norm *gorgonia.Node
	batch                      *draw.Batch
	weights, classes           *feed.Vector // of each image; classes are nil without
	hyper                      *adamw.Step
}

// drawStage puts the noising of a batch into a plan.
type drawStage struct {
	kernels.Signature
	pair  draw.Pair
	batch *draw.Batch
}

func (d drawStage) String() string { return d.pair.String() }

func (d drawStage) Cost([]tensor.Shape, tensor.Shape) kernels.Cost { return d.pair.Cost() }

func (d drawStage) CPU(l kernels.Launch) func(*cpu.Pool) {
	return d.pair.CPU(d.batch, l.Out.Matrix, l.In[0].Matrix, l.In[1].Data[:l.In[1].Shape[0]])
}

// NewStep builds the graph, differentiates it, and compiles the plans.
func NewStep(o StepOptions) (*Step, error) {
	g, err := nets.Build(o.Config, nets.BuildOptions{Batch: o.Batch, Height: o.Height, Width: o.Width, Dtype: tensor.Float32})
	if err != nil {
		return nil, err
	}
	s := &Step{StepOptions: o, Graph: g, hyper: &adamw.Step{}, weights: feed.New(o.Batch, 1)}
	s.weights.Set(1)
	shape := draw.Shape{Images: o.Batch, Pixels: o.Height * o.Width, Channels: o.Config.InChannels}
	s.batch = &draw.Batch{
		Pixels: make([]byte, o.Batch*shape.Values()), Addresses: make([]int64, o.Batch), Coefficients: make([]draw.Coefficients, o.Batch),
	}
	s.target = gorgonia.NewTensor(g.G, tensor.Float32, 4, gorgonia.WithShape(g.Output.Shape()...), gorgonia.WithName("target"))
	s.weight = gorgonia.NewVector(g.G, tensor.Float32, gorgonia.WithShape(o.Batch), gorgonia.WithName("weight"))
	s.loss = loss.MSE(g.Output, s.target, s.weight)
	grads, err := gorgonia.Grad(s.loss, g.Nodes...)
	if err != nil {
		return nil, fmt.Errorf("differentiating the network: %w", err)
	}
	s.norm = gorgonia.NewScalar(g.G, tensor.Float32, gorgonia.WithName("gradient norm"))
	c := plan.Options{
		Inputs:   []*gorgonia.Node{g.Sample, g.Time, s.target, s.weight},
		Outputs:  []*gorgonia.Node{s.loss},
		FlatSize: nets.FlatSize(g.Params), Target: o.Target, Precision: o.Precision,
		Before: []plan.Stage{{
			Kernel: drawStage{pair: draw.Pair{Shape: shape}, batch: s.batch},
			In:     []plan.Ref{{Node: s.target}, {Node: g.Time}}, Out: plan.Ref{Node: g.Sample},
		}, {Kernel: s.weights, Out: plan.Ref{Node: s.weight}}},
	}
	if g.Class != nil {
		s.classes = feed.New(g.Class.Shape().TotalSize(), g.Class.Dims())
		c.Inputs = append(c.Inputs, g.Class)
		c.Before = append(c.Before, plan.Stage{Kernel: s.classes, Out: plan.Ref{Node: g.Class}})
	}
	for i, p := range g.Params {
		c.Parameters = append(c.Parameters, plan.Parameter{Node: g.Nodes[i], Offset: p.Offset, Gradient: grads[i]})
	}
	return s, s.compile(c)
}

// compile makes one plan of the step, or four if gradients are accumulated.
func (s *Step) compile(c plan.Options) error {
	region := func(r plan.Region) plan.Ref { return plan.Ref{Region: r} }
	gradients := plan.Gradients
	if s.Accumulate > 1 {
		gradients = plan.Sum
	}
	optimizer := plan.Stage{Kernel: adamw.New(s.hyper), Out: region(plan.Parameters),
		In: []plan.Ref{region(gradients), region(plan.Moment1), region(plan.Moment2), region(plan.Average), {Node: s.norm}}}
	if s.Precision != number.Float32 {
		optimizer.In = append(optimizer.In, region(plan.Half))
	}
	end := []plan.Stage{{Kernel: gradnorm.New(), In: []plan.Ref{region(gradients)}, Out: plan.Ref{Node: s.norm}}, optimizer}
	flat := plan.Options{FlatSize: c.FlatSize, Target: c.Target, Precision: c.Precision}
	var err error
	compile := func(to **plan.Plan, o plan.Options, after ...plan.Stage) {
		if o.After = after; err == nil {
			*to, err = plan.Compile(o)
		}
	}
	if s.Precision != number.Float32 {
		compile(&s.half, flat, plan.Stage{Kernel: cast.New(1), In: []plan.Ref{region(plan.Parameters)}, Out: region(plan.Half)})
	}
	if s.Accumulate == 1 {
		c.Inputs = append(c.Inputs, s.norm)
		compile(&s.Micro, c, end...)
		return err
	}
	sum, grad := region(plan.Sum), region(plan.Gradients)
	compile(&s.Micro, c)
	compile(&s.first, flat, plan.Stage{Kernel: pointwise.NewCopy(1), In: []plan.Ref{grad}, Out: sum})
	compile(&s.next, flat, plan.Stage{Kernel: pointwise.NewAdd(1), In: []plan.Ref{sum, grad}, Out: sum})
	flat.Inputs = []*gorgonia.Node{s.norm}
	compile(&s.update, flat, end...)
	return err
}

// plans of the step, in the order of their first run.
func (s *Step) plans() []*plan.Plan {
	if s.Accumulate == 1 {
		return []*plan.Plan{s.Micro}
	}
	return []*plan.Plan{s.Micro, s.first, s.next, s.update}
}

// Sizes is the memory that the step needs.
func (s *Step) Sizes() [plan.Regions]int {
	if s.half == nil {
		return plan.Union(s.plans()...)
	}
	return plan.Union(append(s.plans(), s.half)...)
}

// Cost of a step.
func (s *Step) Cost() kernels.Cost {
	cost := s.Micro.Cost()
	if s.Accumulate == 1 {
		return cost
	}
	total := s.first.Cost().Add(s.update.Cost())
	for i := range s.Accumulate {
		total = total.Add(cost)
		if i > 0 {
			total = total.Add(s.next.Cost())
		}
	}
	return total
}

// Load binds the step to memory.
func (s *Step) Load(d device.Device, m device.Memory) (*Trainer, error) {
	t := &Trainer{Step: s, Memory: m}
	for _, p := range s.plans() {
		var results []plan.Tensor
		if p == s.Micro {
			results = append(results, p.Place(s.loss))
		}
		if p == s.last() {
			results = append(results, p.Place(s.norm))
		}
		program, err := d.Load(p, m, results...)
		if err != nil {
			return nil, errors.Join(err, t.Free())
		}
		t.programs = append(t.programs, program)
	}
	if s.half != nil {
		var err error
		if t.half, err = d.Load(s.half, m); err != nil {
			return nil, errors.Join(err, t.Free())
		}
	}
	return t, nil
}

// last is the plan that ends with the optimizer.
func (s *Step) last() *plan.Plan {
	all := s.plans()
	return all[len(all)-1]
}

// Trainer is a step on a device.
type Trainer struct {
	*Step
	Memory   device.Memory
	programs []device.Program
	half     device.Program // of Step.half
	scalar   [1]float32
}

// Free gives back what the trainer holds besides its memory.
func (t *Trainer) Free() error {
	var err error
	for _, p := range append(t.programs, t.half) {
		if p != nil {
			err = errors.Join(err, p.Free())
		}
	}
	return err
}

// Images is one micro-batch from the data.
type Images struct {
	Pixels  []byte  // NHWC
	Labels  []int32 // −1: none
	Indices []int64 // position in the stream of images
}

// Objective is how a run makes training pairs.
type Objective struct {
	Process   process.Process
	Times     process.TimeSampler
	Seed      uint64
	LabelDrop float64
	NullClass int // the class of an image without its label
}

// Fill sets the parameters of a micro-batch: pixels, and for each image the
// time, the coefficients and the class that its position in the stream decides.
func (t *Trainer) Fill(b Images, o Objective) {
	copy(t.batch.Pixels, b.Pixels)
	t.batch.Seed = o.Seed
	for i, at := range b.Indices {
		t.batch.Addresses[i] = at
		q := o.Process.At(o.Times.Time(philox.Uniform64(o.Seed, philox.Time, uint64(at), 0)))
		t.batch.Coefficients[i] = draw.Coefficients{
			Alpha: float32(q.Alpha), Sigma: float32(q.Sigma), A: float32(q.A), B: float32(q.B), NetworkTime: float32(q.NetworkTime),
		}
	}
	if t.classes == nil {
		return
	}
	for i, at := range b.Indices {
		class := int(b.Labels[i])
		if class < 0 || philox.Uniform64(o.Seed, philox.Drop, uint64(at), 0) < o.LabelDrop {
			class = o.NullClass
		}
		t.classes.Values[i] = float32(class)
	}
}

// Refresh must be called after parameters were written from outside.
func (t *Trainer) Refresh() error {
	if t.half == nil {
		return nil
	}
	return device.Run(t.half)
}

// RunMicro runs micro-batch i of a step and returns its loss. Without
// accumulation this is the whole step.
func (t *Trainer) RunMicro(i int) (float64, error) {
	if err := device.Run(t.programs[0]); err != nil {
		return 0, err
	}
	if t.Accumulate > 1 {
		if err := device.Run(t.programs[1+min(i, 1)]); err != nil {
			return 0, err
		}
	}
	return t.read(0, t.Micro.Place(t.loss))
}

func (t *Trainer) read(program int, place plan.Tensor) (float64, error) {
	err := t.programs[program].Read(place, t.scalar[:])
	return float64(t.scalar[0]), err
}

// Finish ends a step of accumulated gradients and returns the norm of its
// gradients. A norm that is not finite has changed nothing.
func (t *Trainer) Finish() (float64, error) {
	last := len(t.programs) - 1
	if t.Accumulate > 1 {
		if err := device.Run(t.programs[last]); err != nil {
			return 0, err
		}
	}
	norm, err := t.read(last, t.last().Place(t.norm))
	return norm * t.hyper.GradScale, err
}

// Hyper sets what changes from step to step.
func (t *Trainer) Hyper(h adamw.Step) {
	h.GradScale = 1 / float64(t.Accumulate)
	*t.hyper = h
}

// FirstBad runs the last micro-batch again and names the first tensor that is
// not finite: a parameter, or the result of a launch.
func (t *Trainer) FirstBad() (string, error) {
	for _, p := range t.Graph.Params {
		values := make([]float32, p.Size())
		if err := t.Memory.Read(plan.Parameters, p.Offset, values); err != nil {
			return "", err
		}
		if !finite(values) {
			return "parameter " + p.Name, nil
		}
	}
	bad := ""
	err := t.programs[0].Launches(func(i int) error {
		l := t.Micro.Launches[i]
		if bad != "" || l.Out.Region == plan.Parameters {
			return nil
		}
		values := make([]float32, l.Out.Values())
		if err := t.programs[0].Read(l.Out, values); err != nil {
			return err
		}
		if !finite(values) {
			bad = fmt.Sprintf("result %v of launch %d, %v%s", l.Out.Shape, i, l.Kernel, t.where(l))
		}
		return nil
	})
	return bad, err
}

// where names the layer of a launch by the parameter it reads or trains.
func (t *Trainer) where(l plan.Launch) string {
	for _, o := range append(l.In, l.Out) {
		if o.Region != plan.Parameters && o.Region != plan.Half && o.Region != plan.Gradients {
			continue
		}
		for _, p := range t.Graph.Params {
			if p.Offset*o.Type.Size() == o.Offset && p.Size() == o.Shape.TotalSize() {
				return " (" + p.Name + ")"
			}
		}
	}
	return ""
}

func finite(x []float32) bool {
	for _, e := range x {
		if math.IsNaN(float64(e)) || math.IsInf(float64(e), 0) {
			return false
		}
	}
	return true
}
