package sampler

import "fluxion/engine/process"

// ddim: z_s = α_s x̂ + σ_s ε̂. Song, Meng, Ermon, "Denoising Diffusion Implicit
// Models" (2021), equation 12 with σ = 0.
func ddim(points []process.Point) ([]Row, error) {
	return each(points, func(t, s process.Point, x, eps process.Linear) (process.Linear, float64) {
		return x.Plus(s.Alpha, eps, s.Sigma), 0
	})
}
