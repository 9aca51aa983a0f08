package conv

import (
	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/gemm"

	"gorgonia.org/tensor"
)

// The three operators' kernels for GPUs; those of upsampled images are in upsampled_cuda.go.
type (
	forwardCUDA    struct{ forward }
	inputGradCUDA  struct{ inputGrad }
	weightGradCUDA struct{ weightGrad }
)

func (f forward) product(l cuda.Launch) gemm.CUDA {
	s := mustSize(f.o, l.In[0].Shape, l.In[1].Shape)
	return gemm.CUDA{
		Kind: gemm.NN, Walk: s.forwardWalk(), Depth: s.cin, Width: s.cout,
		A: l.In[0], B: l.In[1], Out: l.Out, Bias: l.In[2].Address, Add: l.Add, PerImage: l.PerImage, Partials: l.Partials, Scratch: l.Scratch, Card: l.Card, Trains: l.Trains,
	}
}

// forwardWalk is forwardGeometry by arithmetic.
func (s size) forwardWalk() gemm.Walk {
	return gemm.Walk{
		Images: s.n, Stride: s.Stride, Direction: 1, TapStep: 1, OutStep: 1, Side: s.kw,
		Y: gemm.Axis{Grid: s.oh, Source: s.h, Origin: -s.PadTop, Taps: s.kh, Out: s.oh},
		X: gemm.Axis{Grid: s.ow, Source: s.w, Origin: -s.PadLeft, Taps: s.kw, Out: s.ow},
	}
}

func (f forwardCUDA) CUDAScratch(l cuda.Launch) int  { return f.product(l).ScratchBytes() }
func (f forwardCUDA) CUDA(l cuda.Launch) []cuda.Call { return f.product(l).Calls() }

// CUDAChunks says that tensor cores' kernels leave statistics where an image is whole strips.
func (f forwardCUDA) CUDAChunks(l cuda.Launch, groups int) int { return f.product(l).Chunks(groups) }

// products are one for each parity of the input's rows and columns: pixels that
// lie Stride apart meet the same taps, so that none of their products is with zero.
func (g inputGrad) products(l cuda.Launch) []gemm.CUDA {
	s := g.size([]tensor.Shape{l.In[0].Shape, l.In[1].Shape})
	var ps []gemm.CUDA
	for y := range min(s.Stride, s.h) {
		for x := range min(s.Stride, s.w) {
			ps = append(ps, gemm.CUDA{
				Kind: gemm.NT, Depth: s.cout, Width: s.cin,
				Walk: gemm.Walk{
					Images: s.n, Stride: 1, Direction: -1, TapStep: s.Stride, OutStep: s.Stride, Side: s.kw,
					Y: parity(y, s.Stride, s.PadTop, s.h, s.oh, s.kh), X: parity(x, s.Stride, s.PadLeft, s.w, s.ow, s.kw),
				},
				A: l.In[0], B: l.In[1], Out: l.Out, Add: l.Add, Scratch: l.Scratch, Card: l.Card,
			})
		}
	}
	return ps
}

// parity is the axis of input pixels first, first+stride, …: pixel i of the input
// was read by output pixel o at tap k if i = o·stride + k − pad.
func parity(first, stride, pad, in, out, side int) gemm.Axis {
	tap := (first + pad) % stride
	return gemm.Axis{
		Grid: (in - first + stride - 1) / stride, Source: out, Origin: (first + pad) / stride,
		Taps: max(0, (side-tap+stride-1)/stride), FirstTap: tap,
		Out: in, OutOrigin: first,
	}
}

func (g inputGradCUDA) CUDAScratch(l cuda.Launch) int {
	need := 0
	for _, p := range g.products(l) {
		need = max(need, p.ScratchBytes())
	}
	return need
}

func (g inputGradCUDA) CUDA(l cuda.Launch) []cuda.Call {
	var calls []cuda.Call
	for _, p := range g.products(l) {
		calls = append(calls, p.Calls()...)
	}
	return calls
}

// Product is over the pixels.
func (g weightGradCUDA) Product(l cuda.Launch) gemm.CUDA {
	s := mustSize(g.o, l.In[0].Shape, l.Out.Shape)
	return gemm.CUDA{
		Kind: gemm.TN, Walk: s.forwardWalk(), Depth: s.cin, Width: s.cout,
		A: l.In[0], B: l.In[1], Out: l.Out, Scratch: l.Scratch, Card: l.Card,
	}
}

func (g weightGradCUDA) CUDAScratch(l cuda.Launch) int  { return g.Product(l).ScratchBytes() }
func (g weightGradCUDA) CUDA(l cuda.Launch) []cuda.Call { return g.Product(l).Calls() }

// Summed also makes the gradient of the bias.
func (g weightGradCUDA) Summed(alone kernels.RowSum) (both kernels.Kernel, of int) {
	return gemm.Summed{Weights: g, Bias: alone}, 1
}
