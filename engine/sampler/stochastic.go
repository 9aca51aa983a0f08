package sampler

import (
	"fmt"
	"math"

	"fluxion/engine/process"

	"gonum.org/v1/gonum/integrate/quad"
)

// churn is of MATHEMATICS.md, section 5: DDIM to λ_u = λ_t + (λ_s − λ_t)/(1−c), then forward
// diffusion back to λ_s. In between, the noise has shrunk by e^{−h c/(1−c)} more
// than at s: c = 0 is DDIM, c = ½ is DDPM.
func churn(b *builder, _ int, t, s process.Point) {
	c := value(b.options.Churn, 0.5)
	b.renoise(t, s, math.Pow(decay(t, s), c/(1-c)))
}

// sde integrates the reverse SDE (MATHEMATICS.md, section 5) with x̂ constant over the step,
// exactly. In diffusion form with η, ε̂ decays by e^{−η²h} more than in DDIM:
// η = 0 is DDIM, η = 1 is DDPM. In interpolant form with ε it decays by
// exp(−½∫ε²/σ² dt), for ε² = η²g² and g²/(2σ²) dt = dℓ.
func sde(b *builder, _ int, t, s process.Point) {
	if b.options.Epsilon == nil {
		eta := value(b.options.Eta, 1)
		b.renoise(t, s, math.Pow(decay(t, s), eta*eta))
		return
	}
	epsilon := *b.options.Epsilon
	b.renoise(t, s, math.Exp(-epsilon*epsilon/2*b.inverseVariance(t, s)))
}

// inverseVariance is ∫ dt/σ² over a step, on panels that shrink with the time.
func (b *builder) inverseVariance(t, s process.Point) float64 {
	if s.Sigma == 0 {
		return math.Inf(1)
	}
	const panels, nodes = 24, 16
	sum, from := 0.0, s.Time
	for i := 1; i <= panels; i++ {
		to := t.Time * float64(i) / panels
		if s.Time > 0 {
			to = s.Time * math.Pow(t.Time/s.Time, float64(i)/panels)
		}
		sum += quad.Fixed(func(at float64) float64 {
			_, sigma := b.grid.Process.Schedule.AlphaSigma(at)
			return 1 / (sigma * sigma)
		}, from, to, nodes, quad.Legendre{}, 0)
		from = to
	}
	return sum
}

// edmChurn is Karras et al. (2022), algorithm 2: raise σ/α by 1+γ first, call
// the network there, then Heun's method in ε, or Euler's of order 1. Raising on
// a path whose α changes scales the state as well (MATHEMATICS.md, section 5).
func edmChurn(b *builder, _ int, t, s process.Point) {
	gamma := math.Min(value(b.options.Churn, 0)/float64(len(b.grid.Points)-1), math.Sqrt2-1)
	if o, rho := b.options, t.Sigma/t.Alpha; o.NoiseMax > 0 && (rho < o.NoiseMin || rho > o.NoiseMax) {
		gamma = 0
	}
	if gamma > 0 && t.Alpha != 0 && t.Sigma != 0 {
		raised := b.at(half(t) - math.Log1p(gamma))
		scale := raised.Alpha / t.Alpha
		noise := b.options.NoiseScale
		if noise == 0 {
			noise = 1
		}
		b.before = Lift{scale, noise * math.Sqrt(raised.Sigma*raised.Sigma-scale*scale*t.Sigma*t.Sigma)}
		t = raised
	}
	if b.options.Order == 1 {
		b.first(t, s)
		return
	}
	b.rungeKutta(Heun, t, s)
}

// boundary is a consistency model's x̂, c_skip z + c_out x̂, times α.
func (b *builder) boundary(t process.Point, alpha float64) Sum {
	skip, out := 0.0, 1.0
	if b.options.Boundary != nil {
		skip, out = b.options.Boundary(t)
	}
	return Sum{Z: alpha * skip, X: alpha * out}
}

// lcm goes to x̂ and adds fresh noise: Luo et al., "Latent Consistency Models"
// (2023), algorithm 3.
func lcm(b *builder, _ int, t, s process.Point) {
	b.row(t, b.boundary(t, s.Alpha), s.Sigma)
}

// consistency is Song et al., "Consistency Models" (2023), algorithm 1: as lcm,
// but the noise leaves room for the schedule's least one.
func consistency(b *builder, _ int, t, s process.Point) {
	least := math.Exp(-b.grid.Process.Schedule.LogSNR(0)/2) * s.Alpha
	b.row(t, b.boundary(t, s.Alpha), math.Sqrt(math.Max(0, s.Sigma*s.Sigma-least*least)))
}

// tcd is Zheng et al., "Trajectory Consistency Distillation" (2024), algorithm
// 4: DDIM to s' = (1−γ)s, forward diffusion to s. γ is the option eta, 0.3 unless
// given. Of a discrete schedule, step numbers are multiplied and rounded down.
func tcd(b *builder, _ int, t, s process.Point) {
	if s.Sigma == 0 {
		b.renoise(t, s, 1)
		return
	}
	keep := 1 - value(b.options.Eta, 0.3)
	at := keep * s.Time
	if d, ok := b.grid.Process.Schedule.(process.Discrete); ok {
		at = d.StepTime(rounded(keep * rounded(d.NetworkTime(s.Time))))
	}
	lower := b.grid.Process.At(at)
	b.renoise(t, s, decay(s, lower))
}

// noisy gives samplers of the SDE DDPM's share of noise, if none is given.
func noisy(b *builder) error {
	if b.options.Eta == nil {
		one := 1.0
		b.options.Eta = &one
	}
	return nil
}

func belowOne(b *builder) error {
	if c := value(b.options.Churn, 0.5); !(c < 1) {
		return fmt.Errorf("churn = %g, want a share from 0 (ddim) to below 1", c)
	}
	return nil
}

func share01(b *builder) error {
	if e := value(b.options.Eta, 0); e > 1 {
		return fmt.Errorf("eta = %g, want a share from 0 to 1", e)
	}
	return nil
}
