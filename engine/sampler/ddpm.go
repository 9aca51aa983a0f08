package sampler

import (
	"fmt"
	"math"

	"fluxion/engine/process"
)

// Learned is the variance of models that say one.
const Learned = "learned"

// Learning returns the options of a network that says the variance of noise, or says none: with its
// own, unless another is chosen.
func (s Sampler) Learning(o Options, says bool) (Options, error) {
	switch {
	case says && o.Variance == "" && s.takes("variance"):
		o.Variance = Learned
	case !says && o.Variance == Learned:
		return o, fmt.Errorf("sampler %s: variance %s is one that a model says, and this one says none (train --objective hybrid, or vlb); want small or large", s.Name, Learned)
	}
	return o, nil
}

// ddpm draws from the posterior q(z_s | z_t, x = x̂). Ho, Jain, Abbeel,
// "Denoising Diffusion Probabilistic Models" (2020), equations 6 and 7.
//
// With the small variance it is churn ½ (MATHEMATICS.md, section 5): DDIM to λ_u = 2λ_s − λ_t,
// then noise up to λ_s. The large variance is β, that of z_t given z_s, with the
// same mean. A learnt one lies between the logarithms of both (Nichol and Dhariwal 2021, equation
// 15), whatever steps of the schedule are left out.
func ddpm(b *builder, _ int, t, s process.Point) {
	k := decay(t, s)
	if b.options.Variance != "large" || s.Sigma == 0 {
		b.renoise(t, s, k)
		if b.options.Variance == Learned && s.Sigma != 0 && b.err == nil {
			b.rows[len(b.rows)-1].Spread = 2 * math.Log(t.Sigma/s.Sigma)
		}
		return
	}
	// β = σ_t² − (α_t/α_s)² σ_s² = σ_t² (1−k²)
	b.row(t, Sum{X: s.Alpha, Eps: s.Sigma * k}, t.Sigma*math.Sqrt((1-k)*(1+k)))
}
