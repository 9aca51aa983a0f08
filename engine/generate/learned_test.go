package generate

import (
	"context"
	"math"
	"slices"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/cuda/driver"
	"fluxion/kernels/number"
	"fluxion/kernels/philox"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// learns is a network that says a variance, and its weights.
func learns(t *testing.T) (nets.Network, []float32) {
	t.Helper()
	config, _ := small(t, false, 1)
	like := config.Spec()
	like.Variance = true
	n, err := config.Fit(like)
	if err != nil {
		t.Fatal(err)
	}
	params := nets.Params(n)
	weights := make([]float32, nets.FlatSize(params))
	nets.Initialise(params, 1, weights)
	for i := range weights {
		weights[i] += float32(i%5)*0.02 - 0.04
	}
	return n, weights
}

func learnedTable(t *testing.T) sampler.Table {
	t.Helper()
	p, err := process.Get("ddpm-linear", process.ScheduleOptions{}, "eps")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sampler.Get("ddpm")
	if err != nil {
		t.Fatal(err)
	}
	table, err := s.Plan(p, sampler.Options{Steps: 4, Grid: "trailing", Variance: sampler.Learned})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// learnedLoop is the last state of a plain loop in float64.
func learnedLoop(t *testing.T, seed int64, guidance float64) []float64 {
	t.Helper()
	n, flat := learns(t)
	g, err := nets.Build(n, nets.BuildOptions{Batch: 2, Height: 8, Width: 8, Dtype: tensor.Float64})
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
	table := learnedTable(t)
	noise := make([]float32, imageValues)
	philox.Normal(noise, 9, philox.SampleStart, uint64(seed), 0)
	z := wide(noise)
	for k := range z {
		z[k] *= table.Start
	}
	for i, row := range table.Rows {
		bind(g.Sample, slices.Repeat(z, 2))
		bind(g.Time, slices.Repeat([]float64{row.Call.NetworkTime}, 2))
		bind(g.Class, []float64{float64(seed % classes), classes})
		vm := gorgonia.NewTapeMachine(g.G)
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		vm.Close()
		out, v := g.Output.Value().Data().([]float64), g.Variance.Value().Data().([]float64)
		philox.Normal(noise, 9, philox.SampleNoise, uint64(seed), uint32(i))
		for k := range z {
			y := out[imageValues+k] + guidance*(out[k]-out[imageValues+k])
			z[k] = row.A*z[k] + row.B[0]*y
			if i+1 < len(table.Rows) { // the logarithm of the variance between those of β̃ and β
				t, s := row.Call, table.Rows[i+1].Call
				largest := 1 - t.Alpha*t.Alpha/(s.Alpha*s.Alpha)
				least := largest * s.Sigma * s.Sigma / (t.Sigma * t.Sigma)
				part := (v[k] + 1) / 2
				z[k] += math.Exp((part*math.Log(largest)+(1-part)*math.Log(least))/2) * float64(noise[k])
			}
		}
	}
	return z
}

// TestLearned: samples of a learnt variance are those of a plain loop, in which it is that of the
// images with their class; the same to the bit whatever the batch, and on a GPU.
func TestLearned(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	n, weights := learns(t)
	run := func(d device.Device, batch int, guidance float64, seeds ...int64) (values []float32) {
		t.Helper()
		g, free := loaded(t, d, Options{Network: n, Height: 8, Width: 8, Batch: batch, Guided: guidance != 1, Spread: true, Calls: 4, Target: d.Target(), Precision: number.Float32}, weights)
		defer free()
		r := Request{Table: learnedTable(t), Seed: 9, Seeds: seeds, NullClass: classes, Guidance: Guidance{Scale: guidance}}
		for _, seed := range seeds {
			r.Classes = append(r.Classes, int(seed%classes))
		}
		if err := g.Run(context.Background(), r, func(_ int, s Sample) error {
			values = append(values, s.Values...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return values
	}
	near := func(what string, got []float32, want []float64) {
		t.Helper()
		worst, largest := 0.0, 0.0
		for i, w := range want {
			worst, largest = max(worst, math.Abs(float64(got[i])-w)), max(largest, math.Abs(w))
		}
		if !(worst <= 2e-4*largest) {
			t.Errorf("%s: off by %g of %g", what, worst, largest)
		}
	}
	cpu, err := device.NewCPU(2, "")
	if err != nil {
		t.Fatal(err)
	}
	defer cpu.Close()
	for _, guidance := range []float64{1, 2} {
		got := run(cpu, 2, guidance, 3, 7, 4)
		near("seed 7", got[imageValues:], learnedLoop(t, 7, guidance))
		if alone := run(cpu, 1, guidance, 7); !slices.Equal(alone, got[imageValues:2*imageValues]) {
			t.Error("an image depends on its batch")
		}
	}
	t.Setenv(device.Variable, driver.Simulated)
	gpu, err := device.Open("cuda:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer gpu.Close()
	near("on a GPU", run(gpu, 1, 2, 7), learnedLoop(t, 7, 2))
}
