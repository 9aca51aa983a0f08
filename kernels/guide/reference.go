package guide

import (
	"math"
	"slices"
)

// Reference is what the kernel computes, in float64, on dense arrays of the batch: y is
// updated in place, x̂ returned, clipped to ±1. unconditional is nil without a
// second output.
func (k Op) Reference(z, y, unconditional []float64) (estimate []float64) {
	s, n := k.row, k.Values()
	for image := range k.Images {
		z, y := z[image*n:][:n], y[image*n:][:n]
		if unconditional != nil {
			before := deviation(y)
			for i, u := range unconditional[image*n:][:n] {
				y[i] = u + float64(s.Guidance)*(y[i]-u)
			}
			if s.Rescale > 0 && deviation(y) > 0 {
				f := float64(s.Rescale)*before/deviation(y) + 1 - float64(s.Rescale)
				for i := range y {
					y[i] *= f
				}
			}
		}
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(s.XZ)*z[i] + float64(s.XY)*y[i]
		}
		if s.XY != 0 && (s.Percentile > 0 || s.Clip != 0) {
			limit := 1.0
			if s.Percentile > 0 {
				limit = math.Max(1, quantile(x, float64(s.Percentile)))
			}
			for i := range x {
				to := math.Min(math.Max(x[i], -limit), limit) / limit
				y[i] += (to - x[i]) / float64(s.XY)
				x[i] = to
			}
		}
		for _, x := range x {
			estimate = append(estimate, math.Min(math.Max(x, -1), 1))
		}
	}
	return estimate
}

func deviation(x []float64) float64 {
	mean, squares := 0.0, 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		squares += (v - mean) * (v - mean)
	}
	return math.Sqrt(squares / float64(len(x)))
}

// quantile of magnitudes, as torch.quantile and numpy have it: linear.
func quantile(x []float64, q float64) float64 {
	m := make([]float64, len(x))
	for i, v := range x {
		m[i] = math.Abs(v)
	}
	slices.Sort(m)
	whole, part := math.Modf(q * float64(len(m)-1))
	i := int(whole)
	return m[i] + part*(m[min(i+1, len(m)-1)]-m[i])
}
