// Package average is the averages of weights over training by a power of time, from
// which that of any width can be made after training: "post-hoc EMA" of Karras et al.,
// "Analyzing and Improving the Training Dynamics of Diffusion Models" (EDM2,
// arXiv 2312.02696), section 3 and appendix C.
//
// The average after T images is ∫₀ᵀ p(t) θ(t) dt with p(t) = (γ+1) t^γ / T^(γ+1). It is
// named by σ_rel, the standard deviation of p as a share of T.
package average

import (
	"fmt"
	"math"
	"strconv"
)

// Bounds of σ_rel. At 1/√12 all that was trained weighs the same; below the least one
// the average is the weights but for a hundredth of the run.
const (
	MinSigma = 0.01
	MaxSigma = 0.28
)

// CheckSigma refuses a σ_rel out of bounds.
func CheckSigma(sigma float64) error {
	if !(sigma >= MinSigma && sigma <= MaxSigma) {
		return fmt.Errorf("σ_rel %v is out of range, want %v to %v", sigma, MinSigma, MaxSigma)
	}
	return nil
}

// FormatSigma writes a σ_rel as names of files and settings have it.
func FormatSigma(sigma float64) string { return strconv.FormatFloat(sigma, 'f', -1, 64) }

// ParseSigma reads what FormatSigma writes, and any other number within the bounds.
func ParseSigma(text string) (float64, error) {
	sigma, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no σ_rel, want a number from %v to %v", text, MinSigma, MaxSigma)
	}
	return sigma, CheckSigma(sigma)
}

// Exponent is the γ of a σ_rel within the bounds: the positive root of
// γ³ + 7γ² + (16 − σ⁻²)γ + 12 − σ⁻², which is Sigma solved for γ.
func Exponent(sigma float64) float64 {
	s := 1 / (sigma * sigma)
	gamma := math.Sqrt(s) // right of the root, from where Newton's steps only fall
	for range 100 {
		next := gamma - (((gamma+7)*gamma+16-s)*gamma+12-s)/((3*gamma+14)*gamma+16-s)
		if !(next < gamma) {
			break
		}
		gamma = next
	}
	return gamma
}

// Sigma is the σ_rel of an exponent: √((γ+1) / ((γ+2)²(γ+3))).
func Sigma(gamma float64) float64 {
	return math.Sqrt((gamma+1)/(gamma+3)) / (gamma + 2)
}

// Kept is the share of the old average that a step keeps which takes the images seen
// from before to after: β = (before/after)^(γ+1). Whatever the sizes of the
// steps, the average is then the integral above, of weights that hold for a step each.
func Kept(sigma float64, before, after int64) float64 {
	return math.Pow(float64(before)/float64(after), Exponent(sigma)+1)
}
