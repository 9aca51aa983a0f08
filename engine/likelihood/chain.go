package likelihood

import (
	"context"
	"errors"
	"fmt"
	"math"

	"fluxion/engine/process"
	"fluxion/kernels/loss"
)

// chain is the variational bound of the steps that ancestral samplers take: J. Ho, A. Jain,
// P. Abbeel, "Denoising Diffusion Probabilistic Models" (2020), equations 5, 8 and 13;
// A. Nichol, P. Dhariwal, "Improved Denoising Diffusion Probabilistic Models" (2021),
// equations 4 to 7 and 15:
//
//	−ln p(x) ≤ L_0 + Σ_{0<n<T} L_n + L_T
//
// L_0 is of levels as a Gaussian has them between their halves, L_n a divergence of two
// Gaussians, and L_T that of the noise that is left of x. The variance of a step is the
// network's, or β; at step 0, which has no other, that of the posterior of step 1, as in the
// code of the latter. x̂ of levels lies within them there, as it does in that code.
type chain struct {
	process.Chain
	levels Levels
	learnt bool // variances
}

// step is where the network is asked at a step of the chain, and what loss.Term is told there.
type step struct {
	point   process.Point
	numbers [loss.Columns]float64
}

// at is a step, or why its term cannot be said.
func (c chain) at(n int) (s step, err error) {
	s.point = c.At(c.Time(n))
	of := c.Step(n, s.point)
	// In deviations of β̃; x̂ stands for y, and x for its target.
	s.numbers[loss.Scale] = -of.Mean / math.Sqrt(of.Least)
	s.numbers[loss.Spread] = of.Range
	switch {
	case n > 0:
		s.numbers[loss.Constant], s.numbers[loss.Own] = -1, 1
	case c.levels.Count > 0:
		s.numbers[loss.Bin] = c.levels.Interval / 2 / math.Sqrt(of.Least)
	default:
		s.numbers[loss.Constant] = math.Log(2 * math.Pi * of.Least)
	}
	if _, err = s.point.X(); err == nil && !(math.Abs(s.numbers[loss.Scale])+math.Abs(of.Range) <= math.MaxFloat64) {
		err = errors.New("its coefficients are not finite")
	}
	if err != nil {
		err = fmt.Errorf("the bound of the chain, at step %d: %w", n, err)
	}
	return s, err
}

// usual is what stands for the variance of networks that say none.
func (c chain) usual(n int) float64 {
	if n == 0 {
		return -1
	}
	return 1
}

// CheckChain says why there is no bound of the process's own steps.
func (o Options) CheckChain() error {
	c := chain{Chain: o.Process.Chain()}
	for n := range c.Steps {
		if _, err := c.at(n); err != nil {
			return err
		}
	}
	return nil
}

// nats is the term of an image, of the state z that was made of x, where the network says y,
// and v of the variance.
func (c chain) nats(n int, s step, x, z []float64, y, v []float32) (sum float64) {
	guess, _ := s.point.X()
	for i := range x {
		xhat := guess.Z*z[i] + guess.Y*float64(y[i])
		if c.levels.Count > 0 {
			xhat = min(max(xhat, c.levels.Value(0)), c.levels.Value(c.levels.Count-1))
		}
		spread := c.usual(n)
		if c.learnt {
			spread = float64(v[i])
		}
		l, _, _ := loss.Term(xhat, spread, x[i], x[i], s.numbers[:])
		sum += l
	}
	return sum
}

// prior is L_T. A process of any scale is that of its variance-preserving one.
func (c chain) prior(x []float64) float64 {
	return Bound{Min: c.At(c.Time(c.Steps - 1)).LogSNR}.PriorTerm(x)
}

// draws are the steps at which an image is asked, and by what each term counts: all, or some
// that are evenly spread, and step 0.
func (c chain) draws(d Draws, times int) (steps []int, weights []float64) {
	steps, weights = []int{0}, []float64{1}
	middle := c.Steps - 1
	if times == 0 || times >= middle {
		for n := 1; n <= middle; n++ {
			steps, weights = append(steps, n), append(weights, 1)
		}
		return steps, weights
	}
	for k := range times {
		n := 1 + min(int(d.Level(k, times)*float64(middle)), middle-1)
		steps, weights = append(steps, n), append(weights, float64(middle)/float64(times))
	}
	return steps, weights
}

// Chains takes the bound of the process's own steps of each image: its terms in bits per
// dimension, L_0 as reconstruction, L_T as prior, and what is between as diffusion.
func Chains(ctx context.Context, o Options, images Images, progress Progress) ([]Terms, error) {
	if err := o.CheckChain(); err != nil {
		return nil, err
	}
	o.variance = o.Network.Spec().Variance
	return o.terms(ctx, images, together, (*run).chain, progress)
}

// chain is the bound of one image.
func (r *run) chain(i Image, yield func(*question) bool) (Terms, error) {
	c := chain{r.Process.Chain(), r.levels(i), r.variance}
	x, draws := r.clean(i), Draws{r.Seed, i.Number}
	dims := len(x)
	t := Terms{Prior: Bits(c.prior(x), dims)}
	steps, weights := c.draws(draws, r.Times)
	noise := make([]float32, dims)
	for first := 0; first < len(steps); first += together {
		asked := steps[first:min(first+together, len(steps))]
		q := &question{class: float32(i.Class), y: make([][]float32, len(asked)), v: make([][]float32, len(asked))}
		of := make([]step, len(asked))
		for k, n := range asked {
			var err error
			if of[k], err = c.at(n); err != nil {
				return t, err
			}
			draws.Noise(first+k, noise)
			z := make([]float64, dims)
			for d, e := range noise {
				z[d] = of[k].point.Alpha*x[d] + of[k].point.Sigma*float64(e)
			}
			q.points, q.z = append(q.points, of[k].point), append(q.z, z)
		}
		if !yield(q) {
			return t, errStopped
		}
		for k, n := range asked {
			sum := c.nats(n, of[k], x, q.z[k], q.y[k], q.v[k])
			switch {
			case sum-sum != 0: // of infinities and NaN it is NaN
				return t, &NotFiniteError{of[k].point.Time}
			case n == 0:
				t.Reconstruction = Bits(sum, dims)
			default:
				t.Diffusion += weights[first+k] * Bits(sum, dims)
			}
		}
		r.done += float64(len(asked)) / float64(len(steps))
	}
	return t, nil
}
