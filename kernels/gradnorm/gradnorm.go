// Package gradnorm is the Euclidean norm of all gradients together. It is NaN or
// infinite if any gradient is; optimizers then skip the step.
package gradnorm

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/tensor"
)

// Block is the length of the partial sums, which are added in an order that depends on their number alone.
const Block = 1 << 16

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
	sums := make([]float64, Blocks(l.In[0].Shape.TotalSize()))
	blocks := squares(l.In[0], sums)
	return func(p *cpu.Pool) {
		blocks(p)
		l.Out.Data[0] = root(sums)
	}
}

// Blocks is the number of partial sums of n gradients.
func Blocks(n int) int { return (n + Block - 1) / Block }

// squares returns the partial sums of gradients.
func squares(gradients kernels.Operand, sums []float64) func(*cpu.Pool) {
	g := gradients.Data[:gradients.Shape.TotalSize()]
	var k *cpu.Kernels
	block := func(i, _ int) { sums[i] = k.SumSquares(g[i*Block : min((i+1)*Block, len(g))]) }
	return func(p *cpu.Pool) {
		k = p.Kernels()
		p.Run(len(sums), block)
	}
}

func root(sums []float64) float32 {
	total := 0.0
	for _, s := range sums {
		total += s
	}
	return float32(math.Sqrt(total))
}
