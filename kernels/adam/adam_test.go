package adam

import (
	"math"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/optim/optimtest"
)

// The layout of a row is the one that adam.cu declares.
func TestRow(t *testing.T) { kerneltest.CheckRow(t, "adam.cu", "Row", Row{}) }

func optimizer(rectified bool, pyTorch [3][4]float64) optimtest.Optimizer {
	of := func(s optimtest.Step) *Hyper {
		return &Hyper{LearningRate: 0.01, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, WeightDecay: 0.1, Rectified: rectified, Count: s.Count, Clip: s.Clip, EMADecay: s.EMADecay}
	}
	return optimtest.Optimizer{
		States: 2, PyTorch: pyTorch,
		Within: 1e-5, // where gradient and decay cancel, what float32 leaves of them is divided by its own size
		Kernel: func(s optimtest.Step) kernels.Kernel { return New(of(s), s.Undecayed) },
		Reference: func(s optimtest.Step, decays bool, p, g float64, moments []float64) float64 {
			h := of(s)
			if decays {
				g += h.WeightDecay * p
			}
			m, v := h.Beta1*moments[0]+(1-h.Beta1)*g, h.Beta2*moments[1]+(1-h.Beta2)*g*g
			moments[0], moments[1] = m, v
			rate, epsilon, adaptive := h.rate()
			if !adaptive {
				return p - rate*m
			}
			return p - rate*m/(math.Sqrt(v/(1-math.Pow(h.Beta2, float64(h.Count))))+epsilon)
		},
	}
}

func TestAdam(t *testing.T) {
	optimtest.Check(t, optimizer(false, [3][4]float64{
		{0.9900000000957655, 0.49000000012378636, 0.009999999671941788, -0.49000000013445677},
		{0.9604074244279662, 0.47872187002556876, 0.03823199849601903, -0.47038010803773994},
		{0.8812920734708728, 0.510499650573613, 0.0830228055458644, -0.5237342990238855},
	}))
}

func TestRectified(t *testing.T) {
	optimtest.Check(t, optimizer(true, [3][4]float64{
		{0.9895578231276231, 0.49192156404554277, 0.0030482394054545804, -0.4925626658728156},
		{0.9540522778395972, 0.48535042768018, 0.025832175733094927, -0.4806105540078459},
		{0.932392384574165, 0.4931395976730748, 0.03922734785864648, -0.4916475760830243},
	}))
}

func Benchmark(b *testing.B) { optimtest.Bench(b, optimizer(false, [3][4]float64{})) }
