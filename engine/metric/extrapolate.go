package metric

import "math"

// sizes is from how many sample sizes an unlimited one is extrapolated.
const sizes = 15

// FewestOfInfinity is of how many images FrechetInfinity is taken at least: so that its
// smallest part is not fewer than the numbers of each, where there is no line in 1/n.
func FewestOfInfinity(dim int) int { return max(3*dim, 2*sizes) }

// FrechetInfinity is the Fréchet distance of as many samples as one likes, by a line
// in 1/n through those of random parts of the samples (Chong and Forsyth,
// "Effectively Unbiased FID and Inception Score", 2020), and its standard error. The
// parts are of 5,000 images at least, or of a third of a smaller set.
func FrechetInfinity(samples Features, reference *Statistics, seed uint64) (value, deviation float64, err error) {
	n := samples.Len()
	if least := FewestOfInfinity(samples.Dim); n < least {
		return 0, 0, &CountError{"fd-infinity", n, least}
	}
	least := min(5000, n/3)
	x, y := make([]float64, sizes), make([]float64, sizes)
	for i := range sizes {
		size := least + (n-least)*i/(sizes-1)
		s, err := StatisticsOf(samples.subset(size, seed, uint64(i)))
		if err != nil {
			return 0, 0, err
		}
		if y[i], err = Frechet(s, reference); err != nil {
			return 0, 0, err
		}
		x[i] = 1 / float64(size)
	}
	value, deviation = intercept(x, y)
	return value, deviation, nil
}

// intercept of the least-squares line, and its standard error.
func intercept(x, y []float64) (value, deviation float64) {
	n := float64(len(x))
	var mx, my, sxx, sxy, rest float64
	for i := range x {
		mx += x[i] / n
		my += y[i] / n
	}
	for i := range x {
		sxx += (x[i] - mx) * (x[i] - mx)
		sxy += (x[i] - mx) * (y[i] - my)
	}
	slope := sxy / sxx
	value = my - slope*mx
	for i := range x {
		e := y[i] - value - slope*x[i]
		rest += e * e
	}
	return value, math.Sqrt(rest / (n - 2) * (1/n + mx*mx/sxx))
}
