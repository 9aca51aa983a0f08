package draw

import (
	"math"

	"fluxion/kernels/philox"
)

// Distribution is that of the values of a Noise, of mean 0 and variance 1.
type Distribution uint8

// Distributions.
const (
	Normal  Distribution = iota
	Uniform              // between ±√3
	Laplace
)

// functions of draw.cu.
var functions = [...]string{Normal: "draw_noise", Uniform: "draw_uniform", Laplace: "draw_laplace"}

// At fills dst with values first, first+1, … of a request, as a Noise of scale 1 has them.
func (d Distribution) At(dst []float32, first int, seed uint64, stream uint32, address uint64, step uint32) {
	switch d {
	case Uniform:
		philox.UniformAt(dst, first, 0, float32(math.Sqrt(3)), seed, stream, address, step)
	case Laplace:
		philox.LaplaceAt(dst, first, seed, stream, address, step)
	default:
		philox.NormalAt(dst, first, seed, stream, address, step)
	}
}
