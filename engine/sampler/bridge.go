package sampler

import (
	"fmt"
	"math"

	"fluxion/engine/process"
)

// bridge keeps what z has of the source, and replaces the data and the third noise: with
// r = σ_s/σ_t,
//
//	z_s = r z + (α_s − r α_t) x̂ + √(γ_s² − r²γ_t²) ξ
//
// has the distribution of α_s x + σ_s ε + γ_s ξ. On a Brownian bridge it is the posterior
// of the bridge between x̂ and z, I²SB's sampler. In small steps it is the SDE
// dz = (b − ε∇log p) dt + √(2ε) dw, from t = 1 down, with ε = −γσ ∂ₜ(γ/σ), whose drift is a
// combination of z and x̂ (MATHEMATICS.md, section 9). Without a third noise it is DDIM.
func bridge(b *builder, i int, t, s process.Point) {
	if b.grid.Process.Bridge.None() {
		ddim(b, i, t, s)
		return
	}
	r := s.Sigma / t.Sigma
	fresh := s.Gamma*s.Gamma - r*r*t.Gamma*t.Gamma
	if fresh < -1e-12 {
		b.err = fmt.Errorf("γ/σ grows from t = %.4g to %.4g, where noise would have to be taken away; want bridge brownian or quadratic, or a deterministic sampler of an output that is the flow's velocity", s.Time, t.Time)
		return
	}
	b.row(t, Sum{Z: r, X: s.Alpha - r*t.Alpha}, math.Sqrt(math.Max(0, fresh)))
}

// checkBridge refuses what means nothing where there is a third noise. A variable is that
// of the sampler; nil: it has none.
func (s Sampler) checkBridge(p process.Process, v *variable) error {
	if p.Bridge.None() || s.Bridges {
		return nil
	}
	natural := p.Schedule.Path().Natural
	switch {
	case s.Random:
		return fmt.Errorf("sampler %s replaces the source's noise, and %v has another one on the way; want sampler bridge for output x, and else euler, ode-euler, midpoint, heun or rk45", s.Name, p)
	case v != nil && v.name != natural:
		return fmt.Errorf("sampler %s works in %s, and on %v only the flow's velocity is known; want --variable %s, or sampler euler, ode-euler, midpoint, heun or rk45", s.Name, v.name, p, natural)
	}
	return nil
}
