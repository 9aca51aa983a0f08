package conv

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/gemm"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// forwardGeometry lists, for each tap and output pixel, the input pixel it reads.
func (s size) forwardGeometry() gemm.Geometry {
	g := gemm.Geometry{Images: s.n, Rows: s.oh * s.ow, InRows: s.inputPixels(), Taps: s.kh * s.kw}
	if g.Taps == 1 && s.Stride == 1 && g.Rows == g.InRows {
		return gemm.Dense(s.n * g.Rows)
	}
	g.Source = make([]int32, 0, g.Taps*g.Rows)
	for ky := range s.kh {
		for kx := range s.kw {
			for oy := range s.oh {
				for ox := range s.ow {
					iy, ix := oy*s.Stride+ky-s.PadTop, ox*s.Stride+kx-s.PadLeft
					g.Source = append(g.Source, s.source(iy, ix))
				}
			}
		}
	}
	return g
}

// inputGeometry lists, for each tap and input pixel, the output pixel that read it.
func (s size) inputGeometry() gemm.Geometry {
	g := gemm.Geometry{Images: s.n, Rows: s.h * s.w, InRows: s.oh * s.ow, Taps: s.kh * s.kw}
	if g.Taps == 1 && s.Stride == 1 && g.Rows == g.InRows {
		return gemm.Dense(s.n * g.Rows)
	}
	g.Source = make([]int32, 0, g.Taps*g.Rows)
	for ky := range s.kh {
		for kx := range s.kw {
			for iy := range s.h {
				for ix := range s.w {
					oy, ox := iy+s.PadTop-ky, ix+s.PadLeft-kx
					source := int32(-1)
					if oy%s.Stride == 0 && ox%s.Stride == 0 {
						source = pixel(oy/s.Stride, ox/s.Stride, s.oh, s.ow)
					}
					g.Source = append(g.Source, source)
				}
			}
		}
	}
	return g
}

// source is the pixel of the input that lies at a place of the image that is convolved.
func (s size) source(y, x int) int32 {
	if s.upsampled {
		return pixel(y>>1, x>>1, s.h/2, s.w/2)
	}
	return pixel(y, x, s.h, s.w)
}

// inputPixels is how many there are in an image as it lies.
func (s size) inputPixels() int {
	if s.upsampled {
		return s.h / 2 * (s.w / 2)
	}
	return s.h * s.w
}

func pixel(y, x, h, w int) int32 {
	if y < 0 || y >= h || x < 0 || x >= w {
		return -1
	}
	return int32(y*w + x)
}

func (f forward) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: mustSize(f.o, in[0], in[1]).flops(), Bytes: kernels.Traffic(out, in...)}
}

func (f forward) Scratch(in []tensor.Shape, out tensor.Shape, threads int) int {
	s := mustSize(f.o, in[0], in[1])
	if s.winograd() {
		return s.squares().scratch(s.cin, s.cout, threads)
	}
	return gemm.ProductScratch(s.n, s.kh*s.kw, s.cin, s.cout)
}

// BFloat16Scratch is that of a product of bfloat16.
func (f forward) BFloat16Scratch(in []tensor.Shape, _ tensor.Shape, threads int) int {
	s := mustSize(f.o, in[0], in[1])
	n := gemm.BF16ProductScratch(s.n, s.kh*s.kw, s.cin, s.cout, threads)
	if s.eachWinogradBF16() {
		n = max(n, bf16WinogradScratch(s.squares(), s.cin, s.cout, threads))
	}
	return n
}

// either runs Winograd's convolution on instruction sets that have it.
func either(winograd, plain func(*cpu.Pool)) func(*cpu.Pool) {
	return func(p *cpu.Pool) {
		if p.Kernels().BF16.Squares != nil {
			winograd(p)
		} else {
			plain(p)
		}
	}
}

// Prepared is the weights packed or transformed, whichever the launch needs.
func (f forward) Prepared(in []tensor.Shape, out tensor.Shape, activations number.Type, threads int) (floats, scratch int) {
	s := mustSize(f.o, in[0], in[1])
	taps := s.kh * s.kw
	switch {
	case activations == number.BFloat16:
		floats = gemm.BF16ProductPacked(taps, s.cin, s.cout)
		scratch = gemm.BF16ProductScratch(s.n, taps, s.cin, s.cout, threads) - floats
		if s.eachWinogradBF16() {
			packed := s.squares().bf16Packed(s.cin, s.cout)
			floats, scratch = max(floats, packed), max(scratch, bf16WinogradScratch(s.squares(), s.cin, s.cout, threads)-packed)
		}
		return floats, scratch
	case s.winograd():
		floats, _, _ = s.squares().sizes(s.cin, s.cout)
	default:
		floats = gemm.ProductPacked(taps, s.cin, s.cout)
	}
	return floats, f.Scratch(in, out, threads) - floats
}

func (forward) Fuses() kernels.Epilogue { return kernels.Epilogue{Add: true, PerImage: true} }

