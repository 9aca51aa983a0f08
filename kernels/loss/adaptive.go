package loss

import (
	"fmt"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/row"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Adaptive returns weight[n]/(errors[n] + c)^p of each image, for errors of Images: weights
// of MSE by which large errors count for less (Z. Geng, M. Pokle, W. Luo, J. Lin,
// J. Z. Kolter, "Consistency Models Made Easy", 2024; "Mean Flows", 2025, equation 22). It
// has no gradient.
func Adaptive(errors, weight *gorgonia.Node, p, c float64) *gorgonia.Node {
	name := fmt.Sprintf("adaptive weights p=%g c=%g", p, c)
	return kernels.Apply(adaptive{kernels.Signature{Name: name, Ranks: []int{1, 1}, Rank: 1}, p, c, false}, errors, weight)
}

// Normalised returns weight[n]/(√errors[n] + c) of each image, by which its difference g from
// the target counts as g/(‖g‖/√D + c), of D values (C. Lu, Y. Song, "Simplifying, Stabilizing
// and Scaling Continuous-Time Consistency Models", 2024). It has no gradient.
func Normalised(errors, weight *gorgonia.Node, c float64) *gorgonia.Node {
	return kernels.Apply(adaptive{kernels.Signature{Name: fmt.Sprintf("normalised weights c=%g", c), Ranks: []int{1, 1}, Rank: 1}, 1, c, true}, errors, weight)
}

type adaptive struct {
	kernels.Signature
	p, c float64
	root bool // of the error
}

func (adaptive) Exact() {}

// InferShape checks that there is a weight for each error.
func (adaptive) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	if !s[0].Eq(s[1]) {
		return nil, fmt.Errorf("weights %v of errors %v", s[1], s[0])
	}
	return s[0].Clone(), nil
}

func (o adaptive) of(err, weight float64) float64 {
	if o.root {
		err = math.Sqrt(err)
	}
	return weight * math.Pow(err+o.c, -o.p)
}

// Do evaluates the reference.
func (o adaptive) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		w := kernels.NewArray(in[0].Shape...)
		for i, err := range in[0].Data {
			w.Data[i] = o.of(err, in[1].Data[i])
		}
		return w
	}, v)
}

// DiffWRT says that nothing has a gradient.
func (adaptive) DiffWRT(n int) []bool { return make([]bool, n) }

// SymDiff is never asked for: without it, Gorgonia takes the errors for a dead end.
func (o adaptive) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, fmt.Errorf("%v has no gradient", o)
}

func (adaptive) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 2 * int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

// CPU binds the kernel.
func (o adaptive) CPU(l kernels.Launch) func(*cpu.Pool) {
	return func(*cpu.Pool) {
		for i, err := range l.In[0].Data[:l.In[0].Shape[0]] {
			l.Out.Data[i] = float32(o.of(float64(err), float64(l.In[1].Data[i])))
		}
	}
}

// CUDAScratch is none.
func (adaptive) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch: one thread an image.
func (o adaptive) CUDA(l cuda.Launch) []cuda.Call {
	n := l.In[0].Shape[0]
	return []cuda.Call{{
		Module: module, Function: "loss_adaptive", Grid: [3]int{(n + threads - 1) / threads, 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(l.Out.Address, l.In[0].Address, l.In[1].Address, n, math.Float64bits(o.p), math.Float64bits(o.c), uint32(row.If(o.root))),
	}}
}
