package lion

import (
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/optim/optimtest"
)

// The layout of a row is the one that lion.cu declares.
func TestRow(t *testing.T) { kerneltest.CheckRow(t, "lion.cu", "Row", Row{}) }

func optimizer() optimtest.Optimizer {
	return optimtest.Optimizer{
		States: 1, PyTorch: [3][4]float64{
			{0.989, 0.4895, 0.01, -0.4895},
			{0.956065956011, 0.4980429580105, 0.039940039989999995, -0.4780629580105},
			{0.8811225154891398, 0.4898952314579162, 0.059285372453903896, -0.5298939206003237},
		},
		Kernel: func(s optimtest.Step) kernels.Kernel {
			return New(&Hyper{LearningRate: 0.01, Beta1: 0.9, Beta2: 0.99, WeightDecay: 0.1, Clip: s.Clip, EMADecay: s.EMADecay}, s.Undecayed)
		},
		Reference: func(s optimtest.Step, decays bool, p, g float64, momentum []float64) float64 {
			c := 0.9*momentum[0] + 0.1*g
			momentum[0] = 0.99*momentum[0] + 0.01*g
			d := 0.0
			if decays {
				d = 0.1 * p
			}
			if c > 0 {
				d++
			} else if c < 0 {
				d--
			}
			return p - 0.01*d
		},
	}
}

func TestLion(t *testing.T) { optimtest.Check(t, optimizer()) }

func Benchmark(b *testing.B) { optimtest.Bench(b, optimizer()) }
