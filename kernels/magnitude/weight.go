package magnitude

import (
	"errors"
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Weight divides each column of w (…,out) by its root mean square, of as many rows as count, and
// multiplies it: EDM2's weight normalisation, equations 47 and 66. Rows behind those that count
// are divided with them. All is float32 in a plan of any precision.
func Weight(w *gorgonia.Node, factor float64, counted int) *gorgonia.Node {
	return kernels.Apply(weight{ofColumns("unit weights", factor, counted, w.Dims())}, w)
}

// columns is what the norm of weights and its gradient have in common.
type columns struct {
	kernels.Elementwise
	factor  float32
	counted int
}

func ofColumns(name string, factor float64, counted int, ranks ...int) columns {
	return columns{kernels.NewElementwise(fmt.Sprintf("%s times %g of %d rows", name, factor, counted), ranks...), float32(factor), counted}
}

// InferShape checks that there are as many rows as count.
func (o columns) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := o.Elementwise.InferShape(in...)
	if err == nil && (o.counted < 1 || o.counted > s.TotalSize()/s[len(s)-1]) {
		return nil, fmt.Errorf("%s: weights %v have not so many", o.Name, s)
	}
	return s, err
}

// Exact says that there is no bfloat16 about it.
func (columns) Exact() {}

// Cost of one launch.
func (o columns) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: int64((1 + 2*len(in)) * out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

type weight struct{ columns }

func (o weight) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		w := in[0]
		y := kernels.NewArray(w.Shape...)
		out := w.Shape[len(w.Shape)-1]
		squares, _ := sums(w.Data, w.Data, out, o.counted)
		for i, e := range w.Data {
			factor, _ := inverse(squares[i%out], o.counted)
			y.Data[i] = float64(o.factor) * factor * e
		}
		return y
	}, v)
}

// sums are those of squares and products of columns; of squares only rows that count.
func sums(w, dy []float64, out, counted int) (squares, products []float64) {
	squares, products = make([]float64, out), make([]float64, out)
	for i, e := range w {
		products[i%out] += e * dy[i]
		if i/out < counted {
			squares[i%out] += e * e
		}
	}
	return squares, products
}

func (weight) DiffWRT(int) []bool { return []bool{true} }

func (o weight) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	r := dy.Dims()
	return gorgonia.Nodes{kernels.Apply(weightGrad{ofColumns("unit weights.dw", float64(o.factor), o.counted, r, r)}, in[0], dy)}, nil
}

func (o weight) CPU(l kernels.Launch) func(*cpu.Pool) {
	return divide(l.In[0].Matrix, l.Out.Matrix, float64(o.factor), o.counted)
}

// divide binds the division of columns; it may work in place.
func divide(w, to cpu.Matrix, factor float64, counted int) func(*cpu.Pool) {
	return byColumns(w.Cols, func(from, end int) {
		var squares, unused [stripe]float64
		add(w, w, from, end, counted, &squares, &unused)
		for c := range end - from {
			f, _ := inverse(squares[c], counted)
			squares[c] = factor * f
		}
		for r := range w.Rows {
			y := to.Row(r)[from:end]
			for c, e := range w.Row(r)[from:end] {
				y[c] = float32(squares[c] * float64(e))
			}
		}
	})
}

// stripe is the columns of a task: some cache lines of each row.
const stripe = 64

func byColumns(cols int, f func(from, end int)) func(*cpu.Pool) {
	task := func(i, _ int) { f(i*stripe, min((i+1)*stripe, cols)) }
	return func(p *cpu.Pool) { p.Run((cols+stripe-1)/stripe, task) }
}

// add is sums of a task's columns.
func add(w, dy cpu.Matrix, from, end, counted int, squares, products *[stripe]float64) {
	for r := range w.Rows {
		y := dy.Row(r)[from:end]
		for c, e := range w.Row(r)[from:end] {
			products[c] += float64(e) * float64(y[c])
			if r < counted {
				squares[c] += float64(e) * float64(e)
			}
		}
	}
}

// weightGrad: inputs w, dy.
type weightGrad struct{ columns }

func (o weightGrad) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		w, dy := in[0].Data, in[1].Data
		dw := kernels.NewArray(in[0].Shape...)
		out := dw.Shape[len(dw.Shape)-1]
		squares, products := sums(w, dy, out, o.counted)
		for i, e := range w {
			c := i % out
			factor, slope := inverse(squares[c], o.counted)
			dw.Data[i] = factor * dy[i]
			if i/out < o.counted {
				dw.Data[i] -= slope * products[c] * e
			}
			dw.Data[i] *= float64(o.factor)
		}
		return dw
	}, v)
}

func (weightGrad) DiffWRT(n int) []bool { return make([]bool, n) }

func (weightGrad) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, errors.New("the gradient of unit weights has no gradient")
}

func (o weightGrad) CPU(l kernels.Launch) func(*cpu.Pool) {
	w, dy, to := l.In[0].Matrix, l.In[1].Matrix, l.Out.Matrix
	return byColumns(w.Cols, func(from, end int) {
		var factors, slopes [stripe]float64
		add(w, dy, from, end, o.counted, &factors, &slopes)
		for c := range end - from {
			factor, slope := inverse(factors[c], o.counted)
			factors[c], slopes[c] = float64(o.factor)*factor, float64(o.factor)*slope*slopes[c]
		}
		for r := range w.Rows {
			x, y, d := w.Row(r)[from:end], dy.Row(r)[from:end], to.Row(r)[from:end]
			for c := range d {
				g := float64(factors[c] * float64(y[c]))
				if r < o.counted {
					g -= float64(slopes[c] * float64(x[c]))
				}
				d[c] = float32(g)
			}
		}
	})
}
