package conv

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

// BenchmarkBF16 is convolutions of bfloat16 on one thread, forward with weights laid out
// before, as in sampling, gradients with weights that are laid out in every run: GFLOP/s of the plain convolution in the fastest of all runs.
func BenchmarkBF16(b *testing.B) {
	k, err := cpu.Select("")
	if err != nil || k.BF16 == nil {
		return // nothing multiplies bfloat16 here
	}
	rng := rand.New(rand.NewPCG(1, 1))
	type shape struct {
		n, side, cin, cout int
		o                  Options
	}
	cases := []shape{{4, 32, 256, 256, upsampling}, {8, 16, 256, 256, upsampling}, {16, 8, 256, 256, upsampling}}
	for _, c := range [][4]int{
		{4, 32, 256, 256}, {4, 32, 128, 128}, {4, 32, 384, 128}, {8, 16, 256, 256}, {16, 8, 256, 256}, {16, 8, 512, 256}, {16, 4, 256, 256}, {1, 16, 256, 256}, {1, 8, 512, 256}, {1, 4, 256, 256}, {8, 32, 32, 32}, {8, 32, 64, 64},
	} {
		cases = append(cases, shape{c[0], c[1], c[2], c[3], Same(3)})
	}
	for _, c := range cases {
		x, w := tensor.Shape{c.n, c.side, c.side, c.cin}, tensor.Shape{3, 3, c.cin, c.cout}
		if c.o.upsampled {
			x[1], x[2] = c.side/2, c.side/2
		}
		y := tensor.Shape{c.n, c.side, c.side, c.cout}
		bf16 := func(s tensor.Shape) kernels.Operand {
			o := kernels.Operand{Type: number.BFloat16, Shape: s, BF16: make([]uint16, s.TotalSize()+64)}
			for i := range o.BF16 {
				o.BF16[i] = number.Narrow(float32(rng.NormFloat64()))
			}
			o.Rows, o.Cols, o.Pitch = s.TotalSize()/s[3], s[3], s[3]
			return o
		}
		weights, bias := single(kernels.NewArray(w...)), single(kernels.NewArray(c.cout))
		for i := range weights.Data {
			weights.Data[i] = float32(rng.NormFloat64())
		}
		for _, op := range []struct {
			name   string
			kernel interface {
				kernels.Kernel
				kernels.NativeProduct
			}
			in  []kernels.Operand
			out tensor.Shape
		}{
			{"forward", newForward(c.o, w), []kernels.Operand{bf16(x), weights, bias}, y},
			{"dx", newInputGrad(c.o, x), []kernels.Operand{bf16(y), weights}, x},
			{"dw", newWeightGrad(c.o, w), []kernels.Operand{bf16(x), bf16(y)}, w},
		} {
			b.Run(fmt.Sprintf("%s/%dx%d/%d-%d/upsampled=%v", op.name, c.n, c.side, c.cin, c.cout, c.o.upsampled), func(b *testing.B) {
				pool := cpu.NewPool(1, k)
				defer pool.Close()
				l := kernels.Launch{In: op.in, Out: bf16(op.out), Threads: 1}
				if op.name == "dw" {
					l.Out = single(kernels.NewArray(op.out...))
				}
				var shapes []tensor.Shape
				for _, o := range op.in {
					shapes = append(shapes, o.Shape)
				}
				l.Scratch = make([]float32, op.kernel.BFloat16Scratch(shapes, op.out, 1))
				if p, ok := op.kernel.(kernels.Preparer); ok {
					floats, _ := p.Prepared(shapes, op.out, number.BFloat16, 1)
					l.Prepared, l.Preparing = make([]float32, floats), true
					op.kernel.CPU(l)(pool)
					l.Preparing = false
				}
				run := op.kernel.CPU(l)
				run(pool)
				fastest := time.Hour // other work on the machine disturbs it least
				for b.Loop() {
					start := time.Now()
					run(pool)
					fastest = min(fastest, time.Since(start))
				}
				b.ReportMetric(float64(op.kernel.Cost(shapes, op.out).FLOPs)/fastest.Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
