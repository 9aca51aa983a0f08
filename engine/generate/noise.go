package generate

import "fluxion/kernels/philox"

// Noise draws what image of a seed begins with, of deviation 1, as a step does by itself.
func Noise(dst []float32, seed uint64, image int64) {
	philox.Normal(dst, seed, philox.SampleStart, uint64(image), 0)
}
