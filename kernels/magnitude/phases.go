package magnitude

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Phases embeds times t (N) as (N,K): √2·cos(f·t + φ) for frequencies f and phases φ (K), whose
// squares are 1 on average (equation 75). None of them has a gradient that is of use: frequencies
// and phases are constants that a model keeps, which training is told by a gradient of 0.
func Phases(t, frequencies, phases *gorgonia.Node) *gorgonia.Node {
	return apply(functions{
		flops: 3, cpu: phasesCPU, cuda: phasesCUDA,
		shape: func(in []tensor.Shape) (tensor.Shape, error) { return tensor.Shape{in[0][0], in[1][0]}, nil },
		gradients: func(in gorgonia.Nodes, _, dy *gorgonia.Node) gorgonia.Nodes {
			return gorgonia.Nodes{Fill(dy, 0, in[0].Shape()...), Fill(dy, 0, in[1].Shape()...), Fill(dy, 0, in[2].Shape()...)}
		},
		evaluate: func(in []kernels.Array, y kernels.Array) {
			n := in[1].Shape[0]
			for i := range y.Data {
				y.Data[i] = cosine(in[0].Data[i/n], in[1].Data[i%n], in[2].Data[i%n])
			}
		},
	}, 2, "timestep phases", t, frequencies, phases)
}

func cosine(t, f, phase float64) float64 { return math.Sqrt2 * math.Cos(float64(t*f)+phase) }

func phasesCPU(l kernels.Launch) func(*cpu.Pool) {
	frequencies, phases := l.In[1].Row(0), l.In[2].Row(0)
	return func(*cpu.Pool) {
		for n := range l.Out.Rows {
			for k := range l.Out.Row(n) {
				l.Out.Row(n)[k] = float32(cosine(float64(l.In[0].Data[n]), float64(frequencies[k]), float64(phases[k])))
			}
		}
	}
}

const phaseThreads = 128 // of a block, as in magnitude.cu

func phasesCUDA(l cuda.Launch) []cuda.Call {
	y := l.Out
	return []cuda.Call{{
		Module: module, Function: "magnitude_phases", Grid: [3]int{y.Rows, (y.Cols + phaseThreads - 1) / phaseThreads, 1}, Block: [3]int{phaseThreads, 1, 1},
		Args: cuda.Args(y.View(), l.In[0].Address, l.In[1].Address, l.In[2].Address, y.Cols),
	}}
}
