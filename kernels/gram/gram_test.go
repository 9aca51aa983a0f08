package gram

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/kerneltest"

	"gorgonia.org/tensor"
)

func random(n int) []float64 {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	x := make([]float64, n)
	for i := range x {
		x[i] = float64(float32(rng.NormFloat64()))
	}
	return x
}

func floats(x []float64) []float32 {
	f := make([]float32, len(x))
	for i, e := range x {
		f[i] = float32(e)
	}
	return f
}

// reference is what the kernel leaves, by one product after the other.
func reference(n, m int, x, y []float32) []float64 {
	images := func(of []float32, n int) (list [][]float32) {
		for image := range slices.Chunk(of, len(of)/n) {
			list = append(list, image)
		}
		return list
	}
	t := Of(images(x, n), images(y, m))
	words := make([]float64, len(t.values))
	for i, w := range t.values {
		words[i] = float64(w)
	}
	return words
}

// TestTable: every instruction set and GPUs give the bits of the simplest loop.
func TestTable(t *testing.T) {
	for _, s := range [][3]int{{1, 1, 1}, {2, 3, 4}, {5, 4, 7}, {17, 35, 39}, {33, 32, 66}} {
		n, m, size := s[0], s[1], s[2]
		x, y := random(n*size), random(m*size + 1)[1:]
		kerneltest.CheckLaunch(t, kerneltest.Launch{
			Kernel: New(), Bits: true,
			In:  []kerneltest.Operand{{Shape: tensor.Shape{n, size}, Before: x}, {Shape: tensor.Shape{m, size}, Before: y}},
			Out: kerneltest.Operand{Shape: Shape(n, m), After: reference(n, m, floats(x), floats(y))},
		})
	}
}

// TestProduct: products and distances are those of float64 in any order.
func TestProduct(t *testing.T) {
	x, y := floats(random(2*101)), floats(random(3*101))
	words := reference(2, 3, x, y)
	table := NewTable(2, 3, floats(words))
	for i := range 2 {
		for j := range 3 {
			product, distance := 0.0, 0.0
			for k := range 101 {
				a, b := float64(x[i*101+k]), float64(y[j*101+k])
				product, distance = product+a*b, distance+(a-b)*(a-b)
			}
			if math.Abs(table.Product(i, j)-product) > 1e-12 || math.Abs(table.Distance(i, j)-distance) > 1e-11 {
				t.Errorf("%d, %d: %v and %v, want %v and %v", i, j, table.Product(i, j), table.Distance(i, j), product, distance)
			}
		}
	}
}

// Benchmark is a step of 256 images of MNIST on one core, by instruction set.
func Benchmark(b *testing.B) {
	const n, size = 256, 784
	operand := func(shape tensor.Shape) kernels.Operand {
		rows, cols := shape[0], shape.TotalSize()/shape[0]
		return kernels.Operand{Shape: shape, Matrix: cpu.Matrix{Data: make([]float32, rows*cols), Rows: rows, Cols: cols, Pitch: cols}}
	}
	for _, name := range cpu.Names() {
		k, err := cpu.Select(name)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(name), func(b *testing.B) {
			pool := cpu.NewPool(1, k)
			defer pool.Close()
			run := New().CPU(kernels.Launch{In: []kernels.Operand{operand(tensor.Shape{n, size}), operand(tensor.Shape{n, size})}, Out: operand(Shape(n, n)), Threads: 1})
			for b.Loop() {
				run(pool)
			}
			b.ReportMetric(float64(b.N)*n*n*size/1e9/b.Elapsed().Seconds(), "Gproducts/s")
		})
	}
}
