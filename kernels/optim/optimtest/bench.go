package optimtest

import (
	"fmt"
	"testing"
	"time"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/optim"

	"gorgonia.org/tensor"
)

// Bench times steps on one thread: of weights that stay in a cache, and of more. The time
// is that of the fastest step, which other work on the machine disturbs least.
func Bench(b *testing.B, o Optimizer) {
	kernel := o.Kernel(Step{Count: 1, Clip: optim.Clip{Scale: 1}, EMADecay: 0.99})
	k, err := cpu.Select("")
	if err != nil {
		b.Fatal(err)
	}
	pool := cpu.NewPool(1, k)
	defer pool.Close()
	for _, n := range []int{1 << 14, 1 << 22} {
		flat := func(seed uint64) kernels.Operand {
			o := kernels.Operand{Matrix: cpu.Matrix{Data: make([]float32, n), Rows: 1, Cols: n, Pitch: n}, Shape: tensor.Shape{n}}
			for i, x := range Random(n, seed) {
				o.Data[i] = float32(x)
			}
			return o
		}
		l := kernels.Launch{Out: flat(1), In: []kernels.Operand{flat(2)}}
		for range o.States + 1 {
			state := flat(3)
			clear(state.Data)
			l.In = append(l.In, state)
		}
		l.In = append(l.In, kernels.Operand{Matrix: cpu.Matrix{Data: []float32{1}, Rows: 1, Cols: 1, Pitch: 1}, Shape: tensor.ScalarShape()})
		run := kernel.CPU(l)
		b.Run(fmt.Sprintf("%s/%d weights", k.Name, n), func(b *testing.B) {
			best := time.Hour
			for b.Loop() {
				start := time.Now()
				run(pool)
				best = min(best, time.Since(start))
			}
			b.ReportMetric(float64(best.Nanoseconds())/float64(n), "ns/weight")
		})
	}
}
