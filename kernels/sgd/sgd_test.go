package sgd

import (
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/optim/optimtest"
)

// The layout of a row is the one that sgd.cu declares.
func TestRow(t *testing.T) { kerneltest.CheckRow(t, "sgd.cu", "Row", Row{}) }

func optimizer(nesterov bool, pyTorch [3][4]float64) optimtest.Optimizer {
	return optimtest.Optimizer{
		States: 1, PyTorch: pyTorch,
		Kernel: func(s optimtest.Step) kernels.Kernel {
			return New(&Hyper{LearningRate: 0.01, Momentum: 0.9, Nesterov: nesterov, WeightDecay: 0.1, Clip: s.Clip, EMADecay: s.EMADecay}, s.Undecayed)
		},
		Reference: func(_ optimtest.Step, decays bool, p, g float64, velocity []float64) float64 {
			if decays {
				g += 0.1 * p
			}
			velocity[0] = 0.9*velocity[0] + g
			if nesterov {
				return p - 0.01*(g+0.9*velocity[0])
			}
			return p - 0.01*velocity[0]
		},
	}
}

func TestMomentum(t *testing.T) {
	optimtest.Check(t, optimizer(false, [3][4]float64{
		{0.9895578231276231, 0.49192156404554277, 0.0030482394054545804, -0.4925626658728156},
		{0.8953523052614212, 0.4794475902067784, 0.0658962026563128, -0.46472031911518974},
		{0.4340215547328718, 0.6180046454333791, 0.26890969600539283, -0.7405264059707295},
	}))
}

func TestNesterov(t *testing.T) {
	optimtest.Check(t, optimizer(true, [3][4]float64{
		{0.9801598639424839, 0.48465097168653126, 0.005791654870363703, -0.48586906515834966},
		{0.8617958995422866, 0.48304416716380355, 0.0919314980502389, -0.461373355331048},
		{0.40180727785334913, 0.6115962915070704, 0.2766231646590405, -0.7455754938670153},
	}))
}

func Benchmark(b *testing.B) { optimtest.Bench(b, optimizer(false, [3][4]float64{})) }
