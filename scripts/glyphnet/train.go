package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/evaluate"
	"fluxion/engine/plan"
	"fluxion/kernels/adamw"
	"fluxion/kernels/gradnorm"
	"fluxion/kernels/loss"
	"fluxion/kernels/number"
	"fluxion/kernels/optim"
	"fluxion/kernels/reshape"
	"fluxion/nets"
	"fluxion/nets/feature"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const (
	batch = 64
	rate  = 2e-3 // at its largest
)

// step is a training step: forward, loss, backward, AdamW.
type step struct {
	network     *feature.Graph
	target      *gorgonia.Node // (N,1,1,classes): 1 for the class of the image, 0 for others
	weight      *gorgonia.Node // (N)
	loss        *gorgonia.Node
	plan        *plan.Plan
	parameters  *plan.Buffer
	hyper       adamw.Hyper
	initialised []float32
}

// newStep compiles it. The loss is the squared error of the logits, as good for
// classes as the cross entropy (Hui and Belkin, arXiv 2006.07322).
func newStep(n feature.Network, target plan.Target, seed uint64) (*step, error) {
	g, err := n.Build(batch)
	if err != nil {
		return nil, err
	}
	logits := g.Outputs[feature.Logits]
	classes := logits.Shape()[1]
	s := &step{
		network:     g,
		target:      gorgonia.NewTensor(logits.Graph(), tensor.Float32, 4, gorgonia.WithShape(batch, 1, 1, classes), gorgonia.WithName("target")),
		weight:      gorgonia.NewVector(logits.Graph(), tensor.Float32, gorgonia.WithShape(batch), gorgonia.WithName("weight")),
		hyper:       adamw.Hyper{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, WeightDecay: 0.01, Clip: optim.Clip{Scale: 1, Norm: 1}, EMADecay: 0.99},
		initialised: make([]float32, nets.FlatSize(g.Params)),
	}
	nets.Initialise(g.Params, seed, s.initialised)
	s.loss = loss.MSE(reshape.To(logits, batch, 1, 1, classes), s.target, s.weight)
	grads, err := gorgonia.Grad(s.loss, g.Nodes...)
	if err != nil {
		return nil, err
	}
	flat := func(name string) *plan.Buffer {
		return &plan.Buffer{Name: name, Type: number.Float32, Size: len(s.initialised)}
	}
	s.parameters = flat("params")
	gradients := flat("grads")
	gradients.Transient = true
	norm := gorgonia.NewScalar(logits.Graph(), tensor.Float32, gorgonia.WithName("gradient norm"))
	o := plan.Options{
		Inputs: []*gorgonia.Node{g.Image, s.target, s.weight, norm}, Outputs: []*gorgonia.Node{s.loss}, Gradients: gradients, Target: target, Precision: number.Float32,
		After: []plan.Stage{
			{Kernel: gradnorm.New(), In: []plan.Ref{{Buffer: gradients}}, Out: plan.Ref{Node: norm}},
			{
				Kernel: adamw.New(&s.hyper, nil), Out: plan.Ref{Buffer: s.parameters},
				In: []plan.Ref{{Buffer: gradients}, {Buffer: flat("moment1")}, {Buffer: flat("moment2")}, {Buffer: flat("average")}, {Node: norm}},
			},
		},
	}
	for i, p := range g.Params {
		o.Parameters = append(o.Parameters, plan.Parameter{Node: g.Nodes[i], Buffer: s.parameters, Offset: p.Offset, Gradient: grads[i]})
	}
	s.plan, err = plan.Compile(o)
	return s, err
}

// rateOf is the learning rate of step i of n: it rises over the first fifteenth, and
// falls to 0 over the second half.
func rateOf(i, n int) float64 {
	return rate * min(1, 15*float64(i+1)/float64(n), 2*float64(n-i)/float64(n))
}

