package device

import (
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/engine/plan"
	"fluxion/kernels/attention"
	"fluxion/kernels/cast"
	"fluxion/kernels/conv"
	"fluxion/kernels/groupnorm"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestStatistics: a convolution on a GPU leaves the statistics of what it makes,
// addend included, for the norm behind it, which gives the same as if it had read
// all of it, up to the rounding of bf16.
func TestStatistics(t *testing.T) {
	d := testCUDA(t)
	const images, channels = 2, 16
	const flat = 3*3*channels*channels + 3*channels
	results := map[bool][]float32{}
	for _, fused := range []bool{true, false} {
		g := gorgonia.NewGraph()
		weights := plan.Weights("params", flat, d.Target(), number.BFloat16)
		input := gorgonia.NewTensor(g, tensor.Float32, 4, gorgonia.WithShape(images, 8, 16, channels), gorgonia.WithName("x"))
		var parameters []plan.Parameter
		offset := 0
		parameter := func(name string, shape ...int) *gorgonia.Node {
			n := gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
			parameters = append(parameters, plan.Parameter{Node: n, Buffer: weights, Offset: offset})
			offset += tensor.Shape(shape).TotalSize()
			return n
		}
		x := gorgonia.Must(gorgonia.Add(conv.Conv2D(input, parameter("w", 3, 3, channels, channels), parameter("b", channels), conv.Same(3)), input))
		y := groupnorm.GroupNorm(x, parameter("gamma", channels), parameter("beta", channels), groupnorm.Options{Groups: 4, Epsilon: 1e-5, SiLU: true})
		o := plan.Options{
			Inputs: []*gorgonia.Node{input}, Outputs: []*gorgonia.Node{y}, Parameters: parameters,
			Target: d.Target(), Precision: number.BFloat16,
		}
		if !fused {
			o.Without = []string{"statistics"}
		}
		p, err := plan.Compile(o)
		if err != nil {
			t.Fatal(err)
		}
		with := slices.ContainsFunc(p.Launches, func(l plan.Launch) bool { return l.Partials.Chunks == 2 })
		if with != fused {
			t.Fatalf("fused %v, but the plan is\n%v", fused, p.Launches)
		}
		m := alloc(t, d, p.Sizes)
		rng := rand.New(rand.NewPCG(1, 2))
		normal := func(n int) []float32 {
			v := make([]float32, n)
			for i := range v {
				v[i] = float32(rng.NormFloat64())
			}
			return v
		}
		if err := m.Write(weights, 0, normal(flat)); err != nil {
			t.Fatal(err)
		}
		bf16, err := p.Then(plan.Stage{Kernel: cast.New(1), In: []plan.Ref{{Buffer: weights}}, Out: plan.Ref{Buffer: weights.Copy}})
		if err != nil {
			t.Fatal(err)
		}
		program := loaded(t, d, p, m)
		if err := program.Write(p.Place(input), normal(input.Shape().TotalSize())); err != nil {
			t.Fatal(err)
		}
		for _, run := range []Program{loaded(t, d, bf16, m), program} {
			if err := Run(run); err != nil {
				t.Fatal(err)
			}
		}
		results[fused] = make([]float32, input.Shape().TotalSize())
		if err := program.Read(p.Place(y), results[fused]); err != nil {
			t.Fatal(err)
		}
	}
	different := 0
	for i, want := range results[false] {
		if got := results[true][i]; got != want {
			different++
			if e := got - want; max(e, -e) > max(want, -want)/64+1e-5 {
				t.Fatalf("element %d is %v, without the fusion %v", i, got, want)
			}
		}
	}
	if different > len(results[false])/100 {
		t.Errorf("%d of %d elements differ", different, len(results[false]))
	}
}

// TestSoftmaxSums: attention leaves its softmax's sums for its gradient, whose bits are those without them.
func TestSoftmaxSums(t *testing.T) {
	d := testCUDA(t)
	const images, side, heads, dim = 2, 9, 2, 8
	results := map[bool][]float32{}
	for _, fused := range []bool{true, false} {
		g := gorgonia.NewGraph()
		input := func(name string, channels int) *gorgonia.Node {
			return gorgonia.NewTensor(g, tensor.Float32, 4, gorgonia.WithShape(images, side, side, channels), gorgonia.WithName(name))
		}
		qkv, dy := input("qkv", 3*heads*dim), input("dy", heads*dim)
		y := attention.Attention(qkv, heads)
		gradients, err := y.Op().(gorgonia.SDOp).SymDiff(gorgonia.Nodes{qkv}, y, dy)
		if err != nil {
			t.Fatal(err)
		}
		o := plan.Options{Inputs: []*gorgonia.Node{qkv, dy}, Outputs: gradients, Target: d.Target(), Precision: number.BFloat16}
		if !fused {
			o.Without = []string{"statistics"}
		}
		p, err := plan.Compile(o)
		if err != nil {
			t.Fatal(err)
		}
		with := 0
		for _, l := range p.Launches {
			if l.Partials.Bytes == 4*images*heads*side*side {
				with++
			}
		}
		if want := map[bool]int{true: 2}[fused]; with != want {
			t.Fatalf("fused %v, but of %d launches, not of %d, are sums:\n%v", fused, with, want, p.Launches)
		}
		program := loaded(t, d, p, alloc(t, d, p.Sizes))
		rng := rand.New(rand.NewPCG(1, 2))
		for _, n := range o.Inputs {
			values := make([]float32, n.Shape().TotalSize())
			for i := range values {
				values[i] = float32(rng.NormFloat64())
			}
			if err := program.Write(p.Place(n), values); err != nil {
				t.Fatal(err)
			}
		}
		if err := Run(program); err != nil {
			t.Fatal(err)
		}
		results[fused] = make([]float32, qkv.Shape().TotalSize())
		if err := program.Read(p.Place(gradients[0]), results[fused]); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(results[true], results[false]) {
		t.Error("the gradient has other bits with the sums of the forward pass")
	}
}