func (f forward) CPU(l kernels.Launch) func(*cpu.Pool) {
	s := mustSize(f.o, l.In[0].Shape, l.In[1].Shape)
	if l.In[0].Type == number.BFloat16 {
		return f.bf16(s, l)
	}
	weights := gemm.Weights{Data: l.In[1].Data, TapStride: s.cin * l.In[1].Pitch, DepthStride: l.In[1].Pitch, ColStride: 1}
	packing := gemm.Packing{Packed: l.Prepared, Only: l.Preparing}
	if s.winograd() {
		w := winograd{
			squares: s.squares(), depth: s.cin, width: s.cout, x: l.In[0].Matrix, y: l.Out.Matrix, add: l.Add.Matrix,
			weights: weights, bias: l.In[2].Data[:s.cout], perImage: l.PerImage.Matrix, packing: packing, cut: l.Cut,
		}
		return w.bind(l.Scratch, l.Threads)
	}
	return gemm.Product{
		Geometry: f.geometry(s, l), Depth: s.cin, Width: s.cout,
		In: l.In[0].Matrix, Out: l.Out.Matrix,
		W:    weights,
		Bias: l.In[2].Data[:s.cout], PerImage: l.PerImage.Matrix, Add: l.Add.Matrix,
		Packing: packing, Scratch: l.Scratch, Threads: l.Threads, Cut: l.Cut,
	}.Bind()
}

// bf16 is the convolution of bfloat16.
func (f forward) bf16(s size, l kernels.Launch) func(*cpu.Pool) {
	packing := gemm.Packing{Packed: l.Prepared, Only: l.Preparing}
	weights := gemm.Weights{Data: l.In[1].Data, TapStride: s.cin * l.In[1].Pitch, DepthStride: l.In[1].Pitch, ColStride: 1}
	plain := gemm.BF16Product{
		Geometry: f.geometry(s, l), Depth: s.cin, Width: s.cout,
		In: bf16(l.In[0]), Out: bf16(l.Out), Add: bf16(l.Add),
		W: weights, Bias: l.In[2].Data[:s.cout], PerImage: l.PerImage.Matrix,
		Packing: packing, Scratch: l.Scratch, Threads: l.Threads, Cut: l.Cut,
	}.Bind()
	if !s.eachWinogradBF16() || l.Trains && !s.winogradBF16() {
		return plain
	}
	w := bf16Winograd{
		squares: s.squares(), depth: s.cin, width: s.cout, x: bf16(l.In[0]), y: bf16(l.Out), add: bf16(l.Add),
		weights: weights, bias: l.In[2].Data[:s.cout], perImage: l.PerImage.Matrix, packing: packing, cut: l.Cut,
	}
	return either(w.bind(l.Scratch, l.Threads), plain)
}

// geometry is that of the product, image by image where each has its own addend.
func (forward) geometry(s size, l kernels.Launch) gemm.Geometry {
	g := s.forwardGeometry()
	if l.PerImage.Data != nil && g.Source == nil {
		g.Images, g.Rows, g.InRows = s.n, s.oh*s.ow, s.h*s.w
	}
	return g
}

func bf16(o kernels.Operand) gemm.BF16 { return gemm.BF16{Data: o.BF16, Pitch: o.Pitch} }

func (g inputGrad) size(in []tensor.Shape) size { return mustSize(g.o, g.shape(in[0], in[1]), in[1]) }

func (g inputGrad) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: g.size(in).flops(), Bytes: kernels.Traffic(out, in...)}
}

func (g inputGrad) Scratch(in []tensor.Shape, out tensor.Shape, threads int) int {
	s := g.size(in)
	if s.winograd() {
		return s.gradSquares().scratch(s.cout, s.cin, threads)
	}
	return s.summedWeights() + gemm.ProductScratch(s.n, s.gradTaps(), s.cout, s.cin)
}

// BFloat16Scratch is that of a product of bfloat16.
func (g inputGrad) BFloat16Scratch(in []tensor.Shape, _ tensor.Shape, threads int) int {
	s := g.size(in)
	n := s.summedWeights() + gemm.BF16ProductScratch(s.n, s.gradTaps(), s.cout, s.cin, threads)
	if s.winogradBF16() {
		n = max(n, bf16WinogradScratch(s.gradSquares(), s.cout, s.cin, threads))
	}
	return n
}

func (inputGrad) Fuses() kernels.Epilogue { return kernels.Epilogue{Add: true} }

