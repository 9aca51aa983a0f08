package sampler

import (
	"math"

	"fluxion/engine/process"
)

// ddpm draws from the posterior q(z_s | z_t, x = x̂). Ho, Jain, Abbeel,
// "Denoising Diffusion Probabilistic Models" (2020), equations 6 and 7
// ("fixed small" variance).
//
// It is churn ½ of section 5: DDIM to λ_u = 2λ_s − λ_t, then noise up to λ_s.
// With k = (σ_u/α_u)/(σ_s/α_s) = (σ_s/α_s)/(σ_t/α_t) that reads
// z_s = α_s x̂ + σ_s (k ε̂ + √(1−k²) ξ), finite at both ends.
func ddpm(points []process.Point) ([]Row, error) {
	return each(points, func(t, s process.Point, x, eps process.Linear) (process.Linear, float64) {
		k := s.Sigma * t.Alpha / (s.Alpha * t.Sigma)
		return x.Plus(s.Alpha, eps, s.Sigma*k), s.Sigma * math.Sqrt(math.Max(0, 1-k*k))
	})
}
