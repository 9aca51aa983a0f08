package cpu

import "unsafe"

// Matrices of F(2×2, 3×3): Lavin & Gray, "Fast Algorithms for Convolutional
// Neural Networks" (2016), equation 7.
var (
	winogradInput   = [][]float32{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}}
	winogradOutput  = [][]float32{{1, 1, 1, 0}, {0, 1, -1, -1}}
	winogradWeights = [][]float32{{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}}
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
	plain := func(m [][]float32) func(in, out *uintptr, channels int) {
		return func(in, out *uintptr, channels int) { square(m, in, out, nil, 0, channels) }
	}
	k.WinogradInput = plain(winogradInput)
	k.WinogradOutput = func(in, out, add *uintptr, bias uintptr, channels int) {
		square(winogradOutput, in, out, add, bias, channels)
	}
	k.WinogradOutputGrad = plain(transposed(winogradOutput))
	k.WinogradWeights = plain(winogradWeights)
	k.WinogradWeightsGrad = plain(transposed(winogradWeights))
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
