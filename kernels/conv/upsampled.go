package conv

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/gemm"
	"fluxion/kernels/resample"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Nearest-neighbour upsampling by two, followed by a 3×3 convolution. The convolution can
// read the small image: the 3×3 pixels that a result depends on are copies of at most 2×2
// of it. With Winograd's transforms four results take 9 multiplications instead of 36 (see
// cpu.Winograd). A plan makes these operators by fusion (kernels.Absorber,
// kernels.Finisher).

// upsample returns the options of the convolution with these weights that enlarges
// its input itself, if there is one.
func (o Options) upsample(w tensor.Shape) (Options, bool) {
	upsampled := o
	upsampled.upsampled = true
	return upsampled, w[0] == 3 && w[1] == 3 && o == Same(3)
}

// Absorbs is the convolution of an image that another kernel would enlarge.
func (f forward) Absorbs(i int, maker kernels.Kernel, in []tensor.Shape) kernels.Kernel {
	o, ok := f.o.upsample(in[1])
	if !ok || i != 0 || !resample.Repeats(maker) {
		return nil
	}
	return forwardOf(o, in[1]).(kernels.Kernel)
}

// Absorbs is the gradient of the weights that meet an image that another kernel would enlarge.
func (g weightGrad) Absorbs(i int, maker kernels.Kernel, _ []tensor.Shape) kernels.Kernel {
	w := tensor.Shape{g.kh, g.kw}
	o, ok := g.o.upsample(w)
	if !ok || i != 0 || !resample.Repeats(maker) {
		return nil
	}
	return weightGradOf(o, w).(kernels.Kernel)
}

// Finishes is the gradient of an image instead of the gradient of the enlarged one.
func (g inputGrad) Finishes(reader kernels.Kernel, in []tensor.Shape) kernels.Kernel {
	o, ok := g.o.upsample(in[1])
	if !ok || !resample.SumsRepeated(reader) {
		return nil
	}
	return inputGradOf(o, tensor.Shape{in[0][0], g.h / 2, g.w / 2, in[1][2]}).(kernels.Kernel)
}

// forwardOf, inputGradOf and weightGradOf are the operators with all kernels they have.

func forwardOf(o Options, w tensor.Shape) gorgonia.Op {
	f := newForward(o, w)
	if o.upsampled {
		return upsampledForwardCUDA{f}
	}
	return forwardCUDA{f}
}

func inputGradOf(o Options, x tensor.Shape) gorgonia.Op {
	g := newInputGrad(o, x)
	if o.upsampled {
		return upsampledInputGradCUDA{g}
	}
	return inputGradCUDA{g}
}

func weightGradOf(o Options, w tensor.Shape) gorgonia.Op {
	g := newWeightGrad(o, w)
	if o.upsampled {
		return upsampledWeightGradCUDA{g}
	}
	return weightGradCUDA{g}
}

// Along one dimension, the gradient of pixel k of the small image is, from the gradients dy
// of the large one and the weights g,
//
//	g₂·dy[2k−1] + (g₁+g₂)·dy[2k] + (g₀+g₁)·dy[2k+1] + g₀·dy[2k+2]
//
// and the same along the other: a convolution of 4×4 taps with a stride of 2, whose
// weights are summed first. It takes 16 multiplications instead of 36.

const sumTaps = 4 // along each axis

// sumRows lists the rows of 3×3 weights that are summed for a tap along an axis.
var sumRows = [sumTaps][]int{{2}, {1, 2}, {0, 1}, {0}}

// gradTaps is how many taps the plain gradient of the input has.
func (s size) gradTaps() int {
	if s.upsampled {
		return sumTaps * sumTaps
	}
	return s.kh * s.kw
}

// summedWeights is the floats of weights that are summed first.
func (s size) summedWeights() int {
	if !s.upsampled {
		return 0
	}
	return roundUp(s.gradTaps()*s.cin*s.cout, 16)
}

// sumGeometry lists, for each summed tap and pixel, the pixel of dy that it meets.
func (s size) sumGeometry() gemm.Geometry {
	g := gemm.Geometry{Images: s.n, Rows: s.inputPixels(), InRows: s.oh * s.ow, Taps: s.gradTaps()}
	g.Source = make([]int32, 0, g.Taps*g.Rows)
	for ty := range sumTaps {
		for tx := range sumTaps {
			for y := range s.h / 2 {
				for x := range s.w / 2 {
					g.Source = append(g.Source, pixel(2*y+ty-1, 2*x+tx-1, s.oh, s.ow))
				}
			}
		}
	}
	return g
}

// gradProduct binds the plain gradient of the input, and sums its weights before it runs.
func (s size) gradProduct(w gemm.Weights, scratch []float32, bind func(gemm.Geometry, gemm.Weights, []float32) func(*cpu.Pool)) func(*cpu.Pool) {
	if !s.upsampled {
		return bind(s.inputGeometry(), w, scratch)
	}
	sums := scratch[:s.summedWeights()]
	product := bind(s.sumGeometry(), gemm.Weights{Data: sums, TapStride: s.cin * s.cout, DepthStride: 1, ColStride: s.cout}, scratch[len(sums):])
	var k *cpu.Kernels
	sum := func(channel, _ int) {
		for tap := range s.gradTaps() {
			to := row(sums[(tap*s.cin+channel)*s.cout:], s.cout)
			first := true
			for _, y := range sumRows[tap/sumTaps] {
				for _, x := range sumRows[tap%sumTaps] {
					from := row(w.Data[(y*s.kw+x)*w.TapStride+channel*w.ColStride:], s.cout)
					if first {
						k.Copy(to, from)
					} else {
						k.Add(to, to, from)
					}
					first = false
				}
			}
		}
	}
	return func(p *cpu.Pool) {
		k = p.Kernels()
		p.Run(s.cin, sum)
		product(p)
	}
}

func row(x []float32, n int) cpu.Matrix { return cpu.Matrix{Data: x, Rows: 1, Cols: n, Pitch: n} }
