package draw

import "fluxion/kernels/philox"

// Reference is what Pair computes, in float64: z and target, dense.
func (k Pair) Reference(b *Batch) (z, target []float64) {
	noise := make([]float32, k.Values())
	for i, c := range b.Coefficients {
		philox.Normal(noise, b.Seed, philox.Noise, uint64(b.Addresses[i]), 0)
		for j, e := range noise {
			at := j
			if b.Flips != nil && b.Flips[i] {
				at = k.mirror(j/k.Channels)*k.Channels + j%k.Channels
			}
			x := float64(b.Pixels[b.source(i)*len(noise)+at])/127.5 - 1
			z = append(z, float64(c.Alpha)*x+float64(c.Sigma)*float64(e))
			target = append(target, float64(c.A)*x+float64(c.B)*float64(e))
		}
	}
	return z, target
}

// Reference is what Start computes, in float64, dense.
func (k Start) Reference(s *Seeds) (z []float64) {
	noise := make([]float32, k.Values())
	for _, image := range s.Images {
		philox.Normal(noise, s.Seed, philox.SampleStart, uint64(image), 0)
		for _, e := range noise {
			z = append(z, float64(s.Scale)*float64(e))
		}
	}
	return z
}
