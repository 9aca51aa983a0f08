package loss

import (
	"fmt"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Huber returns the mean over n of weight[n]·(√(scale[n]²·e[n] + c²) − c), a scalar, for e
// of Images: pseudo-Huber, by which an image with a large error counts by its error and
// not by its square (Y. Song, P. Dhariwal, "Improved Techniques for Training Consistency
// Models", 2023). An error is a mean over an image's D values and not a sum, so that the
// paper's c·√D is c here. Only y has a gradient.
func Huber(y, target, weight, scale *gorgonia.Node, c float64) *gorgonia.Node {
	o := huber{kernels.Signature{Name: fmt.Sprintf("huber c=%g", c), Ranks: []int{4, 4, 1, 1, 1}, Rank: 0}, c}
	return kernels.Apply(o, y, target, weight, scale, Images(y, target))
}

// huber is the loss of inputs y, target, weight, scale and their errors.
type huber struct {
	kernels.Signature
	c float64
}

// InferShape checks that there is a number for each image.
func (huber) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	if !s[0].Eq(s[1]) || s[2][0] != s[0][0] || !s[3].Eq(s[2]) {
		return nil, fmt.Errorf("loss of %v against %v with weights %v and scales %v", s[0], s[1], s[2], s[3])
	}
	return tensor.ScalarShape(), nil
}

func (huber) Exact()   {}
func (huber) Reduces() {}

// of is the loss of an image.
func (o huber) of(err, weight, scale float64) float64 {
	return weight * (math.Sqrt(scale*scale*err+o.c*o.c) - o.c)
}

// Do evaluates the reference.
func (o huber) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		total := kernels.NewArray()
		for i, err := range in[4].Data {
			total.Data[0] += o.of(err, in[2].Data[i], in[3].Data[i]) / float64(len(in[4].Data))
		}
		return total
	}, v)
}

// DiffWRT says that only the network's output has a gradient.
func (huber) DiffWRT(int) []bool { return []bool{true, false, false, false, false} }

// SymDiff is the gradient of MSE, with weights by which it is that of this loss.
func (o huber) SymDiff(in gorgonia.Nodes, _, _ *gorgonia.Node) (gorgonia.Nodes, error) {
	w := huberWeights{kernels.Signature{Name: fmt.Sprintf("huber weights c=%g", o.c), Ranks: []int{1, 1, 1}, Rank: 1}, o.c}
	g := grad{kernels.Signature{Name: "mse.dy", Ranks: []int{4, 4, 1}, Rank: 4}}
	return gorgonia.Nodes{kernels.Apply(g, in[0], in[1], kernels.Apply(w, in[4], in[2], in[3])), nil, nil, nil, nil}, nil
}

func (huber) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 6 * int64(in[4].TotalSize()), Bytes: kernels.Traffic(out, in[2:]...)}
}

// CPU binds the kernel.
func (o huber) CPU(l kernels.Launch) func(*cpu.Pool) {
	n := l.In[4].Shape[0]
	return func(*cpu.Pool) {
		total := 0.0
		for i, err := range l.In[4].Data[:n] {
			total += o.of(float64(err), float64(l.In[2].Data[i]), float64(l.In[3].Data[i]))
		}
		l.Out.Data[0] = float32(total / float64(n))
	}
}

// CUDAScratch is none.
func (huber) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch: one block.
func (o huber) CUDA(l cuda.Launch) []cuda.Call {
	return []cuda.Call{{
		Module: module, Function: "loss_huber", Grid: [3]int{1, 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(l.Out.Address, l.In[4].Address, l.In[2].Address, l.In[3].Address, l.In[4].Shape[0], math.Float64bits(o.c)),
	}}
}

// huberWeights: inputs are errors, weight and scale.
type huberWeights struct {
	kernels.Signature
	c float64
}

func (huberWeights) Exact() {}

func (huberWeights) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return s[0].Clone(), nil
}

// of is half the derivative of the loss by what is scaled, for that of a square is twice.
func (o huberWeights) of(err, weight, scale float64) float64 {
	return weight * scale * scale / (2 * math.Sqrt(scale*scale*err+o.c*o.c))
}

func (o huberWeights) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		w := kernels.NewArray(in[0].Shape...)
		for i, err := range in[0].Data {
			w.Data[i] = o.of(err, in[1].Data[i], in[2].Data[i])
		}
		return w
	}, v)
}

func (huberWeights) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 7 * int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (o huberWeights) CPU(l kernels.Launch) func(*cpu.Pool) {
	n := l.In[0].Shape[0]
	return func(*cpu.Pool) {
		for i, err := range l.In[0].Data[:n] {
			l.Out.Data[i] = float32(o.of(float64(err), float64(l.In[1].Data[i]), float64(l.In[2].Data[i])))
		}
	}
}

func (huberWeights) CUDAScratch(cuda.Launch) int { return 0 }

func (o huberWeights) CUDA(l cuda.Launch) []cuda.Call {
	n := l.In[0].Shape[0]
	return []cuda.Call{{
		Module: module, Function: "loss_huber_weights", Grid: [3]int{(n + threads - 1) / threads, 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(l.Out.Address, l.In[0].Address, l.In[1].Address, l.In[2].Address, n, math.Float64bits(o.c)),
	}}
}
