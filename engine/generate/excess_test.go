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
	"fluxion/kernels/update"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// excessive is DDIM that clips x̂ and keeps the ε̂ of before, guided, as a table and an
// excess: z' = α_s x̂' + σ_s ε̂.
func excessive(t *testing.T) Request {
	t.Helper()
	p, err := process.Get("ddpm-linear", process.ScheduleOptions{}, "eps")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sampler.Get("ddim")
	if err != nil {
		t.Fatal(err)
	}
	table, err := s.Plan(p, sampler.Options{Steps: 3})
	if err != nil {
		t.Fatal(err)
	}
	r := Request{Table: table, Seed: 9, Seeds: []int64{4, 1, 7}, Guidance: Guidance{Scale: 2}, NullClass: classes, Clip: true, Range: 0.8}
	for i, row := range table.Rows {
		next := table.Grid.Points[i+1]
		r.Excess = append(r.Excess, next.Sigma*row.Call.Alpha/row.Call.Sigma)
	}
	for _, seed := range r.Seeds {
		r.Classes = append(r.Classes, int(seed%classes))
	}
	return r
}

func runExcess(t *testing.T, d device.Device, batch int) [][]byte {
	t.Helper()
	r := excessive(t)
	config, weights := small(t, false, 1)
	g, free := loaded(t, d, Options{
		Network: config, Height: 8, Width: 8, Batch: batch, Guided: true, Unlimited: true, Calls: len(r.Table.Rows), Target: d.Target(), Precision: number.Float32,
	}, weights)
	defer free()
	var pictures [][]byte
	if err := g.Run(context.Background(), r, func(_ int, s Sample) error {
		pixels := s.Pixels
		pictures = append(pictures, slices.Clone(pixels))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r.Excess = nil
	if err := g.Run(context.Background(), r, nil); err == nil {
		t.Error("a step for an excess runs without one")
	}
	return pictures
}

// excessOracle samples one image on Gorgonia's own machine in float64.
func excessOracle(t *testing.T, seed int64) []float64 {
	t.Helper()
	r := excessive(t)
	config, flat := small(t, false, 1)
	g, err := nets.Build(config, nets.BuildOptions{Batch: 2, Height: 8, Width: 8, Dtype: tensor.Float64})
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
	noise := make([]float32, imageValues)
	philox.Normal(noise, r.Seed, philox.SampleStart, uint64(seed), 0)
	z := make([]float64, imageValues)
	for k, e := range noise {
		z[k] = r.Table.Start * float64(e)
	}
	for i, row := range r.Table.Rows {
		bind(g.Sample, slices.Repeat(z, 2))
		bind(g.Time, slices.Repeat([]float64{row.Call.NetworkTime}, 2))
		bind(g.Class, []float64{float64(seed % classes), classes})
		vm := gorgonia.NewTapeMachine(g.G)
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		vm.Close()
		out := g.Output.Value().Data().([]float64)
		from, to := row.Call, r.Table.Grid.Points[i+1]
		for k := range z {
			eps := out[imageValues+k] + r.Guidance.Scale*(out[k]-out[imageValues+k])
			x := min(max((z[k]-from.Sigma*eps)/from.Alpha, -r.Range), r.Range)
			z[k] = to.Alpha*x + to.Sigma*eps
		}
	}
	return z
}

// TestExcess: the noise that the network said before x̂ was clipped is what a step
// goes on with, in any batch and on a GPU.
func TestExcess(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	processor, err := device.NewCPU(1, "")
	if err != nil {
		t.Fatal(err)
	}
	defer processor.Close()
	t.Setenv(device.Variable, driver.Simulated)
	simulated, err := device.Open("cuda:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer simulated.Close()
	r := excessive(t)
	last := len(r.Table.Rows) - 1
	end := r.Table.Grid.Points[last+1]
	oracles := map[int64][]float64{}
	for _, seed := range r.Seeds {
		oracles[seed] = excessOracle(t, seed)
	}
	for name, pictures := range map[string][][]byte{"CPU": runExcess(t, processor, 3), "batches": runExcess(t, processor, 2), "GPU": runExcess(t, simulated, 3)} {
		for i, seed := range r.Seeds {
			for k, v := range oracles[seed] {
				if want := update.Pixel(float32(v / end.Alpha)); math.Abs(float64(want)-float64(pictures[i][k])) > 1 {
					t.Fatalf("%s: pixel %d of seed %d is %d, want %d", name, k, seed, pictures[i][k], want)
				}
			}
		}
	}
}
