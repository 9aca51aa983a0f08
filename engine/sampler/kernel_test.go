package sampler

import (
	"math"
	"testing"

	"fluxion/kernels/cpu"
	"fluxion/kernels/draw"
	"fluxion/kernels/philox"
	"fluxion/kernels/update"
)

// The kernels run a table as the table says, here on Gaussian data, and what
// comes out has the data's mean and deviation.
func TestKernelsRunTables(t *testing.T) {
	const steps, images = 40, 3
	g := gaussian{0.2, 0.3}
	k, err := cpu.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(2, k)
	defer pool.Close()
	shape := draw.Shape{Images: images, Pixels: 1000, Channels: 3}
	n := images * shape.Values()
	for _, name := range Names() {
		for _, path := range [][2]string{{"fm", "u"}, {"cosine", "eps"}, {"cosine", "v"}, {"fm", "x"}} {
			p := get(t, path[0], path[1])
			table := plan(t, p, name, steps)
			seeds := draw.Seeds{Seed: 11, Images: []int64{4, 2, 8}, Scale: float32(table.Start)}
			matrix := func() cpu.Matrix {
				return cpu.Matrix{Data: make([]float32, n), Rows: images * shape.Pixels, Cols: 3, Pitch: 3}
			}
			step := update.Step{Seeds: seeds}
			o := update.Operands{Z: matrix(), Y: matrix(), Pixels: make([]byte, n)}
			draw.Start{Shape: shape}.CPU(&step.Seeds, o.Z)(pool)
			run := update.Kernel{Shape: shape}.CPU(&step, o)

			want, noise := make([]float64, n), make([]float32, shape.Values())
			draws := func(stream, count uint32, f func(i int, e float64)) {
				for i, image := range seeds.Images {
					philox.Normal(noise, seeds.Seed, stream, uint64(image), count)
					for j, e := range noise {
						f(i*len(noise)+j, float64(e))
					}
				}
			}
			draws(philox.SampleStart, 0, func(i int, e float64) { want[i] = table.Start * e })
			for call, r := range table.Rows {
				c, d := g.output(r.Call)
				for i, z := range o.Z.Data {
					o.Y.Data[i] = float32(c + d*float64(z))
				}
				if err := step.SetOutputs(r.B, call, 0); err != nil {
					t.Fatal(err)
				}
				step.A, step.C, step.Count, step.Pixels = float32(r.A), float32(r.C), uint32(call), call == steps-1
				run(pool)
				draws(philox.SampleNoise, uint32(call), func(i int, e float64) {
					want[i] = r.A*want[i] + r.B[0]*(c+d*want[i]) + r.C*e
				})
			}
			mean, square := 0.0, 0.0
			for i, w := range want {
				near(t, name+" "+p.String(), float64(o.Z.Data[i]), w, 1e-4)
				near(t, "pixel", float64(o.Pixels[i]), math.Min(math.Max(127.5*(w+1), 0), 255), 0.6)
				mean += w / float64(n)
				square += w * w / float64(n)
			}
			near(t, name+" mean", mean, g.m, 0.02)
			near(t, name+" deviation", math.Sqrt(square-mean*mean), g.s, 0.03)
		}
	}
}
