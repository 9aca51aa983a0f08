package unet

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"fluxion/kernels/loss"
	"fluxion/kernels/mix"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// random numbers of a seed.
func random(n int, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	v := make([]float64, n)
	for i := range v {
		v[i] = 0.5 * r.NormFloat64()
	}
	return v
}

// conditioned is a small network in float64 whose inputs and parameters have values.
func conditioned(t *testing.T, c Config) *nets.Graph {
	t.Helper()
	g, err := nets.Build(c, nets.BuildOptions{Batch: 2, Height: 4, Width: 4, Dtype: tensor.Float64})
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range g.Nodes {
		bind(t, n, random(n.Shape().TotalSize(), uint64(i)))
	}
	bind(t, g.Time, []float64{300, 700.5})
	return g
}

func flowConfig(t *testing.T) Config {
	t.Helper()
	c, err := readConfig("testdata/diffusers/flow")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func run(t *testing.T, g *nets.Graph) {
	t.Helper()
	vm := gorgonia.NewTapeMachine(g.G)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
}

// TestEstimateStandsBehindTheImage: z and x̂ are the two halves of what UNet2DModel
// takes, in this order.
func TestEstimateStandsBehindTheImage(t *testing.T) {
	c := flowConfig(t).WithSelfConditioning(true)
	if c.InChannels != 6 || c.OutChannels != 3 {
		t.Fatalf("%d channels in, %d out", c.InChannels, c.OutChannels)
	}
	z, x := random(96, 90), random(96, 91)
	apart := conditioned(t, c)
	bind(t, apart.Sample, z)
	bind(t, apart.Estimate, x)
	run(t, apart)

	plain := c.WithSelfConditioning(false)
	plain.InChannels = 6
	together := conditioned(t, plain)
	var both []float64
	for p := range 32 {
		both = append(append(both, z[3*p:][:3]...), x[3*p:][:3]...)
	}
	bind(t, together.Sample, both)
	run(t, together)
	want := together.Output.Value().Data().([]float64)
	compare(t, "output", apart.Output.Value(), want, 1e-12*largest(want))
}

// TestFirstPassHasNoGradient: the gradients of a network that is given its own
// estimate are those of one that is given the same numbers from outside.
func TestFirstPassHasNoGradient(t *testing.T) {
	c := flowConfig(t).WithSelfConditioning(true)
	z, target := random(96, 90), random(96, 91)
	gradients := func(g *nets.Graph) gorgonia.Nodes {
		goal := gorgonia.NewTensor(g.G, tensor.Float64, 4, gorgonia.WithShape(2, 4, 4, 3), gorgonia.WithName("target"))
		weight := gorgonia.NewVector(g.G, tensor.Float64, gorgonia.WithShape(2), gorgonia.WithName("weight"))
		bind(t, g.Sample, z)
		bind(t, goal, target)
		bind(t, weight, []float64{1, 0.5})
		grads, err := gorgonia.Grad(loss.MSE(g.Output, goal, weight), g.Nodes...)
		if err != nil {
			t.Fatal(err)
		}
		return grads
	}
	first := conditioned(t, c)
	bind(t, first.Estimate, make([]float64, 96))
	weights := gorgonia.NewMatrix(first.G, tensor.Float64, gorgonia.WithShape(2, 2), gorgonia.WithName("weights"))
	bind(t, weights, []float64{0.8, -0.05, 0, 0}) // the second image is given no estimate
	x := mix.Images(mix.Options{Clip: 1}, weights, first.Sample, first.Output)
	again, err := first.Apply(nets.Inputs{Sample: first.Sample, Time: first.Time, Estimate: x})
	if err != nil {
		t.Fatal(err)
	}
	g := *first
	g.Result = again
	got := gradients(&g)
	run(t, &g)

	known := append([]float64(nil), x.Value().Data().([]float64)...)
	if largest(known[:48]) == 0 || largest(known[48:]) != 0 {
		t.Fatalf("estimates %v", known)
	}
	for name, given := range map[string][]float64{"the same estimate": known, "none": make([]float64, 96)} {
		h := conditioned(t, c)
		bind(t, h.Estimate, given)
		want := gradients(h)
		run(t, h)
		off := 0.0
		for i, p := range h.Params {
			a, b := got[i].Value().Data().([]float64), want[i].Value().Data().([]float64)
			for k := range a {
				off = max(off, (a[k]-b[k])*(a[k]-b[k]))
			}
			if name == "the same estimate" {
				compare(t, p.Name, got[i].Value(), b, 1e-12*max(1, largest(b)))
			}
		}
		if name == "none" && off < 1e-6 {
			t.Errorf("without an estimate the gradients are the same to %g", off)
		}
	}
}

// TestSelfConditionedConfig: the folder says it, and what it says is checked.
func TestSelfConditionedConfig(t *testing.T) {
	c := flowConfig(t).WithSelfConditioning(true)
	back, err := ParseConfig(c.JSON())
	if err != nil || !back.SelfConditioned() || !strings.Contains(string(c.JSON()), `"_self_conditioning": true`) {
		t.Errorf("read again it is %+v, %v", back, err)
	}
	if off := back.WithSelfConditioning(false); string(off.JSON()) != string(flowConfig(t).JSON()) {
		t.Errorf("switched off it is\n%s", off.JSON())
	}
	if grey := c.WithChannels(1); grey.InChannels != 2 || nets.CheckDenoiser(grey) != nil {
		t.Errorf("of one channel it is %+v", grey)
	}
	if got := len(nets.Params(c)); got != len(nets.Params(flowConfig(t))) || nets.Count(nets.Params(c)) != nets.Count(nets.Params(flowConfig(t)))+3*3*3*8 {
		t.Errorf("%d tensors of %d numbers", got, nets.Count(nets.Params(c)))
	}
	for _, broken := range []struct{ from, to, key string }{
		{`"in_channels": 6`, `"in_channels": 3`, "in_channels"},
		{`"_self_conditioning": true`, `"_self_conditioning": "yes"`, "_self_conditioning"},
	} {
		_, err := ParseConfig([]byte(strings.Replace(string(c.JSON()), broken.from, broken.to, 1)))
		if e := (*nets.ConfigError)(nil); !errors.As(err, &e) || e.Key != broken.key {
			t.Errorf("%s: %v", broken.to, err)
		}
	}
	wide := flowConfig(t)
	wide.InChannels = 6
	if e := (*nets.ConfigError)(nil); !errors.As(nets.CheckDenoiser(wide), &e) {
		t.Error("a network of 6 channels in and 3 out makes images out of noisy ones")
	}
}
