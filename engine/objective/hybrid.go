package objective

import (
	"fmt"
	"math"

	"fluxion/engine/process"
	"fluxion/kernels/loss"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
)

// hybrid is denoising by a network that says the variance of each step of a sampler, too: A. Nichol,
// P. Dhariwal, "Improved Denoising Diffusion Probabilistic Models" (2021), equation 16,
//
//	L = L_simple + λ L_vlb
//
// where the bound, in bits per dimension, is of the steps of the schedule, and the mean has no
// gradient of it. Times are those of steps. The bound weighs them as they are drawn: it is the
// paper's for uniform times.
type hybrid struct {
	*denoising
	lambda float64
	chain  process.Chain
}

func newHybrid(s Setup, p process.Parameters) (Objective, error) {
	lambda := p["lambda"]
	if !(lambda > 0) {
		return nil, fmt.Errorf("objective hybrid: lambda is %g, want a positive number, or objective denoising, which learns no variance", lambda)
	}
	h, err := makeHybrid("hybrid", s)
	if err != nil {
		return nil, err
	}
	h.lambda = lambda
	h.drawn = func(at int64) process.Drawn { return h.Draw(h.chain.Time(h.chain.StepOf(h.time(at)))) }
	return h, nil
}

// makeHybrid is what objectives of the bound have in common.
func makeHybrid(name string, s Setup) (*hybrid, error) {
	switch {
	case !s.Process.Source.White():
		return nil, fmt.Errorf("objective %s: the bound is of white normal noise, and the source is %v; want %s", name, s.Process.Source, process.Gaussian)
	case s.distance.c != 0:
		return nil, &KeyError{"loss", fmt.Errorf("%v, and the variational bound is of squares; want %s", s.distance, DefaultLoss)}
	case s.Uncertainty != nil:
		return nil, fmt.Errorf("objective %s: an uncertainty that is learnt of the noise level would weigh what the bound weighs; want one of them", name)
	}
	d, err := makeDenoising(s)
	if err != nil {
		return nil, err
	}
	return &hybrid{denoising: d, chain: s.Process.Chain()}, nil
}

func (h *hybrid) About() [][2]string {
	return append(h.denoising.About(), [2]string{"variance", fmt.Sprintf("learnt of each value, between the logarithms of the least and the largest of each of %d steps, by %g of the variational bound in bits", h.chain.Steps, h.lambda)})
}

func (h *hybrid) Fit(like nets.Spec) nets.Spec {
	like.Estimate, like.Jump, like.Variance, like.Guidance = false, false, true, h.Scales
	return like
}

func (h *hybrid) Loss(b *Builder) Loss {
	numbers := b.Coefficients("numbers of the bound", loss.Columns)
	return h.loss(b, additions{
		plus: func(r nets.Result, target, value *gorgonia.Node) *gorgonia.Node {
			return loss.Variational(r.Output, r.Variance, target, b.Data(), numbers.Node, value)
		},
		feed: func(i int, _ int64, q process.Point) {
			numbers.Set(i, h.numbers(h.chain.StepOf(q.Time), q, h.lambda*float64(h.chain.Steps))...)
		},
	})
}

// numbers are what loss.Variational is told of an image at a point of a step, of which the bound
// is the sum: an image has one of them.
func (h *hybrid) numbers(n int, t process.Point, weight float64) []float64 {
	k := make([]float64, loss.Columns)
	step := h.chain.Step(n, t)
	x, err := t.X()
	k[loss.Scale] = -step.Mean * x.Y / math.Sqrt(step.Least)
	k[loss.Spread] = step.Range
	switch {
	case n > 0:
		k[loss.Constant], k[loss.Own] = -1, 1
	case h.Levels:
		k[loss.Bin] = 1. / 255 / math.Sqrt(step.Least)
	default:
		k[loss.Constant] = math.Log(2 * math.Pi * step.Least)
	}
	if err == nil && finite(k[loss.Scale]) && finite(k[loss.Spread]) {
		k[loss.Weight] = weight
		return k
	}
	clear(k) // nobody can say there what the mean is
	return k
}

// Baseline is not known: the bound of a network without knowledge depends on what it says of the
// variance.
func (*hybrid) Baseline(float64, float64) (baseline, zero float64) { return 0, 0 }
