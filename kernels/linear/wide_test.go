package linear

import (
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/gemm"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// TestWide: gradients of weights whose dy lie side by side, at once: of whole numbers, so exactly. Cards have many
// blocks for the few tiles, one each, or less.
func TestWide(t *testing.T) {
	const images, pixels, depth, width, n = 2, 150, 136, 72, 3
	const rows = images * pixels
	rng := rand.New(rand.NewPCG(21, 22))
	draw := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = float64(rng.IntN(9) - 4)
		}
		return v
	}
	x, dy := draw(rows*depth), draw(rows*n*width)
	weights, biases := make([][]float64, n), make([][]float64, n)
	for i := range n {
		weights[i], biases[i] = make([]float64, depth*width), make([]float64, width)
		for r := range rows {
			for j := range width {
				y := dy[r*n*width+i*width+j]
				biases[i][j] += y
				for c := range depth {
					weights[i][c*width+j] += x[r*depth+c] * y
				}
			}
		}
	}
	single := weightGrad{kernels.Signature{Name: "linear.dw"}}
	g := kerneltest.NewGPU(t, 3)
	for _, of := range []number.Type{number.BFloat16, number.Float32} {
		for _, sums := range []bool{false, true} {
			for _, processors := range []int{0, 2, 48} {
				kernel := gemm.Wide{Of: single, N: n}
				if sums {
					kernel.Of = gemm.Summed{Weights: single}
				}
				shaped := func(o cuda.Operand, s ...int) cuda.Operand {
					o.Shape = tensor.Shape(s)
					return o
				}
				l := cuda.Launch{In: []cuda.Operand{
					shaped(g.Matrix(of, rows, depth, 8, x), images, pixels, depth), shaped(g.Matrix(of, rows, n*width, 0, dy), images, pixels, n*width),
				}}
				if processors > 0 {
					l.Card, _ = cuda.CardNamed("rtx4090")
					l.Card.Multiprocessors = processors
				}
				var results, rest []cuda.Operand
				for i := range n {
					w := shaped(g.Empty(number.Float32, depth, width, 0), depth, width)
					if results = append(results, w); i > 0 {
						l.In = append(l.In, w)
					}
					if sums {
						b := shaped(g.Empty(number.Float32, 1, width, 0), width)
						l.In, rest = append(l.In, b), append(rest, b)
					}
				}
				l.Out = results[0]
				if widens := kernel.CUDAWidens(l); widens != (of == number.BFloat16) {
					t.Fatalf("%v: %v", of, widens)
				} else if !widens {
					continue
				}
				l.Scratch = g.Alloc(kernel.CUDAScratch(l))
				g.Run(kernel.CUDA(l)...)
				for i := range n {
					same(t, g.Values(results[i]), weights[i])
					if sums {
						same(t, g.Values(rest[i]), biases[i])
					}
				}
			}
		}
	}

	portable, err := cpu.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(2, portable)
	defer pool.Close()
	operand := func(rows, cols int, v []float64, s ...int) kernels.Operand {
		m := cpu.Matrix{Data: make([]float32, rows*cols+64), Rows: rows, Cols: cols, Pitch: cols}
		for i := range v {
			m.Data[i] = float32(v[i])
		}
		return kernels.Operand{Matrix: m, Shape: s}
	}
	l := kernels.Launch{In: []kernels.Operand{operand(rows, depth, x, images, pixels, depth), operand(rows, n*width, dy, images, pixels, n*width)}, Threads: 2}
	results := make([]kernels.Operand, n)
	for i := range results {
		if results[i] = operand(depth, width, nil, depth, width); i > 0 {
			l.In = append(l.In, results[i])
		}
	}
	l.Out = results[0]
	kernel := gemm.Wide{Of: single, N: n}
	shapes := make([]tensor.Shape, len(l.In))
	for i, o := range l.In {
		shapes[i] = o.Shape
	}
	l.Scratch = make([]float32, kernel.Scratch(shapes, l.Out.Shape, l.Threads))
	kernel.CPU(l)(pool)
	for i, r := range results {
		same(t, r.Data[:depth*width], weights[i])
	}
}

func same(t *testing.T, got []float32, want []float64) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a float32, b float64) bool { return float64(a) == b }) {
		t.Fatal("another sum than that of whole numbers")
	}
}
