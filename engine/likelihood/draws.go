package likelihood

import (
	"math"

	"fluxion/kernels/philox"
)

// Draws are the random numbers of an image, which depend on the seed, its number and
// what they are for alone. Draw counts from 0.
type Draws struct {
	Seed  uint64
	Image int64
}

// Dequantisation fills noise with numbers between 0 and 1.
func (d Draws) Dequantisation(draw int, noise []float32) {
	philox.UniformAt(noise, 0, 0.5, 0.5, d.Seed, philox.Dequantise, uint64(d.Image), uint32(draw))
}

// Probe fills e with numbers that are 1 or −1 (Rademacher's): e has E[eeᵀ] = 1, and
// E[eᵀJe] is the trace of J (Hutchinson 1989).
func (d Draws) Probe(draw int, e []float32) {
	philox.UniformAt(e, 0, 0.5, 0.5, d.Seed, philox.Probe, uint64(d.Image), uint32(draw))
	for i, u := range e {
		if e[i] = 1; u < 0.5 {
			e[i] = -1
		}
	}
}

// Noise fills ε.
func (d Draws) Noise(draw int, noise []float32) {
	philox.Normal(noise, d.Seed, philox.Bound, uint64(d.Image), uint32(draw))
}

// Level is u of draw k of n for an image: n of them are evenly spread over (0, 1), and
// where they begin is evenly spread over images (by steps of the golden ratio).
func (d Draws) Level(k, n int) float64 {
	begin := philox.Uniform64(d.Seed, philox.BoundLevel, 0, 0) + float64(d.Image)*(math.Sqrt(5)-1)/2
	_, u := math.Modf(begin + float64(k)/float64(n))
	return u
}

// MeanError returns the mean of numbers and its standard error.
func MeanError(all []float64) (mean, standardError float64) {
	n := float64(len(all))
	for _, v := range all {
		mean += v / n
	}
	sum := 0.0
	for _, v := range all {
		sum += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(sum / (n - 1) / n)
}
