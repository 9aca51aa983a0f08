package objective

import (
	"errors"
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
	steps  int
}

func newHybrid(s Setup, p process.Parameters) (Objective, error) {
	lambda := p["lambda"]
	switch {
	case !(lambda > 0):
		return nil, fmt.Errorf("objective hybrid: lambda is %g, want a positive number, or objective denoising, which learns no variance", lambda)
	case !s.Process.Source.Standard():
		return nil, fmt.Errorf("objective hybrid: the bound is of Gaussian noise, and the source is %v; want %s", s.Process.Source, process.Gaussian)
	case s.distance.c != 0:
		return nil, &KeyError{"loss", fmt.Errorf("%v, and the variational bound is of squares; want %s", s.distance, DefaultLoss)}
	case s.Uncertainty != nil:
		return nil, errors.New("objective hybrid: an uncertainty that is learnt of the noise level would weigh one part of the loss alone; want one of them")
	}
	d, err := makeDenoising(s)
	if err != nil {
		return nil, err
	}
	h := &hybrid{denoising: d, lambda: lambda}
	_, h.steps = process.StepTime(s.Process.Schedule, 0)
	d.drawn = func(at int64) process.Drawn { return d.Draw(h.stepTime(h.stepOf(d.time(at)))) }
	return h, nil
}

// stepOf is the step that leads from a time, or from one a little later, to less noise.
func (h *hybrid) stepOf(t float64) int {
	return min(max(int(math.Ceil(t*float64(h.steps)-1e-9))-1, 0), h.steps-1)
}

// stepTime is the time from which a step leads.
func (h *hybrid) stepTime(n int) float64 { return float64(n+1) / float64(h.steps) }

func (h *hybrid) About() [][2]string {
	return append(h.denoising.About(), [2]string{"variance", fmt.Sprintf("learnt of each value, between the logarithms of the least and the largest of each of %d steps, by %g of the variational bound in bits", h.steps, h.lambda)})
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
		feed: func(i int, _ int64, q process.Point) { numbers.Set(i, h.numbers(q)...) },
	})
}

// numbers are what loss.Variational is told of an image at a point of a step; the bound is the
// sum over all steps, and an image has one of them.
func (h *hybrid) numbers(t process.Point) []float64 {
	k := make([]float64, loss.Columns)
	n, p := h.stepOf(t.Time), h.Process()
	s := p.End()
	least := math.NaN()
	if n > 0 {
		s = p.At(h.stepTime(n - 1))
		least = posteriorVariance(t, s)
	} else if h.steps > 1 { // it is 0 there: that of the step before, as the paper's code has it
		least = posteriorVariance(p.At(h.stepTime(1)), t)
	}
	decay := s.Sigma * t.Alpha / (s.Alpha * t.Sigma)
	kept := (1 - decay) * (1 + decay)
	x, err := t.X()
	k[loss.Scale] = -s.Alpha * kept * x.Y / math.Sqrt(least)
	k[loss.Spread] = math.Log(t.Sigma * t.Sigma * kept / least)
	switch {
	case n > 0:
		k[loss.Constant], k[loss.Own] = -1, 1
	case h.Levels:
		k[loss.Bin] = 1. / 255 / math.Sqrt(least)
	default:
		k[loss.Constant] = math.Log(2 * math.Pi * least)
	}
	if err == nil && finite(k[loss.Scale]) && finite(k[loss.Spread]) {
		k[loss.Weight] = h.lambda * float64(h.steps)
		return k
	}
	clear(k) // nobody can say there what the mean is
	return k
}

// posteriorVariance is β̃ of a step from t to s: σ_s²(1−k²).
func posteriorVariance(t, s process.Point) float64 {
	decay := s.Sigma * t.Alpha / (s.Alpha * t.Sigma)
	return s.Sigma * s.Sigma * (1 - decay) * (1 + decay)
}

// Baseline is not known: the bound of a network without knowledge depends on what it says of the
// variance.
func (*hybrid) Baseline(float64, float64) (baseline, zero float64) { return 0, 0 }
