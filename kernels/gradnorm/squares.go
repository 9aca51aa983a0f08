package gradnorm

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/tensor"
)

// SumFloats is the float32 numbers that the bits of a partial sum take.
const SumFloats = 2

// NewSquares returns the kernel of processes of which each has a part of the gradients that
// begins with a block: input the part, output the bits of its partial sums, SumFloats for
// each of its Blocks. Norm and NewRoot make of all of them the norm that New has of all
// gradients, the former on the CPU alone.
func NewSquares() kernels.Kernel {
	return parts{kernels.Signature{Name: "squares of gradients", Ranks: []int{1}, Rank: 1}}
}

type parts struct{ kernels.Signature }

func (parts) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost { return norm{}.Cost(in, out) }

func (parts) CPU(l kernels.Launch) func(*cpu.Pool) {
	sums := make([]float64, Blocks(l.In[0].Shape.TotalSize()))
	blocks := squares(l.In[0], sums)
	return func(p *cpu.Pool) {
		blocks(p)
		for i, s := range sums {
			bits := math.Float64bits(s)
			l.Out.Data[SumFloats*i] = math.Float32frombits(uint32(bits))
			l.Out.Data[SumFloats*i+1] = math.Float32frombits(uint32(bits >> 32))
		}
	}
}

// NewRoot returns the kernel that takes the bits of all partial sums and returns the norm.
func NewRoot() kernels.Kernel {
	return whole{kernels.Signature{Name: "norm of squares", Ranks: []int{1}}}
}

type whole struct{ kernels.Signature }

func (whole) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost { return norm{}.Cost(in, out) }

func (whole) CPU(l kernels.Launch) func(*cpu.Pool) {
	bits := l.In[0].Data[:l.In[0].Shape.TotalSize()]
	return func(*cpu.Pool) { l.Out.Data[0] = Norm(bits) }
}

// Norm of gradients whose partial sums have these bits, in their order.
func Norm(bits []float32) float32 {
	sums := make([]float64, len(bits)/SumFloats)
	for i := range sums {
		low, high := math.Float32bits(bits[SumFloats*i]), math.Float32bits(bits[SumFloats*i+1])
		sums[i] = math.Float64frombits(uint64(high)<<32 | uint64(low))
	}
	return root(sums)
}
