package sampler

import (
	"math"

	"fluxion/engine/process"
)

// ddpm draws from the posterior q(z_s | z_t, x = x̂). Ho, Jain, Abbeel,
// "Denoising Diffusion Probabilistic Models" (2020), equations 6 and 7.
//
// With the small variance it is churn ½ (MATHEMATICS.md, section 5): DDIM to λ_u = 2λ_s − λ_t,
// then noise up to λ_s. The large variance is β, that of z_t given z_s, with the
// same mean.
func ddpm(b *builder, _ int, t, s process.Point) {
	k := decay(t, s)
	if b.options.Variance != "large" || s.Sigma == 0 {
		b.renoise(t, s, k)
		return
	}
	// β = σ_t² − (α_t/α_s)² σ_s² = σ_t² (1−k²)
	b.row(t, Sum{X: s.Alpha, Eps: s.Sigma * k}, t.Sigma*math.Sqrt((1-k)*(1+k)))
}
