package process

import "math"

// Path is a curve of (α, σ), by log-SNR. A schedule is a clock that runs along
// one: clipping, shifting and zero-SNR rescaling change the clock and keep the
// path, so a schedule with finite ends can be shifted beyond them.
type Path struct {
	Name string
	// At returns the point of the path with log-SNR λ, infinite ones included.
	At func(lambda float64) (alpha, sigma float64)
	// Tangent returns dα/dλ and dσ/dλ at a point of the path.
	Tangent func(alpha, sigma float64) (dAlpha, dSigma float64)
	// Natural is the output that is the velocity of z along the path, whatever
	// the clock: dz = y dη without a scaling of z.
	Natural string
}

// LinearPath is α + σ = 1.
var LinearPath = Path{
	Name: "linear", Natural: "u",
	At: func(l float64) (float64, float64) { return 1 / (1 + math.Exp(-l/2)), 1 / (1 + math.Exp(l/2)) },
	Tangent: func(alpha, sigma float64) (float64, float64) {
		return alpha * sigma / 2, -alpha * sigma / 2
	},
}

// VPPath is α² + σ² = 1, variance preserving.
var VPPath = Path{
	Name: "vp", Natural: "v",
	At: func(l float64) (float64, float64) {
		return math.Sqrt(1 / (1 + math.Exp(-l))), math.Sqrt(1 / (1 + math.Exp(l)))
	},
	Tangent: func(alpha, sigma float64) (float64, float64) {
		return alpha * sigma * sigma / 2, -sigma * alpha * alpha / 2
	},
}

// VEPath is α = 1, variance exploding.
var VEPath = Path{
	Name: "ve", Natural: "eps",
	At:      func(l float64) (float64, float64) { return 1, math.Exp(-l / 2) },
	Tangent: func(_, sigma float64) (float64, float64) { return 0, -sigma / 2 },
}

// SubVPPath is σ = 1 − α²: Song et al., "Score-Based Generative Modeling
// through SDEs" (2021), equation 29.
var SubVPPath = Path{
	Name: "sub-vp", Natural: "u",
	At: func(l float64) (float64, float64) {
		// α² + ρα − 1 = 0 with ρ = σ/α, written without cancellation.
		rho, inverse := math.Exp(-l/2), math.Exp(l/2)
		return 2 / (rho + math.Sqrt(rho*rho+4)), 2 / (1 + math.Sqrt(1+4*inverse*inverse))
	},
	Tangent: func(alpha, sigma float64) (float64, float64) {
		d := alpha * sigma / (2 * (sigma + 2*alpha*alpha))
		return d, -2 * alpha * d
	},
}
