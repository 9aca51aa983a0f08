// Package estimate is what a network's output says of the clean image: what a
// network that conditions on its own last answer is given. T. Chen, R. Zhang,
// G. Hinton, "Analog Bits: Generating Discrete Data using Diffusion Models with
// Self-Conditioning" (2022), algorithm 1.
package estimate

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Image returns x̂[n] = clip(w[n,0] z[n] + w[n,1] y[n], ±1) for z and y (N,H,W,C)
// and weights w (N,2); where both weights are 0 it is 0, whatever z and y are.
// Pixels lie in ±1, so clipping only brings x̂ nearer to the image. It has no
// gradient.
func Image(z, y, weights *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(Op{kernels.Signature{Name: "estimate", Ranks: []int{4, 4, 2}, Rank: 4}}, z, y, weights)
}

// Op is the estimate of Image.
type Op struct{ kernels.Signature }

// Float32 holds for z and x̂, and for the network's output as a loss sees it.
func (Op) Float32() (in, out bool) { return true, true }

// InferShape checks that z, y and the weights agree.
func (Op) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	if !s[0].Eq(s[1]) || s[2][0] != s[0][0] || s[2][1] != 2 {
		return nil, fmt.Errorf("estimate from %v and %v with weights %v", s[0], s[1], s[2])
	}
	return s[0].Clone(), nil
}

// Do evaluates the reference.
func (Op) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		x := kernels.NewArray(in[0].Shape...)
		per := len(x.Data) / in[2].Shape[0]
		for i := range x.Data {
			w := in[2].Data[i/per*2:][:2]
			if w[0] != 0 || w[1] != 0 {
				x.Data[i] = min(max(w[0]*in[0].Data[i]+w[1]*in[1].Data[i], -1), 1)
			}
		}
		return x
	}, v)
}

// DiffWRT says that nothing has a gradient: what comes before x̂ is cut off.
func (Op) DiffWRT(n int) []bool { return make([]bool, n) }

// SymDiff makes it an operation that Gorgonia differentiates around.
func (o Op) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, fmt.Errorf("%v has no gradient", o)
}

// Cost of one launch in which every image has an estimate.
func (Op) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 5 * int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

// CPU binds the kernel. The explicit float32() of each product keeps compilers
// from fusing it with the addition: the same bits everywhere.
func (Op) CPU(l kernels.Launch) func(*cpu.Pool) {
	pixels := l.Out.Rows / l.In[2].Shape[0]
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, r, n int) {
		for ; n > 0; r, n = r+1, n-1 {
			w := l.In[2].Row(r / pixels)
			z, y, x := l.In[0].Row(r), l.In[1].Row(r), l.Out.Row(r)
			if w[0] == 0 && w[1] == 0 {
				clear(x)
				continue
			}
			for c := range x {
				x[c] = min(max(float32(w[0]*z[c])+float32(w[1]*y[c]), -1), 1)
			}
		}
	})
}
