// Package magnitude holds the operators of networks whose layers preserve magnitudes (Karras et
// al., "Analyzing and Improving the Training Dynamics of Diffusion Models", 2024, EDM2): weights
// and pixels of unit size, weighted sums, and gains.
package magnitude

import "math"

// Epsilon joins the root mean square by which weights and pixels are divided.
const Epsilon = 1e-4

// inverse is 1/(ε + r) for numbers with this sum of squares, and what their gradient is made of:
// of y = x/(ε + r), r = √(Σx²/n), it is
//
//	dx = dy/(ε + r) − x·Σ(x·dy)/(n·r·(ε + r)²)
func inverse(squares float64, n int) (factor, slope float64) {
	r := math.Sqrt(squares / float64(n))
	factor = 1 / (Epsilon + r)
	if r > 0 {
		slope = factor * factor / (float64(n) * r)
	}
	return factor, slope
}