func (g inputGrad) CPU(l kernels.Launch) func(*cpu.Pool) {
	s := g.size([]tensor.Shape{l.In[0].Shape, l.In[1].Shape})
	weights := gemm.Weights{Data: l.In[1].Data, TapStride: s.cin * l.In[1].Pitch, DepthStride: 1, ColStride: l.In[1].Pitch}
	if l.In[0].Type == number.BFloat16 {
		return g.bf16(s, weights, l)
	}
	if s.winograd() {
		w := winograd{
			squares: s.gradSquares(), depth: s.cout, width: s.cin, x: l.In[0].Matrix, y: l.Out.Matrix, add: l.Add.Matrix,
			weights: weights, turned: true, cut: l.Cut,
		}
		return w.bind(l.Scratch, l.Threads)
	}
	return s.gradProduct(weights, l.Scratch, func(geometry gemm.Geometry, weights gemm.Weights, scratch []float32) func(*cpu.Pool) {
		return gemm.Product{
			Geometry: geometry, Depth: s.cout, Width: s.cin,
			In: l.In[0].Matrix, Out: l.Out.Matrix,
			W:   weights,
			Add: l.Add.Matrix, Scratch: scratch, Threads: l.Threads, Cut: l.Cut,
		}.Bind()
	})
}

// bf16 is the gradient of an input of bfloat16.
func (inputGrad) bf16(s size, weights gemm.Weights, l kernels.Launch) func(*cpu.Pool) {
	plain := s.gradProduct(weights, l.Scratch, func(geometry gemm.Geometry, weights gemm.Weights, scratch []float32) func(*cpu.Pool) {
		var order []int32
		if s.Stride > 1 { // rows side by side meet different taps
			geometry, order = geometry.Alike()
		}
		return gemm.BF16Product{
			Geometry: geometry, Depth: s.cout, Width: s.cin, Order: order,
			In: bf16(l.In[0]), Out: bf16(l.Out), Add: bf16(l.Add),
			W: weights, Scratch: scratch, Threads: l.Threads, Cut: l.Cut,
		}.Bind()
	})
	if !s.winogradBF16() {
		return plain
	}
	w := bf16Winograd{
		squares: s.gradSquares(), depth: s.cout, width: s.cin, x: bf16(l.In[0]), y: bf16(l.Out), add: bf16(l.Add),
		weights: weights, turned: true, cut: l.Cut,
	}
	return either(w.bind(l.Scratch, l.Threads), plain)
}

func (g weightGrad) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: mustSize(g.o, in[0], g.shape(in[0], in[1])).flops(), Bytes: kernels.Traffic(out, in...)}
}

func (g weightGrad) Scratch(in []tensor.Shape, out tensor.Shape, _ int) int {
	if s := mustSize(g.o, in[0], out); s.winograd() {
		return s.squares().gradScratch(s.cin, s.cout)
	}
	return 0
}

// BFloat16Scratch is that of a product of bfloat16.
func (g weightGrad) BFloat16Scratch(in []tensor.Shape, out tensor.Shape, threads int) int {
	s := mustSize(g.o, in[0], out)
	n := gemm.BF16TransposedScratch(s.n*s.oh*s.ow, s.kh*s.kw, s.cin, s.cout, threads)
	if s.upsampledBF16Grad() {
		n = max(n, s.squares().upsampledGradScratch(s.cin, s.cout, threads))
	}
	if s.winogradBF16Grad() {
		n = max(n, bf16WinogradGradScratch(s.squares(), s.cin, s.cout, threads))
	}
	return n
}

func (g weightGrad) CPU(l kernels.Launch) func(*cpu.Pool) {
	s := mustSize(g.o, l.In[0].Shape, l.Out.Shape)
	if l.In[0].Type == number.BFloat16 {
		plain := gemm.BF16Transposed{
			Geometry: s.forwardGeometry(), Depth: s.cin, Width: s.cout,
			In: bf16(l.In[0]), Grad: bf16(l.In[1]), Out: l.Out.Matrix,
			Scratch: l.Scratch, Threads: l.Threads, Cut: l.Cut,
		}.Bind()
		if s.upsampledBF16Grad() {
			w := upsampledBF16Grad{squares: s.squares(), depth: s.cin, width: s.cout, x: bf16(l.In[0]), grad: bf16(l.In[1]), sum: l.Out.Matrix}
			return either(w.bind(l.Scratch, l.Threads), plain)
		}
		if !s.winogradBF16Grad() {
			return plain
		}
		w := bf16WinogradGrad{squares: s.squares(), depth: s.cin, width: s.cout, x: bf16(l.In[0]), grad: bf16(l.In[1]), sum: l.Out.Matrix, cut: l.Cut}
		return either(w.bind(l.Scratch, l.Threads), plain)
	}
	if s.winograd() {
		w := winogradGrad{squares: s.squares(), depth: s.cin, width: s.cout, x: l.In[0].Matrix, grad: l.In[1].Matrix, sum: l.Out.Matrix, cut: l.Cut}
		return w.bind(l.Scratch, l.Threads)
	}
	return gemm.Transposed{
		Geometry: s.forwardGeometry(), Depth: s.cin, Width: s.cout,
		In: l.In[0].Matrix, Grad: l.In[1].Matrix,
		Out: l.Out.Matrix, Threads: l.Threads, Cut: l.Cut,
	}.Bind()
}
