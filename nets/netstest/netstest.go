// Package netstest runs networks in tests on Gorgonia's own machine, in float64, beside what
// another program recorded of them.
package netstest

import (
	"errors"
	"math"
	"slices"
	"testing"

	"fluxion/kernels/concat"
	"fluxion/nets"
	"fluxion/nets/safetensors"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Tensor is one of a file, widened to float64.
type Tensor struct {
	Shape  []int
	Values []float64
}

// Tensors reads all of a safetensors file, of F64, F32 or I64.
func Tensors(t testing.TB, path string) map[string]Tensor {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string]Tensor{}
	for _, s := range f.Tensors {
		x := Tensor{s.Shape, make([]float64, s.Elements())}
		if s.Dtype == safetensors.I64 {
			whole := make([]int64, s.Elements())
			err = f.ReadInt64(s.Name, whole)
			for i, v := range whole {
				x.Values[i] = float64(v)
			}
		} else {
			err = f.ReadFloat64(s.Name, x.Values)
		}
		if err != nil {
			t.Fatal(err)
		}
		all[s.Name] = x
	}
	return all
}

// NHWC turns (N,C,H,W) into (N,H,W,C).
func (x Tensor) NHWC() Tensor {
	n, c, pixels := x.Shape[0], x.Shape[1], x.Shape[2]*x.Shape[3]
	out := make([]float64, len(x.Values))
	for i, v := range x.Values {
		image, channel, pixel := i/(c*pixels), i/pixels%c, i%pixels
		out[(image*pixels+pixel)*c+channel] = v
	}
	return Tensor{[]int{n, x.Shape[2], x.Shape[3], c}, out}
}

// NCHW turns (N,H,W,C) into (N,C,H,W).
func (x Tensor) NCHW() Tensor {
	n, pixels, c := x.Shape[0], x.Shape[1]*x.Shape[2], x.Shape[3]
	out := make([]float64, len(x.Values))
	for i, v := range x.Values {
		image, pixel, channel := i/(c*pixels), i/c%pixels, i%c
		out[(image*c+channel)*pixels+pixel] = v
	}
	return Tensor{[]int{n, c, x.Shape[1], x.Shape[2]}, out}
}

// Let gives a node of a graph in float64 a copy of values.
func Let(t testing.TB, n *gorgonia.Node, values []float64) {
	t.Helper()
	if err := gorgonia.Let(n, tensor.New(tensor.WithShape(n.Shape()...), tensor.WithBacking(slices.Clone(values)))); err != nil {
		t.Fatalf("%s: %v", n.Name(), err)
	}
}

// LetWeights gives the parameters of a graph theirs.
func LetWeights(t testing.TB, g *nets.Graph, flat []float32) {
	t.Helper()
	for i, p := range g.Params {
		w := make([]float64, p.Size())
		for k := range w {
			w[k] = float64(flat[p.Offset+k])
		}
		Let(t, g.Nodes[i], w)
	}
}

// Run runs a graph.
func Run(t testing.TB, g *gorgonia.ExprGraph) {
	t.Helper()
	vm := gorgonia.NewTapeMachine(g)
	if err := errors.Join(vm.RunAll(), vm.Close()); err != nil {
		t.Fatal(err)
	}
}

// Whole is all that a network gives: with its variance, if it has one.
func Whole(g *nets.Graph) *gorgonia.Node {
	if g.Variance == nil {
		return g.Output
	}
	return concat.Channels(g.Output, g.Variance)
}

// Output is what a network gives, NHWC, for images (N,C,H,W) at times, of classes if it is told such.
func Output(t testing.TB, n nets.Network, flat []float32, images Tensor, times, classes []float64) []float64 {
	t.Helper()
	sample := images.NHWC()
	g, err := nets.Build(n, nets.BuildOptions{Batch: sample.Shape[0], Height: sample.Shape[1], Width: sample.Shape[2], Dtype: tensor.Float64})
	if err != nil {
		t.Fatal(err)
	}
	Let(t, g.Sample, sample.Values)
	Let(t, g.Time, times)
	if g.Class != nil {
		Let(t, g.Class, classes)
	}
	LetWeights(t, g, flat)
	Run(t, g.G)
	return g.Output.Value().Data().([]float64)
}

// Near fails where values differ by more than a share of the largest of those wanted.
func Near(t testing.TB, what string, got, want []float64, share float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	worst, largest := 0., 0.
	for i, w := range want {
		worst, largest = max(worst, math.Abs(got[i]-w)), max(largest, math.Abs(w)) // NaN stays NaN
	}
	if !(worst <= share*largest) {
		t.Errorf("%s: off by %.2g of %.3g, want at most %.2g of it", what, worst, largest, share)
	}
}
