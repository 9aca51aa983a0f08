// Package generate runs samplers on networks: it turns seeds and classes into
// images, batch after batch. An image depends on its own seed alone.
package generate

import (
	"context"
	"fmt"

	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/engine/sampler"
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/draw"
	"fluxion/kernels/update"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Options say what a sampling step computes.
type Options struct {
	Config        nets.Config
	Height, Width int
	Batch         int  // images made together
	Guided        bool // evaluate every image without its class, too
	Slots         int  // outputs of earlier calls that the sampler combines
	Threads       int
}

// Step is a sampling step as a plan: network, guidance, update.
type Step struct {
	Options
	Graph *nets.Graph
	Plan  *plan.Plan

	shape  draw.Shape
	seeds  *draw.Seeds
	update *update.Step
	pixels []byte
}

// NewStep builds the network's graph and compiles the plan. Guidance makes the
// network's batch twice as large: with classes, then without.
func NewStep(o Options) (*Step, error) {
	images := o.Batch
	if o.Guided {
		images *= 2
	}
	g, err := nets.Build(o.Config, nets.BuildOptions{Batch: images, Height: o.Height, Width: o.Width, Dtype: tensor.Float32})
	if err != nil {
		return nil, err
	}
	s := &Step{Options: o, Graph: g, seeds: &draw.Seeds{Images: make([]int64, o.Batch)}}
	s.update = &update.Step{Seeds: *s.seeds}
	s.shape = draw.Shape{Images: o.Batch, Pixels: o.Height * o.Width, Channels: o.Config.InChannels}
	s.pixels = make([]byte, o.Batch*s.shape.Values())
	c := plan.Options{
		Inputs: []*gorgonia.Node{g.Sample, g.Time}, Outputs: []*gorgonia.Node{g.Output},
		FlatSize: nets.FlatSize(g.Params), Threads: o.Threads,
	}
	if g.Class != nil {
		c.Inputs = append(c.Inputs, g.Class)
	}
	stage := plan.Stage{Kernel: updateStage{step: s}, In: []plan.Ref{{Node: g.Output}}, Out: plan.Ref{Node: g.Sample}}
	for i := range o.Slots {
		slot := gorgonia.NewTensor(g.G, tensor.Float32, 4, gorgonia.WithName(fmt.Sprint("history ", i)),
			gorgonia.WithShape(o.Batch, o.Height, o.Width, o.Config.OutChannels))
		c.Inputs = append(c.Inputs, slot)
		stage.In = append(stage.In, plan.Ref{Node: slot})
	}
	c.After = []plan.Stage{stage}
	for i, p := range g.Params {
		c.Parameters = append(c.Parameters, plan.Parameter{Node: g.Nodes[i], Offset: p.Offset})
	}
	s.Plan, err = plan.Compile(c)
	return s, err
}

// updateStage puts the sampler's update into the plan. Its output is the
// network's input, whose second half, under guidance, repeats the first.
type updateStage struct {
	kernels.Signature
	step *Step
}

func (u updateStage) String() string { return update.Kernel{Shape: u.step.shape}.String() }

func (u updateStage) Cost([]tensor.Shape, tensor.Shape) kernels.Cost {
	return update.Kernel{Shape: u.step.shape}.Cost(u.step.Slots)
}

func (u updateStage) CPU(l kernels.Launch) func(*cpu.Pool) {
	s := u.step
	rows := s.Batch * s.shape.Pixels
	half := func(m cpu.Matrix, i int) cpu.Matrix { return kernels.Rows(m, i*rows, rows) }
	o := update.Operands{Z: half(l.Out.Matrix, 0), Y: half(l.In[0].Matrix, 0), Pixels: s.pixels}
	if s.Guided {
		o.Unconditional = half(l.In[0].Matrix, 1)
	}
	for _, slot := range l.In[1:] {
		o.History = append(o.History, slot.Matrix)
	}
	run := update.Kernel{Shape: s.shape}.CPU(s.update, o)
	if !s.Guided {
		return run
	}
	repeat := kernels.RowLoop(o.Z, func(k *cpu.Kernels, r, n int) {
		k.Copy(kernels.Rows(half(l.Out.Matrix, 1), r, n), kernels.Rows(o.Z, r, n))
	})
	return func(p *cpu.Pool) {
		run(p)
		repeat(p)
	}
}

// Load binds the step to memory whose parameters are the weights to sample from.
func (s *Step) Load(d device.Device, m device.Memory) *Generator {
	g := &Generator{Step: s, program: d.Load(s.Plan, m)}
	z := g.program.Matrix(s.Plan.Place(s.Graph.Sample))
	g.z = kernels.Rows(z, 0, s.Batch*s.shape.Pixels)
	g.start = d.Bind(draw.Start{Shape: s.shape}.CPU(g.seeds, g.z))
	if s.Guided {
		g.second = kernels.Rows(z, s.Batch*s.shape.Pixels, s.Batch*s.shape.Pixels)
	}
	return g
}

// Generator is a sampling step on a device.
type Generator struct {
	*Step
	program   device.Program
	z, second cpu.Matrix
	start     func()
}

// Request is what to make.
type Request struct {
	Table     sampler.Table
	Seed      uint64  // the key of all randomness
	Seeds     []int64 // the number of each image
	Classes   []int   // of each image; nil for an unconditional network
	NullClass int     // the class that stands for none
	Guidance  float64 // 1: the conditional output alone
	Clip      bool    // clip the predicted image to the range of pixels
}

// Run makes the images in batches and hands each out as soon as its batch is
// done: its place in the request and its pixels (NHWC), which are valid until
// visit returns.
func (g *Generator) Run(ctx context.Context, r Request, visit func(i int, pixels []byte) error) error {
	for first := 0; first < len(r.Seeds); first += g.Batch {
		n := min(g.Batch, len(r.Seeds)-first)
		if err := g.batch(ctx, r, first, n); err != nil {
			return err
		}
		for i := range n {
			if err := visit(first+i, g.pixels[i*g.shape.Values():][:g.shape.Values()]); err != nil {
				return err
			}
		}
	}
	return nil
}

// batch makes images [first, first+n); a batch that is not full repeats its last image.
func (g *Generator) batch(ctx context.Context, r Request, first, n int) error {
	at := func(i int) int { return first + min(i, n-1) }
	for i := range g.Batch {
		g.seeds.Images[i] = r.Seeds[at(i)]
	}
	g.seeds.Seed, g.seeds.Scale = r.Seed, float32(r.Table.Start)
	g.start()
	for i := range g.second.Rows {
		copy(g.second.Row(i), g.z.Row(i))
	}
	if g.Graph.Class != nil {
		classes := g.program.Matrix(g.Plan.Place(g.Graph.Class)).Data
		for i := range g.Batch {
			classes[i] = float32(r.Classes[at(i)])
			if g.Guided {
				classes[g.Batch+i] = float32(r.NullClass)
			}
		}
	}
	times := g.program.Matrix(g.Plan.Place(g.Graph.Time))
	for i, row := range r.Table.Rows {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		u := update.Step{
			A: float32(row.A), C: float32(row.C), Guidance: float32(r.Guidance),
			Clip: r.Clip, XZ: float32(row.X.Z), XY: float32(row.X.Y),
			Count: uint32(i), Pixels: i == len(r.Table.Rows)-1, Seeds: *g.seeds,
		}
		if err := u.SetOutputs(row.B, i, g.Slots); err != nil {
			return err
		}
		*g.update = u
		for j := range times.Cols {
			times.Data[j] = float32(row.NetworkTime)
		}
		g.program.Run()
	}
	return nil
}

// Evaluate runs the step once, whatever its inputs hold: for benchmarks.
func (g *Generator) Evaluate() { g.program.Run() }
