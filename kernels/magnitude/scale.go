package magnitude

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/reduce"
	"fluxion/kernels/reshape"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const rowsPerThread = 4 // as in magnitude.cu

// Scale multiplies x (N,…,C) by t: (N,C) for each image and channel, or (1) for all of it.
func Scale(x, t *gorgonia.Node) *gorgonia.Node {
	return apply(functions{flops: 1, gradients: scaleGradients, evaluate: scaleReference, cpu: scaleCPU, cuda: scaleCUDA, shape: func(in []tensor.Shape) (tensor.Shape, error) {
		x, t := in[0], in[1]
		if !t.Eq(tensor.Shape{1}) && !t.Eq(tensor.Shape{x[0], x[len(x)-1]}) {
			return nil, fmt.Errorf("%v by %v: want (N,C) or (1)", x, t)
		}
		return x.Clone(), nil
	}}, x.Dims(), "scale", x, t)
}

// steps are those in t from one image to the next, and from one channel to the next.
func steps(t tensor.Shape) (image, channel int) {
	if len(t) == 1 {
		return 0, 0
	}
	return t[1], 1
}

func scaleReference(in []kernels.Array, y kernels.Array) {
	x, t := in[0], in[1]
	image, channel := steps(t.Shape)
	per, c := len(x.Data)/x.Shape[0], x.Shape[len(x.Shape)-1]
	for i, e := range x.Data {
		y.Data[i] = e * t.Data[i/per*image+i%c*channel]
	}
}

func scaleGradients(in gorgonia.Nodes, _, dy *gorgonia.Node) gorgonia.Nodes {
	x, t := in[0], in[1]
	if t.Dims() == 2 {
		return gorgonia.Nodes{Scale(dy, t), products(x, dy, true)}
	}
	columns := products(x, dy, false)
	return gorgonia.Nodes{Scale(dy, t), reduce.Rows(reshape.To(columns, columns.Shape()[0], 1))}
}

func scaleCPU(l kernels.Launch) func(*cpu.Pool) {
	x, t := l.In[0], l.In[1]
	pixels := l.Out.Rows / x.Shape[0]
	image, channel := steps(t.Shape)
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, from, n int) {
		for r := from; r < from+n; r++ {
			by, to := t.Data[r/pixels*image:], l.Out.Row(r)
			for i, e := range x.Row(r)[:len(to)] {
				to[i] = e * by[i*channel]
			}
		}
	})
}

func scaleCUDA(l cuda.Launch) []cuda.Call {
	x, y, factors := l.In[0], l.Out, l.In[1]
	t := cuda.Over(y, x)
	image, channel := steps(factors.Shape)
	return []cuda.Call{{
		Module: module, Function: t.Function("magnitude_scale", y.Type), Grid: t.Grid(rowsPerThread), Block: t.Block(),
		Args: cuda.Args(t.View(y), t.View(x), factors.Address, t.Rows, t.Cols, y.Rows/x.Shape[0], image, channel),
	}}
}

// partRows are the rows that are summed on their own, before the sums of all are.
const partRows = 256

// dots is how sums of products are shared: groups of so many rows, each in so many parts.
type dots struct{ groups, rows, parts, cols int }

// products sums x·y (N,…,C) over the pixels of each image, (N,C), or over all of them, (C).
func products(x, y *gorgonia.Node, perImage bool) *gorgonia.Node {
	s := x.Shape()
	d, out, name := dots{groups: 1, cols: s[len(s)-1]}, tensor.Shape{s[len(s)-1]}, "sum products"
	if perImage {
		d.groups, out, name = s[0], tensor.Shape{s[0], s[len(s)-1]}, "sum products of pixels"
	}
	d.rows = s.TotalSize() / d.cols / d.groups
	d.parts = (d.rows + partRows - 1) / partRows
	f := functions{flops: 2, evaluate: d.reference, cpu: d.onCPU, cuda: d.onGPU, scratch: d.scratch, shape: func(in []tensor.Shape) (tensor.Shape, error) {
		_, err := alike(in)
		return out.Clone(), err
	}}
	return kernels.Apply(sums{newOperation(f, len(out), name, []*gorgonia.Node{x, y})}, x, y)
}

func (d dots) reference(in []kernels.Array, y kernels.Array) {
	for i, e := range in[0].Data {
		y.Data[i/(d.rows*d.cols)*d.cols+i%d.cols] += e * in[1].Data[i]
	}
}

func (d dots) onCPU(l kernels.Launch) func(*cpu.Pool) {
	x, y := l.In[0], l.In[1]
	partial := make([]float64, d.groups*d.parts*d.cols)
	part := func(task, _ int) {
		sums := partial[task*d.cols:][:d.cols]
		clear(sums)
		first := task % d.parts * partRows
		for r := first; r < min(first+partRows, d.rows); r++ {
			a, b := x.Row(task/d.parts*d.rows+r), y.Row(task/d.parts*d.rows+r)
			for i := range sums {
				sums[i] += float64(a[i]) * float64(b[i])
			}
		}
	}
	return func(p *cpu.Pool) {
		p.Run(d.groups*d.parts, part)
		for g := range d.groups {
			for c := range d.cols {
				total := 0.0
				for b := range d.parts {
					total += partial[(g*d.parts+b)*d.cols+c]
				}
				l.Out.Data[g*d.cols+c] = float32(total)
			}
		}
	}
}

func (d dots) images() cuda.Images { return cuda.CutImages(d.groups, d.rows, partRows, 0) }

// scratch holds the sums of parts, where there are several.
func (d dots) scratch(cuda.Launch) int {
	if i := d.images(); i.Parts > 1 {
		return 4 * i.Images * i.Parts * d.cols
	}
	return 0
}

func (d dots) onGPU(l cuda.Launch) []cuda.Call {
	x, y := l.In[0], l.In[1]
	t, images, to := cuda.Over(x, y), d.images(), l.Out.Address
	if images.Parts > 1 {
		to = l.Scratch
	}
	calls := []cuda.Call{{
		Module: module, Function: t.Function("magnitude_products", x.Type), Grid: [3]int{images.Blocks(), t.Columns(), 1}, Block: t.Block(),
		Shared: 4 * t.Height * t.Width * t.Vector,
		Args:   cuda.Args(t.View(x), t.View(y), images.Argument(), to, d.cols),
	}}
	if images.Parts > 1 {
		calls = append(calls, reduce.Join(l.Out.Address, l.Scratch, images.Images, images.Parts, d.cols))
	}
	return calls
}
