package sampler

import (
	"math"

	"fluxion/engine/process"
)

// renoise goes to α_s x̂ + σ_s (k ε̂ + √(1−k²) ξ): all samplers that call the
// network once a step and remember nothing are this, with their own share k of
// the noise that is kept. It is finite at both ends.
func (b *builder) renoise(t, s process.Point, k float64) {
	b.row(t, Sum{X: s.Alpha, Eps: s.Sigma * k}, s.Sigma*math.Sqrt(math.Max(0, (1-k)*(1+k))))
}

// decay is e^{−Δℓ}, (σ_s/α_s)/(σ_t/α_t): the k of the posterior q(z_s | z_t, x̂).
func decay(t, s process.Point) float64 { return s.Sigma * t.Alpha / (s.Alpha * t.Sigma) }

// ddim is Song, Meng, Ermon, "Denoising Diffusion Implicit Models" (2021),
// equation 12. Its η is the paper's, equation 16: σ² = η² times DDPM's variance.
func ddim(b *builder, _ int, t, s process.Point) {
	b.renoise(t, s, keptNoise(t, s, value(b.options.Eta, 0)))
}

// ancestral is k-diffusion's Euler ancestral: Euler to σ_down, noise up to σ_s,
// both as σ/α. It is DDIM with the same η, here 1 unless given.
func ancestral(b *builder, _ int, t, s process.Point) {
	b.renoise(t, s, keptNoise(t, s, value(b.options.Eta, 1)))
}

func keptNoise(t, s process.Point, eta float64) float64 {
	if eta == 0 { // also upwards from σ = 0
		return 1
	}
	k := decay(t, s)
	return math.Sqrt(math.Max(0, 1-eta*eta*(1-k*k)))
}

// euler is Euler's method on the straight path to which any schedule can be
// scaled (MATHEMATICS.md, section 4): with z̃ = z/(α+σ), η = σ/(α+σ) and the velocity
// û = ε̂ − x̂, z̃' = z̃ + û (η_s − η_t). It is DDIM, which is the article's point,
// and the tests'.
func euler(b *builder, _ int, t, s process.Point) {
	from, to := t.Alpha+t.Sigma, s.Alpha+s.Sigma
	step := to * (s.Sigma/to - t.Sigma/from)
	b.row(t, Sum{Z: to / from, X: -step, Eps: step}, 0)
}
