// Package likelihood computes how probable images are for a model: exactly, along its
// probability-flow ODE, and as a bound, from its denoising errors. Both work on the
// linear path, where z = (1−t)x + tε: every other process is a scaling of z and a
// change of time away (MATHEMATICS.md of process, section 2), and the network is told
// its own time of equal SNR.
//
// levels, solver, flow, bound and draws are mathematics, of functions. Network is a
// network on a device, with its vector-Jacobian products; Judge brings them together.
package likelihood

import "math"

// Levels are the numbers that whole values have for a model: k is First + k Interval,
// for k below Count. The zero value is data that are numbers anyway.
type Levels struct {
	Count           int
	First, Interval float64
}

// Bytes are the values of pixels as networks here are trained on them: k/127.5 − 1.
var Bytes = Levels{Count: 256, First: -1, Interval: 2. / 255}

// Value is the number of a value.
func (l Levels) Value(k int) float64 { return l.First + float64(k)*l.Interval }

// Dequantised is the value with noise that is uniform between 0 and 1, within half an
// interval around its number (Uria, Murray and Larochelle, "RNADE" 2013). The density
// there times the interval is, in the mean of logarithms, at most the probability of
// the value (Theis, van den Oord and Bethge, "A note on the evaluation of generative
// models" 2016).
func (l Levels) Dequantised(k int, noise float64) float64 {
	return l.First + (float64(k)+noise-0.5)*l.Interval
}

// Offset is what each dimension adds to bits of a density to make them bits of a value:
// −log₂ of the interval; 0 for data that are no levels.
func (l Levels) Offset() float64 {
	if l.Count == 0 {
		return 0
	}
	return -math.Log2(l.Interval)
}

// BitsPerDim makes bits per dimension of the log-density of so many dimensions.
func (l Levels) BitsPerDim(logDensity float64, dims int) float64 {
	return Bits(-logDensity, dims) + l.Offset()
}

// Bits are nats over all dimensions as bits for each.
func Bits(nats float64, dims int) float64 { return nats / (float64(dims) * math.Ln2) }
