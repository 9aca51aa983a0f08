package likelihood

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"fluxion/engine/process"
)

// BoundOf is the bound of a process: between VDM's own limits, as far as it knows them.
func BoundOf(p process.Process) (Bound, error) {
	most, least, err := limits(p)
	return Bound{Max: min(LambdaMax, most), Min: max(LambdaMin, least)}, err
}

// limits are the log-SNRs that a process knows.
func limits(p process.Process) (most, least float64, err error) {
	path, err := NewPath(p)
	return clearest(p.Schedule), path.Noise.LogSNR, err
}

// Fits says why a bound cannot be taken of a process.
func (b Bound) Fits(p process.Process) error {
	if err := b.Check(); err != nil {
		return err
	}
	most, least, err := limits(p)
	if err == nil && (b.Max > most || b.Min < least) {
		err = fmt.Errorf("the bound goes from λ = %.4g to %.4g, but the model knows %.4g to %.4g", b.Max, b.Min, most, least)
	}
	return err
}

// Bounds takes the variational bound of each image: its terms in bits per dimension.
func Bounds(ctx context.Context, o Options, images Images, progress Progress) ([]Terms, error) {
	if err := o.Bound.Fits(o.Process); err != nil {
		return nil, err
	}
	if o.NoiseLevels < 1 {
		return nil, fmt.Errorf("%d noise levels of the bound, want at least 1", o.NoiseLevels)
	}
	return o.terms(ctx, images, min(o.NoiseLevels, together), (*run).bound, progress)
}

// terms are those of each image, for which a bound asks the network at so many times together.
func (o Options) terms(ctx context.Context, images Images, times int, bound func(*run, Image, func(*question) bool) (Terms, error), progress Progress) ([]Terms, error) {
	r, err := newRun(o, false, times, progress)
	if err != nil {
		return nil, err
	}
	var all []Terms
	err = r.judge(ctx, images, func(place int, i Image) []iter.Seq[*question] {
		i.Bytes, i.Values = slices.Clone(i.Bytes), slices.Clone(i.Values)
		all = append(all, Terms{})
		return []iter.Seq[*question]{func(yield func(*question) bool) {
			terms, err := bound(r, i, yield) // meanwhile the list grows
			all[place] = terms
			r.fail(i, err)
		}}
	})
	return all, err
}

// together is how many noise levels of an image are asked for at once.
const together = 16

// bound is that of one image.
func (r *run) bound(i Image, yield func(*question) bool) (Terms, error) {
	x, draws, n := r.clean(i), Draws{r.Seed, i.Number}, r.NoiseLevels
	dims, mean := len(x), 1/float64(n)
	t := Terms{Prior: Bits(r.Bound.PriorTerm(x), dims)}
	noise := make([][]float32, min(together, n)+1) // of the levels that are asked for, and of what is reconstructed
	for k := range noise {
		noise[k] = make([]float32, dims)
	}
	spare := noise[len(noise)-1]
	for first := 0; first < n; first += together {
		count := min(together, n-first)
		q := &question{class: float32(i.Class), y: make([][]float32, count)}
		weights := make([]float64, count)
		for k := range count {
			var lambda float64
			lambda, weights[k] = r.Bound.At(draws.Level(first+k, n))
			p := r.path.AtLogSNR(lambda)
			draws.Noise(first+k, noise[k])
			z := make([]float64, dims)
			for d, e := range noise[k] {
				z[d] = p.Alpha*x[d] + p.Sigma*float64(e)
			}
			q.points, q.z = append(q.points, p), append(q.z, z)
		}
		if !yield(q) {
			return t, errStopped
		}
		for k, p := range q.points {
			eps, err := p.Eps()
			if err != nil {
				return t, err
			}
			sum := 0.0
			for d, e := range noise[k] {
				off := float64(e) - eps.Z*q.z[k][d] - eps.Y*float64(q.y[k][d])
				sum += off * off
			}
			if sum-sum != 0 { // of infinities and NaN it is NaN
				return t, &NotFiniteError{p.Time}
			}
			t.Diffusion += weights[k] * Bits(sum, dims) * mean
			t.Reconstruction += r.reconstruct(i, x, draws, first+k, spare) * mean
		}
		r.done += float64(count) * mean
	}
	return t, nil
}

// reconstructions is the first draw of noise that is for them.
const reconstructions = 1 << 30

// reconstruct is the first term of the bound for one draw of noise.
func (r *run) reconstruct(i Image, x []float64, draws Draws, draw int, noise []float32) float64 {
	if len(i.Bytes) == 0 {
		return Bits(r.Bound.ReconstructDensity(), 1)
	}
	draws.Noise(reconstructions+draw, noise)
	deviation, sum := math.Exp(-r.Bound.Max/2), 0.0
	for d, e := range noise {
		sum += r.Bound.Reconstruct(r.Levels, int(i.Bytes[d]), x[d]+deviation*float64(e))
	}
	return Bits(sum, len(x))
}
