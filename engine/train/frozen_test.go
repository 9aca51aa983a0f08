package train

import (
	"errors"
	"slices"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/adamw"
	"fluxion/kernels/conv"
	"fluxion/kernels/gradnorm"
	"fluxion/kernels/loss"
	"fluxion/kernels/number"
	"fluxion/kernels/optim"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestFrozen: a network beside the trained one in a plan, which lies in a buffer of
// its own, has no gradients, no moments and no average, and is not decayed. Before
// buffers were declared it lay behind the trained one, and lost a hundredth of its
// weights in 100 steps at a decay of 0.1.
func TestFrozen(t *testing.T) {
	const batch, width = 2, 64
	d := cpuDevice(t, 1)
	g := gorgonia.NewGraph()
	images := func(name string, shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Float32, 4, gorgonia.WithShape(shape...), gorgonia.WithName(name))
	}
	vector := func(name string, n int) *gorgonia.Node {
		return gorgonia.NewVector(g, tensor.Float32, gorgonia.WithShape(n), gorgonia.WithName(name))
	}
	x, weight, norm := images("x", batch, 2, 2, width), vector("weight", batch), gorgonia.NewScalar(g, tensor.Float32, gorgonia.WithName("norm"))
	student, studentBias := images("student", 1, 1, width, width), vector("student bias", width)
	teacher, teacherBias := images("teacher", 1, 1, width, width), vector("teacher bias", width)
	l := loss.MSE(conv.Conv2D(x, student, studentBias, conv.Same(1)), conv.Conv2D(x, teacher, teacherBias, conv.Same(1)), weight)
	grads, err := gorgonia.Grad(l, student, studentBias)
	if err != nil {
		t.Fatal(err)
	}
	const size = width*width + width
	b := newBuffers(size, size, true, adamW.states, StepOptions{Target: d.Target(), Precision: number.Float32})
	frozen := plan.Weights("teacher", size, d.Target(), number.Float32)
	hyper := &adamw.Hyper{LearningRate: 1e-2, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, WeightDecay: 0.1, Clip: optim.Clip{Scale: 1}, EMADecay: 0.9}
	p, err := plan.Compile(plan.Options{
		Inputs: []*gorgonia.Node{x, weight, norm}, Outputs: []*gorgonia.Node{l}, Target: d.Target(), Gradients: b.Gradients,
		Parameters: []plan.Parameter{
			{Node: student, Buffer: b.Parameters, Gradient: grads[0]}, {Node: studentBias, Buffer: b.Parameters, Offset: width * width, Gradient: grads[1]},
			{Node: teacher, Buffer: frozen}, {Node: teacherBias, Buffer: frozen, Offset: width * width},
		},
		After: []plan.Stage{
			{Kernel: gradnorm.New(), In: []plan.Ref{{Buffer: b.Gradients}}, Out: plan.Ref{Node: norm}},
			{Kernel: adamw.New(hyper, nil), Out: plan.Ref{Buffer: b.Parameters}, In: []plan.Ref{
				{Buffer: b.Gradients}, {Buffer: b.States[0]}, {Buffer: b.States[1]}, {Buffer: b.EMA}, {Node: norm},
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []*plan.Buffer{b.Gradients, b.States[0], b.States[1], b.EMA} {
		if p.Sizes[own] != p.Sizes[frozen] { // of one network, not of two
			t.Errorf("%v has %d bytes, a network %d", own, p.Sizes[own], p.Sizes[frozen])
		}
	}
	m, err := d.Alloc(p.Sizes)
	if err != nil {
		t.Fatal(err)
	}
	program, err := d.Load(p, m)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(program.Free(), m.Free()); err != nil {
			t.Error(err)
		}
	}()
	numbers := func(n int, scale float32) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = scale * float32(i%7-3)
		}
		return v
	}
	taught := numbers(size, 0.1)
	err = errors.Join(m.Write(frozen, 0, taught), m.Write(b.Parameters, 0, numbers(size, -0.05)),
		program.Write(p.Place(x), numbers(batch*2*2*width, 0.5)), program.Write(p.Place(weight), []float32{1, 1}))
	if err != nil {
		t.Fatal(err)
	}
	var losses [2]float32
	for i := range int64(100) {
		hyper.Count = i + 1
		err := errors.Join(device.Run(program), program.Read(p.Place(l), losses[min(i, 1):][:1]))
		if err != nil {
			t.Fatal(err)
		}
	}
	if losses[1] > losses[0]/10 {
		t.Errorf("the student does not learn from its teacher: loss %v at first, %v after 100 steps", losses[0], losses[1])
	}
	got := make([]float32, size)
	if err := m.Read(frozen, 0, got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, taught) {
		t.Error("training changed a network that is not trained")
	}
}
