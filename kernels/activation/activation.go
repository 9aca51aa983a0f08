// Package activation makes operations of functions of one number: y = f(x), and its gradient dy·f′(x).
package activation

import (
	"errors"

	"fluxion/kernels"
	"fluxion/kernels/cuda"

	"gorgonia.org/gorgonia"
)

// Function is an activation. Its CUDA module has NAME and NAME_grad, as activation.cuh declares them.
type Function struct {
	Name         string
	Value, Slope func(float64) float64 // f and f′; results are rounded once
	Module       *cuda.Module
}

// Of returns f(x).
func (f *Function) Of(x *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(forward{f.operation(f.Name, x.Dims())}, x)
}

// operation is what both directions have in common.
type operation struct {
	kernels.Elementwise
	function *Function
}

func (f *Function) operation(name string, ranks ...int) operation {
	return operation{kernels.NewElementwise(name, ranks...), f}
}

type forward struct{ operation }

func (o forward) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := kernels.NewArray(in[0].Shape...)
		for i, x := range in[0].Data {
			y.Data[i] = o.function.Value(x)
		}
		return y
	}, v)
}

func (forward) DiffWRT(int) []bool { return []bool{true} }

func (o forward) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	r := dy.Dims()
	return gorgonia.Nodes{kernels.Apply(gradient{o.function.operation(o.Name+".dx", r, r)}, in[0], dy)}, nil
}

// gradient: inputs x, dy.
type gradient struct{ operation }

func (o gradient) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		dx := kernels.NewArray(in[0].Shape...)
		for i, x := range in[0].Data {
			dx.Data[i] = in[1].Data[i] * o.function.Slope(x)
		}
		return dx
	}, v)
}

func (gradient) DiffWRT(n int) []bool { return make([]bool, n) }

func (o gradient) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, errors.New("the gradient of " + o.function.Name + " has no gradient")
}
