// Package embed turns times and classes into vectors.
package embed

import (
	"fmt"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TimestepOptions of the sinusoidal embedding, as diffusers names them.
type TimestepOptions struct {
	Dim          int // even
	FlipSinToCos bool
	FreqShift    float64
	Scale        float64
}

// Timestep embeds times t (N) as (N,Dim): sines and cosines of t·Scale at
// frequencies exp(−ln(10000)·k/(Dim/2 − FreqShift)). It has no gradient.
func Timestep(t *gorgonia.Node, o TimestepOptions) *gorgonia.Node {
	if o.Dim%2 != 0 {
		panic(fmt.Errorf("time embedding of odd dimension %d", o.Dim))
	}
	name := fmt.Sprintf("timestep %d flip=%v shift=%g scale=%g", o.Dim, o.FlipSinToCos, o.FreqShift, o.Scale)
	return kernels.Apply(timestep{kernels.Signature{Name: name, Ranks: []int{1}, Rank: 2}, o}, t)
}

type timestep struct {
	kernels.Signature
	o TimestepOptions
}

func (o timestep) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return tensor.Shape{s[0][0], o.o.Dim}, nil
}

// Of is the embedding of t.
func (o TimestepOptions) Of(t float64) []float64 {
	y := make([]float64, o.Dim)
	for k := range y {
		y[k] = o.value(t, k)
	}
	return y
}

// value of element k of the embedding of t.
func (o TimestepOptions) value(t float64, k int) float64 {
	half := o.Dim / 2
	angle := o.Scale * t * math.Exp(-math.Log(10000)*float64(k%half)/(float64(half)-o.FreqShift))
	if (k < half) == o.FlipSinToCos {
		return math.Cos(angle)
	}
	return math.Sin(angle)
}

func (o timestep) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := kernels.NewArray(in[0].Shape[0], o.o.Dim)
		for i := range y.Data {
			y.Data[i] = o.o.value(in[0].Data[i/o.o.Dim], i%o.o.Dim)
		}
		return y
	}, v)
}

func (timestep) DiffWRT(int) []bool { return []bool{false} }

func (timestep) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{nil}, nil
}

func (o timestep) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (o timestep) CPU(l kernels.Launch) func(*cpu.Pool) {
	return func(*cpu.Pool) {
		for n := range l.Out.Rows {
			row := l.Out.Row(n)
			for k := range row {
				row[k] = float32(o.o.value(float64(l.In[0].Data[n]), k))
			}
		}
	}
}

// Lookup takes rows of table (K,T) by index (N), floats that hold whole numbers
// in [0, K), giving (N,T). On devices a row that is not there is NaN; memory of others is
// never read.
func Lookup(table, index *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(lookup{kernels.Signature{Name: "lookup", Ranks: []int{2, 1}, Rank: 2}}, table, index)
}

type lookup struct{ kernels.Signature }

func (lookup) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return tensor.Shape{s[1][0], s[0][1]}, nil
}

func (lookup) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		width := in[0].Shape[1]
		y := kernels.NewArray(in[1].Shape[0], width)
		for n, i := range in[1].Data {
			copy(y.Data[n*width:(n+1)*width], in[0].Data[int(i)*width:])
		}
		return y
	}, v)
}

func (lookup) DiffWRT(int) []bool { return []bool{true, false} }

func (lookup) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	k := in[0].Shape()[0]
	grad := lookupGrad{kernels.Signature{Name: fmt.Sprintf("lookup.dw %d", k), Ranks: []int{1, 2}, Rank: 2}, k}
	return gorgonia.Nodes{kernels.Apply(grad, in[1], dy), nil}, nil
}

func (lookup) Cost(_ []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{Bytes: kernels.Traffic(out, out)}
}

func (lookup) CPU(l kernels.Launch) func(*cpu.Pool) {
	return func(*cpu.Pool) {
		for n := range l.Out.Rows {
			i, to := l.In[1].Data[n], l.Out.Row(n)
			if i >= 0 && i < float32(l.In[0].Rows) {
				copy(to, l.In[0].Row(int(i)))
				continue
			}
			for c := range to {
				to[c] = float32(math.NaN())
			}
		}
	}
}

// lookupGrad sums the gradients of every row that was taken; inputs index, dy.
type lookupGrad struct {
	kernels.Signature
	rows int
}

func (o lookupGrad) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return tensor.Shape{o.rows, s[1][1]}, nil
}

func (o lookupGrad) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		width := in[1].Shape[1]
		g := kernels.NewArray(o.rows, width)
		for n, i := range in[0].Data {
			for c := range width {
				g.Data[int(i)*width+c] += in[1].Data[n*width+c]
			}
		}
		return g
	}, v)
}

func (lookupGrad) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: int64(in[1].TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (lookupGrad) CPU(l kernels.Launch) func(*cpu.Pool) {
	return func(*cpu.Pool) {
		clear(l.Out.Data[:l.Out.Rows*l.Out.Pitch])
		for n := range l.In[1].Rows {
			to := l.Out.Row(int(l.In[0].Data[n]))
			for c, g := range l.In[1].Row(n) {
				to[c] += g
			}
		}
	}
}
