// Package gram multiplies all images of one set with all of another: what a coupling of
// images and noise chooses by. It is float64 in one order, so that the choice is the same
// on every machine.
package gram

import (
	"fmt"
	"math"
	"unsafe"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/tensor"
)

// New returns the kernel: inputs x (n,…) and y (m,…), of images of the same size, without
// gaps; output their Table, (n+1, 2(m+1)), whose float64 lie in two float32 each.
func New() kernels.Kernel {
	return table{kernels.Signature{Name: "gram", Ranks: []int{4, 4}, Rank: 2}}
}

// Shape is that of the table of n and m images.
func Shape(n, m int) tensor.Shape { return tensor.Shape{n + 1, 2 * (m + 1)} }

// Table is the products of n images with m others, and the squares of all.
type Table struct {
	N, M   int
	values []float32
}

// NewTable reads what the kernel has left.
func NewTable(n, m int, values []float32) Table { return Table{n, m, values} }

// Of multiplies images one by one, for few of them: bit for bit as the kernel does.
func Of(x, y [][]float32) Table {
	t := Table{len(x), len(y), make([]float32, Shape(len(x), len(y)).TotalSize())}
	for i, a := range x {
		t.put(i, t.M, Product(a, a))
		for j, b := range y {
			t.put(i, j, Product(a, b))
		}
	}
	for j, b := range y {
		t.put(t.N, j, Product(b, b))
	}
	return t
}

func (t Table) at(i, j int) float64 {
	k := 2 * (i*(t.M+1) + j)
	return math.Float64frombits(uint64(math.Float32bits(t.values[k])) | uint64(math.Float32bits(t.values[k+1]))<<32)
}

func (t Table) put(i, j int, x float64) {
	k, bits := 2*(i*(t.M+1)+j), math.Float64bits(x)
	t.values[k], t.values[k+1] = math.Float32frombits(uint32(bits)), math.Float32frombits(uint32(bits>>32))
}

// Product is x_i·y_j.
func (t Table) Product(i, j int) float64 { return t.at(i, j) }

// SquareX is |x_i|².
func (t Table) SquareX(i int) float64 { return t.at(i, t.M) }

// SquareY is |y_j|².
func (t Table) SquareY(j int) float64 { return t.at(t.N, j) }

// Distance is |x_i − y_j|².
func (t Table) Distance(i, j int) float64 {
	return t.SquareX(i) + t.SquareY(j) - 2*t.Product(i, j)
}

type table struct{ kernels.Signature }

// Cost of one launch.
func (table) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	n, m := in[0][0], in[1][0]
	return kernels.Cost{FLOPs: 2 * int64(n) * int64(m) * int64(in[0].TotalSize()/n), Bytes: kernels.Traffic(out, in...)}
}

// check reports why shapes do not fit.
func check(x, y, out tensor.Shape) (n, m, size int, err error) {
	n, m = x[0], y[0]
	size = x.TotalSize() / n
	if y.TotalSize() != m*size || !out.Eq(Shape(n, m)) {
		err = fmt.Errorf("gram of %v and %v to %v, want images of one size, and %v", x, y, out, Shape(n, m))
	}
	return n, m, size, err
}

// block is how many x a task has.
const block = 16

// CPU binds the kernel; it panics where operands do not fit.
func (table) CPU(l kernels.Launch) func(*cpu.Pool) {
	n, m, size, err := check(l.In[0].Shape, l.In[1].Shape, l.Out.Shape)
	if err == nil && (l.In[0].Pitch != l.In[0].Cols || l.In[1].Pitch != l.In[1].Cols || l.Out.Pitch != l.Out.Cols) {
		err = fmt.Errorf("gram: an operand has gaps")
	}
	if err != nil {
		panic(err)
	}
	x, y, t := l.In[0].Data, l.In[1].Data, Table{n, m, l.Out.Data}
	tiles := make([]cpu.Gram, max(1, l.Threads))
	tasks := (n + block - 1) / block
	var k *cpu.Kernels
	task := func(task, worker int) {
		first, end := task*block, min((task+1)*block, n)
		g := &tiles[worker]
		g.Depth = size &^ 3
		for j := 0; j < m; j += len(g.Y) {
			for i := first; i < end; i += len(g.X) {
				tile(k, g, t, x, y, i, j, size)
			}
		}
		for i := first; i < end; i++ {
			t.put(i, m, Product(x[i*size:][:size], x[i*size:][:size]))
		}
		for j := task * m / tasks; j < (task+1)*m/tasks; j++ {
			t.put(n, j, Product(y[j*size:][:size], y[j*size:][:size]))
		}
	}
	return func(p *cpu.Pool) {
		k = p.Kernels()
		p.Run(tasks, task)
		t.put(n, m, 0)
	}
}

// tile makes the products of the images from i and j on, as many as a micro-kernel has.
func tile(k *cpu.Kernels, g *cpu.Gram, t Table, x, y []float32, i, j, size int) {
	for a := range g.X {
		g.X[a] = uintptr(unsafe.Pointer(&x[min(i+a, t.N-1)*size]))
	}
	for b := range g.Y {
		g.Y[b] = uintptr(unsafe.Pointer(&y[min(j+b, t.M-1)*size]))
	}
	k.Gram(g)
	for a := range min(len(g.X), t.N-i) {
		for b := range min(len(g.Y), t.M-j) {
			sums := &g.Sums[a][b]
			rest(sums, x[(i+a)*size:][:size], y[(j+b)*size:][:size], g.Depth)
			t.put(i+a, j+b, total(sums))
		}
	}
}

// Product is a·b of one image each: value v is summed in lane v mod 4, and the lanes in
// pairs. Products of float32 are exact in float64, so that fused or not they are the same.
func Product(a, b []float32) float64 {
	var sums [4]float64
	for i := 0; i+4 <= len(a); i += 4 {
		for k := range 4 {
			sums[k] += float64(float64(a[i+k]) * float64(b[i+k]))
		}
	}
	rest(&sums, a, b, len(a)&^3)
	return total(&sums)
}

// rest adds the values from one on, less than four.
func rest(sums *[4]float64, a, b []float32, from int) {
	for i := from; i < len(a); i++ {
		sums[i&3] += float64(float64(a[i]) * float64(b[i]))
	}
}

func total(sums *[4]float64) float64 { return (sums[0] + sums[1]) + (sums[2] + sums[3]) }
