package embed

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/pointwise"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Phases embeds times t (N) as (N,K): √2·cos(f·t + φ) for frequencies f and phases φ (K), whose
// squares are 1 on average (Karras et al. 2024, EDM2, equation 75). They are constants that a
// model keeps: their gradient is 0.
func Phases(t, frequencies, phases *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(cosines{kernels.Signature{Name: "timestep phases", Ranks: []int{1, 1, 1}, Rank: 2}}, t, frequencies, phases)
}

type cosines struct{ kernels.Signature }

func (cosines) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return tensor.Shape{s[0][0], s[1][0]}, nil
}

func cosine(t, f, phase float64) float64 { return math.Sqrt2 * math.Cos(float64(t*f)+phase) }

func (cosines) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		n := in[1].Shape[0]
		y := kernels.NewArray(in[0].Shape[0], n)
		for i := range y.Data {
			y.Data[i] = cosine(in[0].Data[i/n], in[1].Data[i%n], in[2].Data[i%n])
		}
		return y
	}, v)
}

// DiffWRT says that frequencies and phases have a gradient, which is 0: what is trained has one.
func (cosines) DiffWRT(int) []bool { return []bool{false, true, true} }

func (cosines) SymDiff(in gorgonia.Nodes, _, _ *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{nil, pointwise.Affine(in[1], 0, 0), pointwise.Affine(in[2], 0, 0)}, nil
}

func (cosines) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (cosines) CPU(l kernels.Launch) func(*cpu.Pool) {
	frequencies, phases := l.In[1].Row(0), l.In[2].Row(0)
	return func(*cpu.Pool) {
		for n := range l.Out.Rows {
			for k := range l.Out.Row(n) {
				l.Out.Row(n)[k] = float32(cosine(float64(l.In[0].Data[n]), float64(frequencies[k]), float64(phases[k])))
			}
		}
	}
}

// CUDAScratch is none.
func (cosines) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch.
func (cosines) CUDA(l cuda.Launch) []cuda.Call {
	return call("embed_phases", l.Out.Cols, l.Out.Rows, matrix(l.Out), l.In[0].Address, l.In[1].Address, l.In[2].Address)
}
