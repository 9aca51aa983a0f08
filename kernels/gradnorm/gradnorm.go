// Package gradnorm is the Euclidean norm of all gradients together. It is NaN or
// infinite if any gradient is; optimizers then skip the step.
package gradnorm

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/tensor"
)

// blockFloats is the length of the partial sums, which are added in order.
const blockFloats = 1 << 16

// New returns the kernel: input the flat gradients, output their norm, a scalar.
func New() kernels.Kernel {
	return norm{kernels.Signature{Name: "gradient norm", Ranks: []int{1}}}
}

type norm struct{ kernels.Signature }

func (norm) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 2 * int64(in[0].TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func reference(g []float64) float64 {
	sum := 0.0
	for _, x := range g {
		sum += x * x
	}
	return math.Sqrt(sum)
}

func (norm) CPU(l kernels.Launch) func(*cpu.Pool) {
	g := l.In[0].Data[:l.In[0].Shape.TotalSize()]
	sums := make([]float64, (len(g)+blockFloats-1)/blockFloats)
	var k *cpu.Kernels
	block := func(i, _ int) { sums[i] = k.SumSquares(g[i*blockFloats : min((i+1)*blockFloats, len(g))]) }
	return func(p *cpu.Pool) {
		k = p.Kernels()
		p.Run(len(sums), block)
		total := 0.0
		for _, s := range sums {
			total += s
		}
		l.Out.Data[0] = float32(math.Sqrt(total))
	}
}
