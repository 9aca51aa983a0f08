package conv

import (
	_ "embed"

	"fluxion/kernels/cuda"
	"fluxion/kernels/gemm"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

//go:embed conv.ptx.zst
var ptx string

var module = cuda.Register("conv", ptx)

// On a GPU a convolution of an enlarged image is one of the small image with weights that
// are summed first (conv.cu): four of 2×2 taps, one for each parity of the result's rows and
// columns. Its gradients are convolutions of 4×4 taps with a stride of 2. All take 16
// multiplications instead of 36.
type (
	upsampledForwardCUDA    struct{ forward }
	upsampledInputGradCUDA  struct{ inputGrad }
	upsampledWeightGradCUDA struct{ weightGrad }
)

// folded is the summed weights in scratch memory, and what is behind them.
func (s size) folded(l cuda.Launch, like cuda.Operand) (w cuda.Operand, rest cuda.Address) {
	rows := sumTaps * sumTaps * s.cin
	w = cuda.Operand{Address: l.Scratch, Type: like.Type, Shape: tensor.Shape{sumTaps, sumTaps, s.cin, s.cout}, Rows: rows, Cols: s.cout, Pitch: s.cout}
	return w, l.Scratch + cuda.Address(roundUp(w.Bytes(), 256))
}

// fold is the launch that sums the weights, in the order of taps of the forward pass or of the gradient.
func (s size) fold(to, weights cuda.Operand, backward int) cuda.Call {
	name := map[number.Type]string{number.Float32: "conv_fold_f32", number.BFloat16: "conv_fold_bf16"}[weights.Type]
	n := s.cin * s.cout
	return cuda.Call{
		Module: module, Function: name, Grid: [3]int{(n + 255) / 256, 1, 1}, Block: [3]int{256, 1, 1},
		Args: cuda.Args(to.Address, weights.Address, uint32(n), backward),
	}
}

// products are one for each parity of the result's rows and columns.
func (f upsampledForwardCUDA) products(l cuda.Launch) (size, cuda.Operand, []gemm.CUDA) {
	s := mustSize(f.o, l.In[0].Shape, l.In[1].Shape)
	w, rest := s.folded(l, l.In[1])
	axis := func(parity, small, out int) gemm.Axis {
		return gemm.Axis{Grid: small, Source: small, Origin: parity - 1, Taps: 2, Out: out, OutOrigin: parity}
	}
	var ps []gemm.CUDA
	part := w // the weights of a parity
	part.Shape, part.Rows = tensor.Shape{2, 2, s.cin, s.cout}, 4*s.cin
	for y := range 2 {
		for x := range 2 {
			ps = append(ps, gemm.CUDA{
				Kind: gemm.NN, Depth: s.cin, Width: s.cout,
				Walk: gemm.Walk{Images: s.n, Stride: 1, Direction: 1, TapStep: 1, OutStep: 2, Side: 2, Y: axis(y, s.h/2, s.oh), X: axis(x, s.w/2, s.ow)},
				A:    l.In[0], B: part, Out: l.Out, Bias: l.In[2].Address, Add: l.Add, PerImage: l.PerImage, Scratch: rest, Card: l.Card, Trains: l.Trains,
			})
			part.Address += cuda.Address(part.Bytes())
		}
	}
	return s, w, ps
}

func (f upsampledForwardCUDA) CUDAScratch(l cuda.Launch) int {
	_, w, ps := f.products(l)
	return roundUp(w.Bytes(), 256) + most(ps)
}

func (f upsampledForwardCUDA) CUDA(l cuda.Launch) []cuda.Call {
	s, w, ps := f.products(l)
	calls := []cuda.Call{s.fold(w, l.In[1], 0)}
	for _, p := range ps {
		calls = append(calls, p.Calls()...)
	}
	return calls
}

// most is the scratch memory of products one after the other.
func most(ps []gemm.CUDA) (bytes int) {
	for _, p := range ps {
		bytes = max(bytes, p.ScratchBytes())
	}
	return bytes
}

// gradWalk is that of the small image's pixels over the gradient of the large one.
func (s size) gradWalk() gemm.Walk {
	axis := func(small, large int) gemm.Axis {
		return gemm.Axis{Grid: small, Source: large, Origin: -1, Taps: sumTaps, Out: small}
	}
	return gemm.Walk{Images: s.n, Stride: 2, Direction: 1, TapStep: 1, OutStep: 1, Side: sumTaps, Y: axis(s.h/2, s.oh), X: axis(s.w/2, s.ow)}
}

func (g upsampledInputGradCUDA) product(l cuda.Launch) (size, cuda.Operand, gemm.CUDA) {
	s := g.size([]tensor.Shape{l.In[0].Shape, l.In[1].Shape})
	w, rest := s.folded(l, l.In[1])
	return s, w, gemm.CUDA{
		Kind: gemm.NT, Walk: s.gradWalk(), Depth: s.cout, Width: s.cin,
		A: l.In[0], B: w, Out: l.Out, Add: l.Add, Scratch: rest, Card: l.Card,
	}
}

func (g upsampledInputGradCUDA) CUDAScratch(l cuda.Launch) int {
	_, w, p := g.product(l)
	return roundUp(w.Bytes(), 256) + p.ScratchBytes()
}

func (g upsampledInputGradCUDA) CUDA(l cuda.Launch) []cuda.Call {
	s, w, p := g.product(l)
	return append([]cuda.Call{s.fold(w, l.In[1], 1)}, p.Calls()...)
}

// product makes gradients of the summed weights, out × in, in scratch memory: the walk is over the gradient of
// the large image, whose pixels are met by those of the small one in their order.
func (g upsampledWeightGradCUDA) product(l cuda.Launch) (size, gemm.CUDA) {
	s := mustSize(g.o, l.In[0].Shape, l.Out.Shape)
	rows := sumTaps * sumTaps * s.cout
	sums := cuda.Operand{Address: l.Scratch, Type: number.Float32, Shape: tensor.Shape{sumTaps, sumTaps, s.cout, s.cin}, Rows: rows, Cols: s.cin, Pitch: s.cin}
	return s, gemm.CUDA{
		Kind: gemm.TN, Walk: s.gradWalk(), Depth: s.cout, Width: s.cin,
		A: l.In[1], B: l.In[0], Out: sums, Scratch: l.Scratch + cuda.Address(roundUp(sums.Bytes(), 256)), Card: l.Card,
	}
}

func (g upsampledWeightGradCUDA) CUDAScratch(l cuda.Launch) int {
	_, p := g.product(l)
	return roundUp(p.Out.Bytes(), 256) + p.ScratchBytes()
}

func (g upsampledWeightGradCUDA) CUDA(l cuda.Launch) []cuda.Call {
	s, p := g.product(l)
	return append(p.Calls(), cuda.Call{
		Module: module, Function: "conv_unfold_f32", Grid: [3]int{(s.cin + 31) / 32, (s.cout + 31) / 32, 1}, Block: [3]int{32, 32, 1},
		Args: cuda.Args(l.Out.Address, p.Out.Address, uint32(s.cin), uint32(s.cout)),
	})
}
