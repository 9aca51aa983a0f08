package generate

import (
	"bytes"
	"context"
	"math"
	"slices"
	"testing"

	"fluxion/engine/device"
	"fluxion/kernels/cuda/driver"
	"fluxion/kernels/number"
	"fluxion/kernels/philox"
	"fluxion/kernels/update"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// translation samples with a network that is given a second image of one channel.
type translation struct {
	conditioned
	begin bool // with an image, half of the noise left
	blank bool // the second images are 0
}

// second is the second image of a seed, of one channel.
func (c translation) second(seed int64, to []float32) {
	for k := range to {
		if !c.blank {
			to[k] = float32((k*7+int(seed)*5)%11)/5 - 1
		}
	}
}

func (c translation) first(seed int64, alpha, sigma float64, z []float32) {
	for k := range z {
		z[k] = float32(alpha)*float32(k%5-2) + 0.5*z[k] + float32(sigma)*float32(seed)/10
	}
}

func (c translation) network(t *testing.T) (nets.Network, []float32) {
	config, _ := small(t, !c.plain, 1)
	config = config.WithConcat(1)
	params := nets.Params(config)
	weights := make([]float32, nets.FlatSize(params))
	nets.Initialise(params, 1, weights)
	for i := range weights {
		weights[i] += float32(i%5)*0.02 - 0.04
	}
	return config, weights
}

func (c translation) run(t *testing.T) map[int64][]byte {
	t.Helper()
	if c.device == nil {
		d, err := device.NewCPU(2, "")
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		c.device = d
	}
	table, adaptive := c.plan(t)
	config, weights := c.network(t)
	g, free := loaded(t, c.device, Options{
		Network: config, Height: 8, Width: 8, Batch: c.batch, Guided: c.guidance.Scale != 1, Calls: len(table.Rows), Target: c.device.Target(), Precision: number.Float32,
	}, weights)
	defer free()
	r := Request{Table: table, Adaptive: adaptive, Seed: 9, Seeds: c.seeds, NullClass: classes, Guidance: c.guidance}
	for _, seed := range c.seeds {
		r.Classes = append(r.Classes, int(seed%classes))
	}
	if err := g.Run(context.Background(), r, nil); err == nil {
		t.Error("a network that takes a second image goes without one")
	}
	r.Input = func(i int, to []float32) error { c.second(c.seeds[i], to); return nil }
	if c.begin {
		r.Begin = func(i int, alpha, sigma float64, z []float32) error { c.first(c.seeds[i], alpha, sigma, z); return nil }
	}
	got := map[int64][]byte{}
	if err := g.Run(context.Background(), r, func(i int, s Sample) error {
		got[c.seeds[i]] = slices.Clone(s.Pixels)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

// oracle samples one image on Gorgonia's own machine in float64.
func (c translation) oracle(t *testing.T, seed int64) []float64 {
	t.Helper()
	config, flat := c.network(t)
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
	wide := func(v []float32) (all []float64) {
		for _, x := range v {
			all = append(all, float64(x))
		}
		return all
	}
	for i, p := range g.Params {
		bind(g.Nodes[i], wide(flat[p.Offset:][:p.Size()]))
	}
	table, _ := c.plan(t)
	table = table.Fold()
	begin, input := make([]float32, imageValues), make([]float32, 64)
	philox.Normal(begin, 9, philox.SampleStart, uint64(seed), 0)
	for k := range begin {
		begin[k] *= float32(table.Start)
	}
	if c.begin {
		c.first(seed, table.Rows[0].Call.Alpha, table.Start, begin)
	}
	c.second(seed, input)
	z, x := wide(begin), make([]float64, imageValues)
	for _, row := range table.Rows {
		bind(g.Sample, slices.Repeat(z, images))
		bind(g.Concat, slices.Repeat(wide(input), images))
		if g.Estimate != nil {
			bind(g.Estimate, slices.Repeat(x, images))
		}
		bind(g.Time, slices.Repeat([]float64{row.Call.NetworkTime}, images))
		bind(g.Class, []float64{float64(seed % classes), classes}[:images])
		vm := gorgonia.NewTapeMachine(g.G)
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		vm.Close()
		out := g.Output.Value().Data().([]float64)
		for k := range z {
			y := out[k]
			if images == 2 {
				y = out[imageValues+k] + c.guidance.Scale*(y-out[imageValues+k])
			}
			x[k] = min(max(row.X.Z*z[k]+row.X.Y*y, -1), 1)
			z[k] = row.A*z[k] + row.B[0]*y
		}
	}
	return z
}

// TestSecondImage: pictures are those of a plain loop in which the network is given the
// second image in every call, guided or not, with its estimate or not, from noise or from
// an image; blank ones give others.
func TestSecondImage(t *testing.T) {
	for _, c := range []translation{
		{conditioned: conditioned{plain: true, guidance: Guidance{Scale: 1}}},
		{conditioned: conditioned{guidance: Guidance{Scale: 2.5}}, begin: true},
	} {
		c.method, c.seeds, c.batch = "euler", []int64{4, 1}, 2
		got := c.run(t)
		c.blank = true
		if blank := c.run(t); bytes.Equal(blank[4], got[4]) {
			t.Error("the second image changes nothing")
		}
		c.blank = false
		for seed, pixels := range got {
			for i, v := range c.oracle(t, seed) {
				if want := update.Pixel(float32(v)); math.Abs(float64(want)-float64(pixels[i])) > 1 {
					t.Fatalf("guidance %v: pixel %d of seed %d is %d, want %d", c.guidance.Scale, i, seed, pixels[i], want)
				}
			}
		}
	}
}

// TestSecondImagesStayApart: an image depends on its own seed, second image and beginning
// alone, in batches of any size, by any sampler; the simulated GPU makes the CPU's.
func TestSecondImagesStayApart(t *testing.T) {
	t.Setenv(device.Variable, driver.Simulated)
	d, err := device.Open("cuda:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, method := range []string{"euler", "rk45"} {
		c := translation{conditioned: conditioned{method: method, plain: true, guidance: Guidance{Scale: 2}}, begin: true}
		c.seeds, c.batch = []int64{0, 1, 2}, 3
		if method == "rk45" {
			c.seeds, c.batch = []int64{0, 2}, 1
		}
		want := c.run(t)
		c.seeds, c.batch = []int64{2, 0, 2}, min(c.batch, 2)
		for seed, pixels := range c.run(t) {
			if !bytes.Equal(pixels, want[seed]) {
				t.Errorf("%s: seed %d is another picture in other batches", method, seed)
			}
		}
		if testing.Short() || method == "rk45" {
			continue
		}
		c.device, c.seeds = d, []int64{2, 0}
		for seed, pixels := range c.run(t) {
			for i, p := range pixels {
				if off := int(p) - int(want[seed][i]); off > 1 || off < -1 {
					t.Fatalf("%s: pixel %d of seed %d is %d, %d on the CPU", method, i, seed, p, want[seed][i])
				}
			}
		}
	}
}
