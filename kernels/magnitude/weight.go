package magnitude

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Weight divides each column of w (…,out) by its root mean square, of as many rows as count, and
// multiplies it: EDM2's weight normalisation, equations 47 and 66. Rows behind those that count
// are divided with them. All is float32 in a plan of any precision.
func Weight(w *gorgonia.Node, factor float64, counted int) *gorgonia.Node {
	c := columns{factor, counted}
	f := functions{shape: c.shape, flops: 3, evaluate: c.reference, gradients: c.gradients, cpu: func(l kernels.Launch) func(*cpu.Pool) {
		return c.divide(l.In[0].Matrix, l.Out.Matrix)
	}, cuda: func(l cuda.Launch) []cuda.Call {
		w, y := l.In[0], l.Out
		return []cuda.Call{overColumns("magnitude_weight", y.Cols, y.View(), w.View(), y.Rows, y.Cols, counted, float32(factor))}
	}}
	return kernels.Apply(exact{newOperation(f, w.Dims(), c.name("unit weights"), []*gorgonia.Node{w})}, w)
}

// columns says what becomes of columns of weights.
type columns struct {
	factor  float64
	counted int
}

func (c columns) name(what string) string {
	return fmt.Sprintf("%s times %g of %d rows", what, c.factor, c.counted)
}

// shape checks that there are as many rows as count.
func (c columns) shape(in []tensor.Shape) (tensor.Shape, error) {
	s, err := alike(in)
	if err == nil && (c.counted < 1 || c.counted > s.TotalSize()/s[len(s)-1]) {
		return nil, fmt.Errorf("weights %v have not so many", s)
	}
	return s, err
}

func (c columns) gradients(in gorgonia.Nodes, _, dy *gorgonia.Node) gorgonia.Nodes {
	f := functions{shape: c.shape, flops: 6, evaluate: c.gradReference, cpu: c.gradCPU, cuda: func(l cuda.Launch) []cuda.Call {
		w, dy, to := l.In[0], l.In[1], l.Out
		return []cuda.Call{overColumns("magnitude_weight_grad", to.Cols, to.View(), w.View(), dy.View(), to.Rows, to.Cols, c.counted, float32(c.factor))}
	}}
	operands := []*gorgonia.Node{in[0], dy}
	return gorgonia.Nodes{kernels.Apply(exact{newOperation(f, dy.Dims(), c.name("unit weights.dw"), operands)}, operands...)}
}

const weightRows = 32 // threads down a column of weights, as in magnitude.cu

func overColumns(function string, cols int, args ...any) cuda.Call {
	return cuda.Call{Module: module, Function: function, Grid: [3]int{(cols + 31) / 32, 1, 1}, Block: [3]int{32, weightRows, 1}, Args: cuda.Args(args...)}
}

func (c columns) reference(in []kernels.Array, y kernels.Array) {
	w := in[0]
	out := w.Shape[len(w.Shape)-1]
	squares, _ := c.sums(w.Data, w.Data, out)
	for i, e := range w.Data {
		factor, _ := inverse(squares[i%out], c.counted)
		y.Data[i] = c.factor * factor * e
	}
}

// sums are those of squares and products of columns; of squares only rows that count.
func (c columns) sums(w, dy []float64, out int) (squares, products []float64) {
	squares, products = make([]float64, out), make([]float64, out)
	for i, e := range w {
		products[i%out] += e * dy[i]
		if i/out < c.counted {
			squares[i%out] += e * e
		}
	}
	return squares, products
}

func (c columns) gradReference(in []kernels.Array, dw kernels.Array) {
	w, dy := in[0].Data, in[1].Data
	out := dw.Shape[len(dw.Shape)-1]
	squares, products := c.sums(w, dy, out)
	for i, e := range w {
		factor, slope := inverse(squares[i%out], c.counted)
		g := factor * dy[i]
		if i/out < c.counted {
			g -= slope * products[i%out] * e
		}
		dw.Data[i] = c.factor * g
	}
}

// stripe is the columns of a task: some cache lines of each row.
const stripe = 64

func byColumns(cols int, f func(from, end int)) func(*cpu.Pool) {
	task := func(i, _ int) { f(i*stripe, min((i+1)*stripe, cols)) }
	return func(p *cpu.Pool) { p.Run((cols+stripe-1)/stripe, task) }
}

// add is sums of a task's columns.
func (c columns) add(w, dy cpu.Matrix, from, end int, squares, products *[stripe]float64) {
	for r := range w.Rows {
		y := dy.Row(r)[from:end]
		for i, e := range w.Row(r)[from:end] {
			products[i] += float64(e) * float64(y[i])
			if r < c.counted {
				squares[i] += float64(e) * float64(e)
			}
		}
	}
}

// divide binds the division of columns; it may work in place.
func (c columns) divide(w, to cpu.Matrix) func(*cpu.Pool) {
	return byColumns(w.Cols, func(from, end int) {
		var squares, unused [stripe]float64
		c.add(w, w, from, end, &squares, &unused)
		for i := range end - from {
			f, _ := inverse(squares[i], c.counted)
			squares[i] = c.factor * f
		}
		for r := range w.Rows {
			y := to.Row(r)[from:end]
			for i, e := range w.Row(r)[from:end] {
				y[i] = float32(squares[i] * float64(e))
			}
		}
	})
}

func (c columns) gradCPU(l kernels.Launch) func(*cpu.Pool) {
	w, dy, to := l.In[0].Matrix, l.In[1].Matrix, l.Out.Matrix
	return byColumns(w.Cols, func(from, end int) {
		var factors, slopes [stripe]float64
		c.add(w, dy, from, end, &factors, &slopes)
		for i := range end - from {
			factor, slope := inverse(factors[i], c.counted)
			factors[i], slopes[i] = c.factor*factor, c.factor*slope*slopes[i]
		}
		for r := range w.Rows {
			x, y, d := w.Row(r)[from:end], dy.Row(r)[from:end], to.Row(r)[from:end]
			for i := range d {
				g := float64(factors[i] * float64(y[i]))
				if r < c.counted {
					g -= float64(slopes[i] * float64(x[i]))
				}
				d[i] = float32(g)
			}
		}
	})
}