// train returns the weights of the last step, whose learning rate is next to nothing.
func train(n feature.Network, d device.Device, from *images, o options) (_ []float32, err error) {
	s, err := newStep(n, d.Target(), o.seed)
	if err != nil {
		return nil, err
	}
	memory, err := d.Alloc(s.plan.Sizes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, memory.Free()) }()
	place := s.plan.Place(s.loss)
	program, err := d.Load(s.plan, memory, place)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, program.Free()) }()
	ones := make([]float32, batch)
	for i := range ones {
		ones[i] = 1
	}
	if err := errors.Join(memory.Write(s.parameters, 0, s.initialised), program.Write(s.plan.Place(s.weight), ones)); err != nil {
		return nil, err
	}
	b, next := newExamples(), newExamples()
	if err := b.fill(from, 0); err != nil {
		return nil, err
	}
	sum := 0.0
	for i := range o.steps {
		var filled error
		var filling sync.WaitGroup
		filling.Go(func() { filled = next.fill(from, i+1) })
		s.hyper.LearningRate, s.hyper.Count = rateOf(i, o.steps), int64(i+1)
		if err := errors.Join(program.Write(s.plan.Place(s.network.Image), b.pixels), program.Write(s.plan.Place(s.target), b.targets)); err != nil {
			return nil, err
		}
		var value [1]float32
		err := errors.Join(device.Run(program), program.Read(place, value[:]))
		filling.Wait()
		if err = errors.Join(err, filled); err != nil {
			return nil, err
		}
		b, next = next, b
		const shown = 500
		if sum += float64(value[0]); (i+1)%shown == 0 {
			fmt.Printf("step %d of %d: loss %.5f\n", i+1, o.steps, sum/shown)
			sum = 0
		}
		if math.IsNaN(sum) {
			return nil, fmt.Errorf("step %d: the loss is not a number", i+1)
		}
	}
	weights := make([]float32, len(s.initialised))
	return weights, memory.Read(s.parameters, 0, weights)
}

// examples are a batch.
type examples struct{ pixels, targets []float32 }

func newExamples() *examples {
	return &examples{make([]float32, batch*side*side*3), make([]float32, batch*feature.GlyphClasses)}
}

// fill reads the batch of a step.
func (e *examples) fill(from *images, step int) error {
	clear(e.targets)
	for i := range batch {
		class, err := from.read(int64(step*batch+i), e.pixels[i*side*side*3:][:side*side*3])
		if err != nil {
			return err
		}
		e.targets[i*feature.GlyphClasses+class] = 1
	}
	return nil
}

// held is a part that is held out, as eval looks at images.
type held struct{ part }

func (h held) Name() string { return h.name }
func (h held) Len() int     { return h.n }

func (h held) Each(_ context.Context, visit func(evaluate.Image) error) error {
	return h.each(func(e *data.Example) error {
		height, width, channels := h.set.Shape()
		return visit(evaluate.Image{Pixels: e.Bytes, Height: height, Width: width, Channels: channels})
	})
}

func (p part) each(visit func(*data.Example) error) error {
	e := data.NewExample(p.set)
	for i := range p.n {
		if err := errors.Join(p.set.Read(p.at(i), e), visit(e)); err != nil {
			return err
		}
	}
	return nil
}

// accuracy counts the images of a part whose class has the largest logit, among those of
// all parts.
func accuracy(n feature.Network, d device.Device, weights []float32, of part) (right, all int, err error) {
	convention, err := evaluate.FindConvention("legacy-tf")
	if err != nil {
		return 0, 0, err
	}
	set, err := evaluate.Collect(context.Background(), held{of}, evaluate.ExtractorOptions{
		Network: n, Weights: weights, Convention: convention, Batch: batch, Device: d, Precision: number.Float32,
	}, evaluate.Needs{Logits: true}, nil)
	if err != nil {
		return 0, 0, err
	}
	err = of.each(func(e *data.Example) error {
		logits := set.Logits.Values[all*set.Logits.Dim:][:set.Logits.Dim]
		best := 0
		for i, v := range logits {
			if v > logits[best] {
				best = i
			}
		}
		if all++; best == of.class+e.Class {
			right++
		}
		return nil
	})
	return right, all, err
}
