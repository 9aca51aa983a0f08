package sampler

import (
	"math"
	"testing"

	"fluxion/engine/process"
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/draw"
	"fluxion/kernels/philox"
	"fluxion/kernels/row"
	"fluxion/kernels/update"
)

// The kernels run every table as the table says, here on Gaussian data: scales
// of the input and raised noise folded away, what is kept in slots, in float32.
func TestKernelsRunTables(t *testing.T) {
	const steps, images = 12, 3
	g := gaussian{m: 0.2, s: 0.3}
	k, err := cpu.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(2, k)
	defer pool.Close()
	shape := draw.Shape{Images: images, Pixels: 100, Channels: 3}
	n := images * shape.Values()
	for _, s := range tables() {
		for _, p := range []process.Process{get(t, "fm", "u"), get(t, "cosine", "eps"), get(t, "cosine", "v"), get(t, "fm", "x"), get(t, "ve", "edm")} {
			o := Options{Steps: steps}
			if s.Name == "edm-churn" {
				o.Churn = number(2)
			}
			whole, err := s.Plan(p, o)
			if err != nil {
				t.Fatal(err)
			}
			table := whole.Fold()
			memory, err := table.Memory(update.MaxHistory)
			if err != nil {
				t.Fatal(err)
			}
			name := s.Name + " on " + p.String()
			head, seeds := draw.Head{Seed: 11, Scale: float32(table.Start)}, []int64{4, 2, 8}
			matrix := func() kernels.Operand {
				return kernels.Operand{Matrix: cpu.Matrix{Data: make([]float32, n), Rows: images * shape.Pixels, Cols: 3, Pitch: 3}}
			}
			step := update.Row{Seed: head.Seed}
			pixels := kernels.Operand{Matrix: cpu.Matrix{Rows: 1, Cols: n, Pitch: n}, Bytes: make([]byte, n)}
			launch := kernels.Launch{Out: matrix(), In: []kernels.Operand{matrix(), pixels}}
			for range memory.Slots {
				launch.In = append(launch.In, matrix())
			}
			draw.NewNoise(draw.NoiseOptions{Shape: shape, Stream: philox.SampleStart}, &head, seeds).CPU(launch)(pool)
			run := update.New(update.Options{Shape: shape}, &step, seeds).CPU(launch)

			// The same in float64, of the table as it was; the noise of a row and
			// what the next call raises are one draw of the kernel.
			want, noise := make([]float64, n), make([]float32, shape.Values())
			draws := func(stream, count uint32, f func(i int, e float64)) {
				for i, image := range seeds {
					philox.Normal(noise, head.Seed, stream, uint64(image), count)
					for j, e := range noise {
						f(i*len(noise)+j, float64(e))
					}
				}
			}
			draws(philox.SampleStart, 0, func(i int, e float64) { want[i] = table.Start / whole.Rows[0].Call.Input * e })
			var kept [][]float64
			for call, r := range table.Rows {
				original := whole.Rows[call]
				c, d := g.output(original.Call)
				for i, z := range launch.Out.Data {
					launch.In[0].Data[i] = float32(c + d*float64(z)/original.Call.Input)
				}
				step.A, step.B, step.C, step.Count, step.Pixels = float32(r.A), float32(r.B[0]), float32(r.C), uint32(call), row.If(call == len(table.Rows)-1)
				step.KeepZ, step.KeepY, step.Store = float32(r.Keep.Z), float32(r.Keep.Y), int32(memory.Rows[call].Store)
				step.History = [update.MaxHistory]float32{}
				for slot, w := range memory.Rows[call].Slots {
					step.History[slot] = float32(w)
				}
				run(pool)

				next, keep := make([]float64, n), make([]float64, n)
				for i, z := range want {
					y := c + d*z
					keep[i] = y
					if original.Keep != (process.Linear{}) {
						keep[i] = original.Keep.Z*z + original.Keep.Y*y
					}
					next[i] = original.A*z + original.B[0]*y
					for k, w := range original.B[1:] {
						next[i] += w * kept[call-1-k][i]
					}
				}
				kept, want = append(kept, keep), next
				lift, noise := 1.0, original.C
				if call+1 < len(whole.Rows) && whole.Rows[call+1].Before != (Lift{}) {
					lift = whole.Rows[call+1].Before.A
					noise = math.Hypot(noise*lift, whole.Rows[call+1].Before.C)
				}
				draws(philox.SampleNoise, uint32(call), func(i int, e float64) { want[i] = lift*want[i] + noise*e })
			}
			tolerance := 3e-4
			if s.Name == "pndm" && p.Output.Name == "eps" { // from α = 0.0015 it divides by α three times
				tolerance = 3e-2
			}
			for i, w := range want {
				z := launch.Out.Data[i]
				near(t, name, float64(z), w, tolerance)
				near(t, "pixel", float64(pixels.Bytes[i]), math.Min(math.Max(127.5*(float64(z)+1), 0), 255), 0.6)
			}
		}
	}
}
