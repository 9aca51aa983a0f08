package magnitude

import (
	_ "embed"
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

//go:embed magnitude.ptx.zst
var ptx string

var module = cuda.Register("magnitude", ptx)

// operation is any of the package: what tells two of them apart is in the name.
type operation struct {
	kernels.Signature
	*functions
}

// functions are what an operation does.
type functions struct {
	shape    func(in []tensor.Shape) (tensor.Shape, error)
	evaluate func(in []kernels.Array, y kernels.Array) // y holds zeros
	// gradients of its inputs; nil: it has none.
	gradients func(in gorgonia.Nodes, y, dy *gorgonia.Node) gorgonia.Nodes
	flops     int // of a number of the first input
	native    bool
	cpu       func(l kernels.Launch) func(*cpu.Pool)
	scratch   func(l cuda.Launch) int // nil: none
	cuda      func(l cuda.Launch) []cuda.Call
}

// sums is an operation that makes sums of activations; exact one whose numbers are float32 in a
// plan of any precision.
type (
	sums  struct{ operation }
	exact struct{ operation }
)

func (sums) Reduces() {}
func (exact) Exact()  {}

func newOperation(f functions, rank int, name string, in []*gorgonia.Node) operation {
	o := operation{kernels.Signature{Name: name, Rank: rank}, &f}
	for _, x := range in {
		o.Ranks = append(o.Ranks, x.Dims())
	}
	return o
}

// apply adds an operation to the graph.
func apply(f functions, rank int, name string, in ...*gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(newOperation(f, rank, name, in), in...)
}

// alike is the shape of inputs that have one.
func alike(in []tensor.Shape) (tensor.Shape, error) {
	for _, x := range in[1:] {
		if !x.Eq(in[0]) {
			return nil, fmt.Errorf("%v and %v: want equal shapes", in[0], x)
		}
	}
	return in[0].Clone(), nil
}

func (o operation) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err == nil {
		s[0], err = o.shape(s)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Name, err)
	}
	return s[0], nil
}

func (o operation) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		var shapes []tensor.Shape
		for _, x := range in {
			shapes = append(shapes, x.Shape)
		}
		shape, err := o.shape(shapes)
		if err != nil {
			panic(err) // the graph was built with these shapes
		}
		y := kernels.NewArray(shape...)
		o.evaluate(in, y)
		return y
	}, v)
}

func (o operation) DiffWRT(n int) []bool {
	list := make([]bool, n)
	for i := range list {
		list[i] = o.gradients != nil
	}
	return list
}

func (o operation) SymDiff(in gorgonia.Nodes, y, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	if o.gradients == nil {
		return nil, fmt.Errorf("%s has no gradient", o.Name)
	}
	return o.gradients(in, y, dy), nil
}

func (o operation) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: int64(o.flops * in[0].TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (o operation) TakesBFloat16() bool                  { return o.native }
func (o operation) CPU(l kernels.Launch) func(*cpu.Pool) { return o.cpu(l) }
func (o operation) CUDA(l cuda.Launch) []cuda.Call       { return o.cuda(l) }

func (o operation) CUDAScratch(l cuda.Launch) int {
	if o.scratch == nil {
		return 0
	}
	return o.scratch(l)
}
