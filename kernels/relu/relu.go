// Package relu keeps numbers between 0 and a limit: ReLU, and with a limit of 6 ReLU6.
package relu

import (
	"errors"
	"fmt"
	"math"

	"fluxion/kernels"

	"gorgonia.org/gorgonia"
)

// ReLU returns max(x, 0).
func ReLU(x *gorgonia.Node) *gorgonia.Node { return Clip(x, math.Inf(1)) }

// Clip returns min(max(x, 0), limit). NaN stays.
func Clip(x *gorgonia.Node, limit float64) *gorgonia.Node {
	return kernels.Apply(clip{signature(fmt.Sprintf("relu to %g", limit), x.Dims()), float32(limit)}, x)
}

// operation is what both directions have in common.
type operation struct{ kernels.Elementwise }

func signature(name string, ranks ...int) operation {
	return operation{kernels.NewElementwise(name, ranks...)}
}

type clip struct {
	operation
	limit float32
}

func (o clip) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := kernels.NewArray(in[0].Shape...)
		for i, x := range in[0].Data {
			y.Data[i] = min(max(x, 0), float64(o.limit))
		}
		return y
	}, v)
}

func (clip) DiffWRT(int) []bool { return []bool{true} }

func (o clip) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	r := dy.Dims()
	return gorgonia.Nodes{kernels.Apply(gradient{signature(o.Name+".dx", r, r), o.limit}, in[0], dy)}, nil
}

// gradient is dy where x was kept, and 0 elsewhere; inputs x, dy.
type gradient struct {
	operation
	limit float32
}

func (o gradient) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		dx := kernels.NewArray(in[0].Shape...)
		for i, x := range in[0].Data {
			if x > 0 && x < float64(o.limit) {
				dx.Data[i] = in[1].Data[i]
			}
		}
		return dx
	}, v)
}

func (gradient) DiffWRT(n int) []bool { return make([]bool, n) }

func (gradient) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, errors.New("the gradient of relu has no gradient")
}
