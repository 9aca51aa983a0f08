package linear

import (
	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/gemm"
)

// walk is over the rows of each image, or of each vector.
func walk(o cuda.Operand) gemm.Walk { return gemm.DenseWalk(o.Shape[0], o.Rows/o.Shape[0]) }

func (forward) product(l cuda.Launch) gemm.CUDA {
	return gemm.CUDA{
		Kind: gemm.NN, Walk: walk(l.Out), Depth: l.In[1].Shape[0], Width: l.In[1].Shape[1],
		A: l.In[0], B: l.In[1], Out: l.Out, Bias: l.In[2].Address, Add: l.Add, Scratch: l.Scratch, Card: l.Card, Trains: l.Trains,
	}
}

func (f forward) CUDAScratch(l cuda.Launch) int  { return f.product(l).ScratchBytes() }
func (f forward) CUDA(l cuda.Launch) []cuda.Call { return f.product(l).Calls() }

func (inputGrad) product(l cuda.Launch) gemm.CUDA {
	return gemm.CUDA{
		Kind: gemm.NT, Walk: walk(l.Out), Depth: l.In[1].Shape[1], Width: l.In[1].Shape[0],
		A: l.In[0], B: l.In[1], Out: l.Out, Add: l.Add, Scratch: l.Scratch, Card: l.Card,
	}
}

func (g inputGrad) CUDAScratch(l cuda.Launch) int  { return g.product(l).ScratchBytes() }
func (g inputGrad) CUDA(l cuda.Launch) []cuda.Call { return g.product(l).Calls() }

// Product is over the rows.
func (weightGrad) Product(l cuda.Launch) gemm.CUDA {
	return gemm.CUDA{
		Kind: gemm.TN, Walk: walk(l.In[0]), Depth: l.Out.Shape[0], Width: l.Out.Shape[1],
		A: l.In[0], B: l.In[1], Out: l.Out, Scratch: l.Scratch, Card: l.Card,
	}
}

func (g weightGrad) CUDAScratch(l cuda.Launch) int  { return g.Product(l).ScratchBytes() }
func (g weightGrad) CUDA(l cuda.Launch) []cuda.Call { return g.Product(l).Calls() }

// Widened makes as many of one input at once.
func (g weightGrad) Widened(n int) kernels.Kernel { return gemm.Wide{Of: g, N: n} }

// Summed also makes the gradient of the bias.
func (g weightGrad) Summed(alone kernels.RowSum) (both kernels.Kernel, of int) {
	return gemm.Summed{Weights: g, Bias: alone}, 1
}
