package unet

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"fluxion/kernels/loss"
	"fluxion/kernels/mix"
	"fluxion/nets"
	"fluxion/nets/netstest"

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
		netstest.Let(t, n, random(n.Shape().TotalSize(), uint64(i)))
	}
	netstest.Let(t, g.Time, []float64{300, 700.5})
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
	netstest.Let(t, apart.Sample, z)
	netstest.Let(t, apart.Estimate, x)
	run(t, apart)

	together := joined(t, c, z, x)
	compare(t, "output", apart.Output.Value(), together, 1e-12*largest(together))
}

// joined is what UNet2DModel says of images of 4×4 pixels and three channels that stand
// behind each other in what it takes.
func joined(t *testing.T, c Config, images ...[]float64) []float64 {
	t.Helper()
	c = c.WithSelfConditioning(false)
	c.InChannels = 3 * len(images)
	c.OutChannels = c.InChannels // the first three of which are looked at
	g := conditioned(t, c)
	var all []float64
	for p := range 32 {
		for _, x := range images {
			all = append(all, x[3*p:][:3]...)
		}
	}
	netstest.Let(t, g.Sample, all)
	for i, p := range g.Params {
		if strings.HasPrefix(p.Name, "conv_out.") {
			widen(t, g.Nodes[i], uint64(i), p, len(images))
		}
	}
	run(t, g)
	var first []float64
	for i, y := range g.Output.Value().Data().([]float64) {
		if i%c.OutChannels < 3 {
			first = append(first, y)
		}
	}
	return first
}

// widen gives an output of more channels the parameters of one of three, and others.
func widen(t *testing.T, n *gorgonia.Node, seed uint64, p nets.Param, times int) {
	t.Helper()
	few, all := random(p.Size()/times, seed), make([]float64, p.Size())
	for i := range all {
		if at := i % (3 * times); at < 3 {
			all[i] = few[i/(3*times)*3+at]
		}
	}
	netstest.Let(t, n, all)
}

// TestSecondImage: it stands behind the noisy one, before an estimate. The folder says it
// by its in_channels, as diffusers' networks of super-resolution do, and nothing else.
func TestSecondImage(t *testing.T) {
	plain := flowConfig(t)
	z, a, x := random(96, 90), random(96, 91), random(96, 92)
	for _, estimate := range []bool{false, true} {
		c := plain.WithSelfConditioning(estimate).WithConcat(3)
		g := conditioned(t, c)
		netstest.Let(t, g.Sample, z)
		netstest.Let(t, g.Concat, a)
		images := [][]float64{z, a}
		if estimate {
			netstest.Let(t, g.Estimate, x)
			images = append(images, x)
		}
		run(t, g)
		want := joined(t, c, images...)
		compare(t, "output", g.Output.Value(), want, 1e-12*largest(want))
		back, err := ParseConfig(c.JSON())
		if s := back.Spec(); err != nil || s != c.Spec() || s.Channels != 3 || s.Outputs != 3 || s.Concat != 3 || s.Estimate != estimate || nets.CheckDenoiser(back) != nil {
			t.Errorf("read again it is %+v, %v", s, err)
		}
		if fits, err := back.Fit(plain.Spec()); err != nil || string(fits.JSON()) != string(plain.JSON()) {
			t.Errorf("without it is\n%s", fits.JSON())
		}
	}
	grey := plain.WithConcat(1)
	if s := grey.WithChannels(1).Spec(); grey.InChannels != 4 || s.Channels != 1 || s.Concat != 1 || strings.Contains(string(grey.JSON()), "concat") {
		t.Errorf("of a grey second image it is %+v", grey)
	}
	if _, err := conditioned(t, grey).Apply(nets.Inputs{Sample: conditioned(t, grey).Sample}); err == nil {
		t.Error("it is applied without a second image")
	}
	narrow := plain
	narrow.InChannels = 2
	if e := (*nets.ConfigError)(nil); !errors.As(nets.CheckDenoiser(narrow), &e) {
		t.Error("a network of 2 channels in and 3 out makes images out of noisy ones")
	}
}

// TestFirstPassHasNoGradient: the gradients of a network that is given its own
// estimate are those of one that is given the same numbers from outside.
func TestFirstPassHasNoGradient(t *testing.T) {
	c := flowConfig(t).WithSelfConditioning(true)
	z, target := random(96, 90), random(96, 91)
	gradients := func(g *nets.Graph) gorgonia.Nodes {
		goal := gorgonia.NewTensor(g.G, tensor.Float64, 4, gorgonia.WithShape(2, 4, 4, 3), gorgonia.WithName("target"))
		weight := gorgonia.NewVector(g.G, tensor.Float64, gorgonia.WithShape(2), gorgonia.WithName("weight"))
		netstest.Let(t, g.Sample, z)
		netstest.Let(t, goal, target)
		netstest.Let(t, weight, []float64{1, 0.5})
		grads, err := gorgonia.Grad(loss.MSE(g.Output, goal, weight), g.Nodes...)
		if err != nil {
			t.Fatal(err)
		}
		return grads
	}
	first := conditioned(t, c)
	netstest.Let(t, first.Estimate, make([]float64, 96))
	weights := gorgonia.NewMatrix(first.G, tensor.Float64, gorgonia.WithShape(2, 2), gorgonia.WithName("weights"))
	netstest.Let(t, weights, []float64{0.8, -0.05, 0, 0}) // the second image is given no estimate
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
		netstest.Let(t, h.Estimate, given)
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
}
