package attention

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// BenchmarkAttention is one image of each size on one thread, with its gradient. The rate
// is that of the fastest run, which other work on the machine disturbs least.
func BenchmarkAttention(b *testing.B) {
	k, err := cpu.Select("")
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ side, heads, dim int }{{16, 1, 256}, {16, 2, 64}, {16, 2, 32}, {8, 2, 64}, {32, 1, 128}} {
		for _, of := range []number.Type{number.Float32, number.BFloat16} {
			s := size{1, c.side * c.side, c.heads, c.dim}
			for name, kernel := range map[string]kernels.Kernel{"forward": forward{heads: c.heads}, "gradient": grad{heads: c.heads}} {
				b.Run(fmt.Sprintf("%s/%d×%d/%dx%d/%v", name, c.side, c.side, c.heads, c.dim, of), func(b *testing.B) {
					wide, narrow := tensor.Shape{1, c.side, c.side, 3 * s.inner()}, tensor.Shape{1, c.side, c.side, s.inner()}
					l := kernels.Launch{In: []kernels.Operand{random(wide, of), random(narrow, of), random(narrow, of)}, Threads: 1}
					l.Out = random(narrow, of)
					if name == "gradient" {
						l.Out = random(wide, of)
					}
					shapes := []tensor.Shape{wide, narrow, narrow}
					l.Scratch = make([]float32, kernel.Scratch(shapes, l.Out.Shape, 1))
					run, pool := kernel.CPU(l), cpu.NewPool(1, k)
					best := time.Hour
					for b.Loop() {
						start := time.Now()
						run(pool)
						best = min(best, time.Since(start))
					}
					b.ReportMetric(float64(kernel.Cost(shapes, l.Out.Shape).FLOPs)/best.Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}

// random is an operand of normal numbers.
func random(shape tensor.Shape, of number.Type) kernels.Operand {
	rng := rand.New(rand.NewPCG(1, 2))
	o := kernels.Operand{Shape: shape, Type: of}
	o.Cols = shape[3]
	o.Rows, o.Pitch = shape.TotalSize()/o.Cols, o.Cols
	for range shape.TotalSize() + 64 {
		x := float32(rng.NormFloat64())
		if of == number.BFloat16 {
			o.BF16 = append(o.BF16, number.Narrow(x))
		} else {
			o.Data = append(o.Data, x)
		}
	}
	return o
}
