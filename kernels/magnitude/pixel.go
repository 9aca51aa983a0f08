package magnitude

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Pixel divides x (…,C), pixel by pixel, by the root mean square of each of so many groups of
// its channels.
func Pixel(x *gorgonia.Node, groups int) *gorgonia.Node {
	f := byPixels(groups, "magnitude_pixel", divided[float64], divided[float32])
	f.gradients = func(in gorgonia.Nodes, _, dy *gorgonia.Node) gorgonia.Nodes {
		f := byPixels(groups, "magnitude_pixel_grad", dividedGrad[float64], dividedGrad[float32])
		return gorgonia.Nodes{apply(f, dy.Dims(), fmt.Sprintf("pixel norm.dx of %d groups", groups), in[0], dy)}
	}
	return apply(f, x.Dims(), fmt.Sprintf("pixel norm of %d groups", groups), x)
}

// divided is a group of x at unit size.
func divided[T float32 | float64](y, x, _ []T) {
	factor, _ := inverse(dot(x, x), len(x))
	for i, e := range x {
		y[i] = T(factor * float64(e))
	}
}

func dividedGrad[T float32 | float64](dx, x, dy []T) {
	factor, slope := inverse(dot(x, x), len(x))
	slope *= dot(x, dy)
	for i, e := range x {
		dx[i] = T(float64(factor*float64(dy[i])) - float64(slope*float64(e)))
	}
}

func dot[T float32 | float64](x, y []T) (sum float64) {
	for i, e := range x {
		sum += float64(e) * float64(y[i])
	}
	return sum
}

const warps = 8 // of a block of pixels, as in magnitude.cu

// byPixels makes each group of a pixel of that group of the first input and of the last.
func byPixels(groups int, function string, reference func(y, a, b []float64), of func(y, a, b []float32)) functions {
	return functions{
		flops: 6,
		shape: func(in []tensor.Shape) (tensor.Shape, error) {
			s, err := alike(in)
			if err == nil && s[len(s)-1]%groups != 0 {
				return nil, fmt.Errorf("%v, want a multiple of %d channels", s, groups)
			}
			return s, err
		},
		evaluate: func(in []kernels.Array, y kernels.Array) {
			n := y.Shape[len(y.Shape)-1] / groups
			for at := 0; at < len(y.Data); at += n {
				reference(y.Data[at:at+n], in[0].Data[at:at+n], in[len(in)-1].Data[at:at+n])
			}
		},
		cpu: func(l kernels.Launch) func(*cpu.Pool) {
			y, a, b := l.Out.Matrix, l.In[0].Matrix, l.In[len(l.In)-1].Matrix
			n := y.Cols / groups
			return kernels.RowLoop(y, func(_ *cpu.Kernels, from, rows int) {
				for r := from; r < from+rows; r++ {
					for at := 0; at < y.Cols; at += n {
						of(y.Row(r)[at:at+n], a.Row(r)[at:at+n], b.Row(r)[at:at+n])
					}
				}
			})
		},
		cuda: func(l cuda.Launch) []cuda.Call {
			y, name, args := l.Out, function+"_f32", []any{l.Out.View()}
			if y.Type == number.BFloat16 {
				name = function + "_bf16"
			}
			for _, x := range l.In {
				args = append(args, x.View())
			}
			return []cuda.Call{{
				Module: module, Function: name, Grid: [3]int{(y.Rows*groups + warps - 1) / warps, 1, 1}, Block: [3]int{32, warps, 1},
				Args: cuda.Args(append(args, y.Rows, y.Cols, groups)...),
			}}
		},
	}
}
