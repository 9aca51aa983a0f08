package linear

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/gemm"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// Chained is the gradient of what n layers read.
func (g inputGrad) Chained(n int) kernels.Kernel { return inputGradSum{g, n} }

// CUDAChains says so of float32, which time embeddings are in.
func (inputGrad) CUDAChains(l cuda.Launch) bool { return l.In[0].Type == number.Float32 }

// inputGradSum is the sum of several, whose inputs are dy and w of each.
type inputGradSum struct {
	one inputGrad
	n   int
}

func (s inputGradSum) String() string { return fmt.Sprintf("%v of %d", s.one, s.n) }

// Fuses an addition, as each does.
func (s inputGradSum) Fuses() kernels.Epilogue { return s.one.Fuses() }

// Cost is that of the products. The result is written once.
func (s inputGradSum) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	c := kernels.Cost{Bytes: kernels.Traffic(out, in...)}
	for i := range s.n {
		c.FLOPs += s.one.Cost(in[2*i:2*i+2], out).FLOPs
	}
	return c
}

// Scratch is the most of one.
func (s inputGradSum) Scratch(in []tensor.Shape, out tensor.Shape, threads int) int {
	n := 0
	for i := range s.n {
		n = max(n, s.one.Scratch(in[2*i:2*i+2], out, threads))
	}
	return n
}

// CPU adds one to the other.
func (s inputGradSum) CPU(l kernels.Launch) func(*cpu.Pool) {
	var all []func(*cpu.Pool)
	one := l
	for i := range s.n {
		one.In = l.In[2*i : 2*i+2]
		all = append(all, s.one.CPU(one))
		one.Add = l.Out
	}
	return func(p *cpu.Pool) {
		for _, run := range all {
			run(p)
		}
	}
}

func (s inputGradSum) products(l cuda.Launch) []gemm.CUDA {
	var ps []gemm.CUDA
	one := l
	for i := range s.n {
		one.In = l.In[2*i : 2*i+2]
		ps = append(ps, s.one.product(one))
	}
	return ps
}

// CUDAScratch holds the result of every product.
func (s inputGradSum) CUDAScratch(l cuda.Launch) int { return gemm.SumScratch(s.products(l)) }

// CUDA makes the products side by side, and then adds them up.
func (s inputGradSum) CUDA(l cuda.Launch) []cuda.Call { return gemm.Sum(s.products(l)) }
