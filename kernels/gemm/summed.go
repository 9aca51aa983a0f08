package gemm

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"

	"gorgonia.org/tensor"
)

// WeightGradient is an operator of inputs x and dy that is a product on the GPU, TN.
type WeightGradient interface {
	kernels.Kernel
	Product(l cuda.Launch) CUDA
}

// Summed is the gradient of weights that also makes that of the bias, its last input: the sums of dy's rows.
type Summed struct {
	Weights WeightGradient
	Bias    kernels.RowSum // alone
}

func (s Summed) String() string { return s.Weights.String() + " with bias" }

// Cost is that of both, but that dy is read once.
func (s Summed) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	c := s.Weights.Cost(in[:2], out)
	c.FLOPs += s.Bias.Cost(in[1:2], in[2]).FLOPs
	c.Bytes += kernels.Traffic(in[2])
	return c
}

// Scratch is enough for either, one after the other.
func (s Summed) Scratch(in []tensor.Shape, out tensor.Shape, threads int) int {
	return max(s.Weights.Scratch(in[:2], out, threads), s.Bias.Scratch(in[1:2], in[2], threads))
}

// CPU binds one after the other.
func (s Summed) CPU(l kernels.Launch) func(*cpu.Pool) {
	bias := s.Bias.CPU(kernels.Launch{In: l.In[1:2], Out: l.In[2], Scratch: l.Scratch, Threads: l.Threads})
	l.In = l.In[:2]
	weights := s.Weights.CPU(l)
	return func(p *cpu.Pool) {
		weights(p)
		bias(p)
	}
}

func (s Summed) product(l cuda.Launch) CUDA {
	p := s.Weights.Product(l)
	p.Sums = l.In[2].Address
	return p
}

// CUDAScratch is that of the product.
func (s Summed) CUDAScratch(l cuda.Launch) int { return s.product(l).ScratchBytes() }

// CUDA is the product, whose blocks have tiles of dy in shared memory.
func (s Summed) CUDA(l cuda.Launch) []cuda.Call { return s.product(l).Calls() }
