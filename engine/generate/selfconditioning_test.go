package generate

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/cuda/driver"
	"fluxion/kernels/number"
	"fluxion/kernels/philox"
	"fluxion/kernels/update"
	"fluxion/nets"
	"fluxion/nets/unet"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// conditioned is a run with a network that conditions on its own estimate.
type conditioned struct {
	device    device.Device // nil: the CPU with one thread
	precision number.Type
	method    string
	seeds     []int64
	batch     int
	guidance  Guidance
	plain     bool // the network takes no estimate after all
	deaf      bool // it takes one, but its weights for it are 0
	second    bool // there is a second network
	takes     bool // which takes an estimate
	picture   *Picture
}

const imageValues = 8 * 8 * 3

// loaded is a step on a device, with these weights, until free is called.
func loaded(t *testing.T, d device.Device, o Options, weights []float32) (g *Generator, free func()) {
	t.Helper()
	step, err := NewStep(o)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := d.Alloc(step.Sizes())
	if err != nil {
		t.Fatal(err)
	}
	if err := memory.Write(step.Weights, 0, weights); err != nil {
		t.Fatal(err)
	}
	if g, err = step.Load(d, memory); err != nil {
		t.Fatal(err)
	}
	return g, func() {
		if err := errors.Join(g.Free(), memory.Free()); err != nil {
			t.Error(err)
		}
	}
}

// small is a network of random weights, no layer of which is silent.
func small(t *testing.T, conditioned bool, seed uint64) (unet.Config, []float32) {
	t.Helper()
	c, err := unet.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	c = c.WithSize(8).WithClasses(classes + 1).WithSelfConditioning(conditioned)
	params := nets.Params(c)
	weights := make([]float32, nets.FlatSize(params))
	nets.Initialise(params, seed, weights)
	for i := range weights {
		weights[i] += float32(i%5)*0.02 - 0.04
	}
	return c, weights
}

// deafen lets the first convolution take no notice of the estimate.
func deafen(c unet.Config, weights []float32) {
	for _, p := range nets.Params(c) {
		if p.Name != "conv_in.weight" {
			continue
		}
		out, in := p.Shape[3], p.Shape[2]
		for k := range p.Size() {
			if k/out%in >= in/2 {
				weights[p.Offset+k] = 0
			}
		}
	}
}

func (c conditioned) plan(t *testing.T) (sampler.Table, *Adaptive) {
	t.Helper()
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sampler.Get(c.method)
	if err != nil {
		t.Fatal(err)
	}
	if s.Adaptive {
		grid, err := sampler.NewGrid(p, sampler.Options{Steps: 1})
		if err != nil {
			t.Fatal(err)
		}
		return sampler.Table{}, &Adaptive{s, grid, sampler.Options{Tolerance: 3e-2}}
	}
	table, err := s.Plan(p, sampler.Options{Steps: 4})
	if err != nil {
		t.Fatal(err)
	}
	return table, nil
}

