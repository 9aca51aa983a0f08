package likelihood

import (
	"fmt"
	"math"
)

// LambdaMax and LambdaMin are between which log-SNRs the bound is taken: VDM's own.
const (
	LambdaMax = 13.3
	LambdaMin = -5
)

// Bound is the variational bound of Kingma et al., "Variational Diffusion Models"
// (2021), on a variance-preserving path from λ = Max to λ = Min:
//
//	−ln P(k) ≤ reconstruction + prior + diffusion
type Bound struct {
	Max, Min float64
	Steps    int // of a discrete chain, uniform in λ; 0: without end, an integral
}

// Check says what is wrong with the bound.
func (b Bound) Check() error {
	switch {
	case !(b.Min < b.Max) || math.IsInf(b.Min, 0) || math.IsInf(b.Max, 0):
		return fmt.Errorf("the bound goes from λ = %g to %g, want two numbers, the larger first", b.Max, b.Min)
	case b.Max > 40 || b.Min < -40:
		return fmt.Errorf("the bound goes from λ = %g to %g, want it within ±40", b.Max, b.Min)
	case b.Steps < 0:
		return fmt.Errorf("the bound has %d steps, want 0, for an integral, or more", b.Steps)
	}
	return nil
}

// Terms of the bound, in nats over all dimensions.
type Terms struct{ Reconstruction, Prior, Diffusion float64 }

// Sum is the bound.
func (t Terms) Sum() float64 { return t.Reconstruction + t.Prior + t.Diffusion }

// PriorTerm is KL(q(z|x) ‖ N(0, 1)) at the noisy end:
// ½ Σ (α²x² + σ² − 1 − ln σ²), σ² = 1/(1 + e^λ).
func (b Bound) PriorTerm(x []float64) float64 {
	snr := math.Exp(b.Min)
	alpha2, sum := snr/(1+snr), 0.0
	for _, v := range x {
		sum += alpha2*v*v - alpha2 + math.Log1p(snr)
	}
	return sum / 2
}

// At says where the diffusion term is evaluated for u between 0 and 1, and what a
// squared error of the noise weighs there: their product's mean over u is the term. It
// is ½ ∫ E|ε−ε̂|² dλ, or ½ Σ (e^{λ_s−λ_t} − 1) E|ε−ε̂|² over steps from t to s, with the
// error at t.
func (b Bound) At(u float64) (lambda, weight float64) {
	span := b.Max - b.Min
	if b.Steps == 0 {
		return b.Max - u*span, span / 2
	}
	n := float64(b.Steps)
	i := math.Min(math.Floor(u*n)+1, n)
	return b.Max - i/n*span, n / 2 * math.Expm1(span/n)
}

// Reconstruct is −ln P(k|z) of whole values, where z is λ = Max as x + e^{−λ/2} ε: the
// nearer a level is to z the more probable, as a Gaussian of that noise has it.
func (b Bound) Reconstruct(l Levels, k int, z float64) float64 {
	precision := math.Exp(b.Max)
	energy := func(j int) float64 {
		d := z - l.Value(j)
		return precision / 2 * d * d
	}
	// Levels farther away than this are e^{-50} of the nearest at most.
	nearest := int(math.Round(math.Min(float64(l.Count-1), math.Max(0, (z-l.First)/l.Interval))))
	least := energy(nearest)
	reach := 1 + int(math.Min(float64(l.Count), math.Sqrt(2*(least+50)/precision)/l.Interval))
	sum := 0.0
	for j := max(0, nearest-reach); j <= min(l.Count-1, nearest+reach); j++ {
		sum += math.Exp(least - energy(j))
	}
	return energy(k) - least + math.Log(sum)
}

// ReconstructDensity is the mean of −ln p(x|z) of a number, which is Gaussian around z
// with the noise of λ = Max: ½ ln 2π − λ/2 + ½.
func (b Bound) ReconstructDensity() float64 { return math.Log(2*math.Pi)/2 - b.Max/2 + 0.5 }
