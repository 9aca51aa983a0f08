package embed

import (
	"fmt"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/pointwise"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// FourierOptions of the embedding by frequencies that were drawn (Tancik et al., "Fourier
// Features Let Networks Learn High Frequency Functions", 2020; Song et al., 2021).
type FourierOptions struct {
	Log         bool // of ln t, not of t
	CosineFirst bool
}

// Fourier embeds times t (N) as (N,2K): sines and cosines of 2π·f·t, or 2π·f·ln t, for
// frequencies f (K). They are constants that a model keeps: their gradient is 0.
func Fourier(t, frequencies *gorgonia.Node, o FourierOptions) *gorgonia.Node {
	name := fmt.Sprintf("timestep fourier log=%v cosines first=%v", o.Log, o.CosineFirst)
	return kernels.Apply(fourier{kernels.Signature{Name: name, Ranks: []int{1, 1}, Rank: 2}, o}, t, frequencies)
}

type fourier struct {
	kernels.Signature
	o FourierOptions
}

func (fourier) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return tensor.Shape{s[0][0], 2 * s[1][0]}, nil
}

// value of element k of the embedding of t.
func (o FourierOptions) value(t float64, frequencies int, f func(k int) float64, k int) float64 {
	if o.Log {
		t = math.Log(t)
	}
	sin, cos := math.Sincos(2 * math.Pi * f(k%frequencies) * t)
	if (k < frequencies) == o.CosineFirst {
		return cos
	}
	return sin
}

func (o fourier) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		n := in[1].Shape[0]
		y := kernels.NewArray(in[0].Shape[0], 2*n)
		for i := range y.Data {
			y.Data[i] = o.o.value(in[0].Data[i/2/n], n, func(k int) float64 { return in[1].Data[k] }, i%(2*n))
		}
		return y
	}, v)
}

// DiffWRT says that the frequencies have a gradient, which is 0: what is trained has one.
func (fourier) DiffWRT(int) []bool { return []bool{false, true} }

func (fourier) SymDiff(in gorgonia.Nodes, _, _ *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{nil, pointwise.Affine(in[1], 0, 0)}, nil
}

func (fourier) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (o fourier) CPU(l kernels.Launch) func(*cpu.Pool) {
	frequencies := l.In[1].Row(0)
	f := func(k int) float64 { return float64(frequencies[k]) }
	return func(*cpu.Pool) {
		for n := range l.Out.Rows {
			row := l.Out.Row(n)
			for k := range row {
				row[k] = float32(o.o.value(float64(l.In[0].Data[n]), len(frequencies), f, k))
			}
		}
	}
}

// CUDAScratch is none.
func (fourier) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch.
func (o fourier) CUDA(l cuda.Launch) []cuda.Call {
	flag := map[bool]int{true: 1}
	return call("embed_fourier", l.Out.Cols/2, l.Out.Rows, matrix(l.Out), l.In[0].Address, l.In[1].Address, flag[o.o.Log], flag[o.o.CosineFirst])
}