// run returns the pixels by seed.
func (c conditioned) run(t *testing.T) map[int64][]byte {
	t.Helper()
	if c.device == nil {
		d, err := device.NewCPU(1, "")
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		c.device = d
	}
	if c.guidance.Scale == 0 {
		c.guidance.Scale = 1
	}
	table, adaptive := c.plan(t)
	kept, err := table.Memory(update.MaxHistory)
	if err != nil {
		t.Fatal(err)
	}
	config, weights := small(t, !c.plain, 1)
	if c.deaf {
		deafen(config, weights)
	}
	o := Options{
		Network: config, Height: 8, Width: 8, Batch: c.batch, Guided: c.guidance.Scale != 1 && !c.second, Reduced: c.guidance.Reduces(),
		Inpaint: c.picture != nil, Slots: kept.Slots, Calls: len(table.Rows), Target: c.device.Target(), Precision: c.precision,
	}
	var guideWeights []float32
	if c.second {
		weaker, more := small(t, c.takes, 2)
		o.Guide, guideWeights = weaker, more
	}
	step, err := NewStep(o)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := c.device.Alloc(step.Sizes())
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Free()
	if err := memory.Write(step.Weights, 0, weights); err != nil {
		t.Fatal(err)
	}
	if c.second {
		if err := memory.Write(step.GuideWeights, 0, guideWeights); err != nil {
			t.Fatal(err)
		}
	}
	g, err := step.Load(c.device, memory)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Free()
	r := Request{Table: table, Adaptive: adaptive, Seed: 9, Seeds: c.seeds, NullClass: classes, Guidance: c.guidance, Picture: c.picture}
	for _, seed := range c.seeds {
		r.Classes = append(r.Classes, int(seed%classes))
	}
	got := map[int64][]byte{}
	if err := g.Run(context.Background(), r, func(i int, s Sample) error {
		pixels := s.Pixels
		got[c.seeds[i]] = slices.Clone(pixels)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

// oracle samples one image on Gorgonia's own machine in float64, as "Analog Bits"
// has it in algorithm 2: every call is given the x̂ of the last.
func (c conditioned) oracle(t *testing.T, seed int64) []float64 {
	t.Helper()
	config, flat := small(t, !c.plain, 1)
	images := 1
	if c.guidance.Scale != 1 {
		images = 2
	}
	g, err := nets.Build(config, nets.BuildOptions{Batch: images, Height: 8, Width: 8, Dtype: tensor.Float64})
	if err != nil {
		t.Fatal(err)
	}
	bind := func(n *gorgonia.Node, values []float64) {
		if err := gorgonia.Let(n, tensor.New(tensor.WithShape(n.Shape()...), tensor.WithBacking(values))); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range g.Params {
		w := make([]float64, p.Size())
		for k := range w {
			w[k] = float64(flat[p.Offset+k])
		}
		bind(g.Nodes[i], w)
	}
	repeat := func(v []float64) []float64 { return slices.Repeat(v, images) }
	table, _ := c.plan(t)
	table = table.Fold()
	noise := make([]float32, imageValues)
	philox.Normal(noise, 9, philox.SampleStart, uint64(seed), 0)
	z, x := make([]float64, imageValues), make([]float64, imageValues)
	for k, e := range noise {
		z[k] = table.Start * float64(e)
	}
	for _, row := range table.Rows {
		bind(g.Sample, repeat(z))
		bind(g.Estimate, repeat(x))
		bind(g.Time, repeat([]float64{row.Call.NetworkTime}))
		bind(g.Class, append([]float64{float64(seed % classes)}, classes)[:images])
		vm := gorgonia.NewTapeMachine(g.G)
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		vm.Close()
		out := g.Output.Value().Data().([]float64)
		for k := range z {
			y := out[k]
			if images == 2 {
				u := out[imageValues+k]
				y = u + c.guidance.Scale*(y-u)
			}
			x[k] = min(max(row.X.Z*z[k]+row.X.Y*y, -1), 1)
			z[k] = row.A*z[k] + row.B[0]*y
		}
	}
	return z
}

// TestEstimateIsFedBack: pictures are those of a plain loop that hands x̂ on, with
// guidance and without; a network that does not listen makes others.
func TestEstimateIsFedBack(t *testing.T) {
	for _, scale := range []float64{1, 2.5} {
		c := conditioned{method: "euler", seeds: []int64{4, 1}, batch: 2, guidance: Guidance{Scale: scale}}
		got := c.run(t)
		c.deaf = true
		if deaf := c.run(t); bytes.Equal(deaf[4], got[4]) {
			t.Error("the estimate changes nothing")
		}
		for seed, pixels := range got {
			for i, v := range c.oracle(t, seed) {
				if want := update.Pixel(float32(v)); math.Abs(float64(want)-float64(pixels[i])) > 1 {
					t.Fatalf("guidance %v: pixel %d of seed %d is %d, want %d", scale, i, seed, pixels[i], want)
				}
			}
		}
	}
}

// TestAdaptiveTakesNoEstimate: what rk45 integrates depends on the state alone.
func TestAdaptiveTakesNoEstimate(t *testing.T) {
	c := conditioned{method: "rk45", seeds: []int64{4, 1}, batch: 1}
	got := c.run(t)
	c.deaf = true
	if deaf := c.run(t); !bytes.Equal(deaf[4], got[4]) || !bytes.Equal(deaf[1], got[1]) {
		t.Error("an estimate is fed back")
	}
}

// TestConditionedImageDependsOnItsSeedAlone: the estimate of one batch is none of
// the next one's, whatever the sampler, the guidance, and which of two networks
// takes one.
func TestConditionedImageDependsOnItsSeedAlone(t *testing.T) {
	picture := &Picture{Values: make([]float32, imageValues), Mask: make([]float32, imageValues)}
	for i := range picture.Values {
		picture.Values[i], picture.Mask[i] = float32(i%5)/4-0.5, float32(i%2)
	}
	for name, c := range map[string]conditioned{
		"euler":        {method: "euler"},
		"ddpm":         {method: "ddpm", guidance: Guidance{Scale: 2}},
		"heun":         {method: "heun", guidance: Guidance{Scale: 2, Interval: [2]float64{0, 1.5}}},
		"unipc":        {method: "unipc"},
		"dpm++-2s":     {method: "dpm++-2s"},
		"rk45":         {method: "rk45"},
		"limited":      {method: "dpm++-2m", guidance: Guidance{Scale: 3, Rescale: 0.7, Percentile: 0.9}},
		"guide":        {method: "euler", guidance: Guidance{Scale: 2}, second: true, takes: true},
		"plain guide":  {method: "euler", guidance: Guidance{Scale: 2}, second: true},
		"guide alone":  {method: "euler", guidance: Guidance{Scale: 2}, second: true, takes: true, plain: true},
		"in a picture": {method: "heun", picture: picture},
	} {
		t.Run(name, func(t *testing.T) {
			c.seeds, c.batch = []int64{0, 1, 2, 3, 4}, 5
			want := c.run(t)
			if bytes.Equal(want[0], want[3]) {
				t.Error("two seeds of one class give one picture")
			}
			c.seeds, c.batch = []int64{4, 2, 0}, 2
			for seed, pixels := range c.run(t) {
				if !bytes.Equal(pixels, want[seed]) {
					t.Errorf("seed %d is another picture in batches of two", seed)
				}
			}
		})
	}
}

// TestConditionedOnGPU: the simulated GPU makes the CPU's pictures, alone and in
// batches, in bfloat16 nearly so.
func TestConditionedOnGPU(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	t.Setenv(device.Variable, driver.Simulated)
	d, err := device.Open("cuda:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for precision, levels := range map[number.Type]int{number.Float32: 1, number.BFloat16: 10} {
		c := conditioned{precision: precision, method: "euler", seeds: []int64{0, 1}, batch: 2, guidance: Guidance{Scale: 2}}
		want := c.run(t)
		c.device = d
		got := c.run(t)
		c.seeds, c.batch = []int64{1}, 1
		if alone := c.run(t); !bytes.Equal(alone[1], got[1]) {
			t.Errorf("%v: seed 1 is another picture alone", precision)
		}
		for seed, pixels := range got {
			for i, p := range pixels {
				if off := int(p) - int(want[seed][i]); off > levels || off < -levels {
					t.Fatalf("%v: pixel %d of seed %d is %d, %d on the CPU", precision, i, seed, p, want[seed][i])
				}
			}
		}
	}
}
