package cpu

import "unsafe"

// Winograd is the steps of a convolution of 3×3 by squares, each a map of small
// squares over rows of channels at the addresses in in and out, row by row of the
// square. Places are the transformed square. What is read and written must not overlap.
type Winograd struct {
	Input       func(in, out *uintptr, channels int)                    // square of an image → places
	Output      func(in, out, add *uintptr, bias uintptr, channels int) // products in places → square of the result, plus a row of biases and, unless add is nil, rows to add
	OutputGrad  func(in, out *uintptr, channels int)                    // square of a gradient of the result → places
	Weights     func(in, out *uintptr, channels int)                    // 3×3 weights → places
	WeightsGrad func(in, out *uintptr, channels int)                    // sums in places → 3×3 gradients
}

// Matrices of F(2×2, 3×3), squares of 4×4 with 4×4 places to 2×2: Lavin & Gray,
// "Fast Algorithms for Convolutional Neural Networks" (2016), equation 7.
var (
	winogradInput   = [][]float32{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}}
	winogradOutput  = [][]float32{{1, 1, 1, 0}, {0, 1, -1, -1}}
	winogradWeights = [][]float32{{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}}
)

// The same of an image whose pixels x are repeated: where a pair of results begins
// with a pair of pixels, (d0, d1, d2, d3) = (x0, x1, x1, x2), the third place,
// d2 − d1, is zero, and the second is 2·x1, whose 2 takes the ½ from the weights. It
// leaves 3×3 places for a square of 3×3 pixels to 2×2.
var (
	upsampledInput   = [][]float32{{1, -1, 0}, {0, 1, 0}, {0, 1, -1}}
	upsampledOutput  = [][]float32{{1, 1, 0}, {0, 1, -1}}
	upsampledWeights = [][]float32{{1, 0, 0}, {1, 1, 1}, {0, 0, 1}}
)

// A gradient of those pixels is the sum of a pair of F(2, 3): m0+m1+m2 + m1−m2−m3 =
// m0 + 2·m1 − m3. The third place is not in it, and the 2 takes the ½ again. Squares of
// 4×4 with 3×3 places become one pixel.
var (
	upsampledGradInput  = [][]float32{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, 1, 0, -1}}
	upsampledGradOutput = [][]float32{{1, 1, -1}}
)

func transposed(m [][]float32) [][]float32 {
	t := make([][]float32, len(m[0]))
	for _, row := range m {
		for j, x := range row {
			t[j] = append(t[j], x)
		}
	}
	return t
}

// portableWinograd sets the transforms in plain Go.
func portableWinograd(k *Kernels) {
	k.Winograd = portableSquares(winogradInput, winogradOutput, winogradWeights)
	k.Upsampled = portableSquares(upsampledInput, upsampledOutput, upsampledWeights)
	k.UpsampledGrad = portableSquares(upsampledGradInput, upsampledGradOutput, upsampledWeights)
	k.UpsampledGrad.OutputGrad, k.UpsampledGrad.WeightsGrad = nil, nil
}

func portableSquares(input, output, weights [][]float32) Winograd {
	plain := func(m [][]float32) func(in, out *uintptr, channels int) {
		return func(in, out *uintptr, channels int) { square(m, in, out, nil, 0, channels) }
	}
	return Winograd{
		Input: plain(input),
		Output: func(in, out, add *uintptr, bias uintptr, channels int) {
			square(output, in, out, add, bias, channels)
		},
		OutputGrad: plain(transposed(output)), Weights: plain(weights), WeightsGrad: plain(transposed(weights)),
	}
}

// square computes out = m·in·mᵀ + bias + add for each channel.
func square(m [][]float32, in, out, add *uintptr, bias uintptr, channels int) {
	rows, cols := len(m), len(m[0])
	from, to := unsafe.Slice(in, cols*cols), unsafe.Slice(out, rows*rows)
	for c := range channels {
		var half [4][4]float32 // m·in
		for i, row := range m {
			for j := range cols {
				for k, f := range row {
					if f != 0 {
						half[i][j] += f * floats(from[k*cols+j], channels)[c]
					}
				}
			}
		}
		for i := range rows {
			for j, row := range m {
				sum := float32(0)
				for k, f := range row {
					if f != 0 {
						sum += f * half[i][k]
					}
				}
				if bias != 0 {
					sum += floats(bias, channels)[c]
				}
				if add != nil {
					sum += floats(unsafe.Slice(add, rows*rows)[i*rows+j], channels)[c]
				}
				floats(to[i*rows+j], channels)[c] = sum
			}
		}
	}
}
