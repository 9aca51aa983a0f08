package draw

import "fluxion/kernels/philox"

// Reference is what Pair computes of pixels, in float64: z and target, dense.
func (k Pair) Reference(pixels []byte) (z, target []float64) {
	noise := make([]float32, k.Values())
	for _, c := range k.batch.Images {
		philox.Normal(noise, k.batch.Seed, philox.Noise, uint64(c.Address), 0)
		for j, e := range noise {
			at := j
			if c.Flip != 0 {
				at = k.mirror(j/k.Channels)*k.Channels + j%k.Channels
			}
			x := float64(pixels[int(c.Pixels)+at])/127.5 - 1
			z = append(z, float64(c.Alpha)*x+float64(c.Sigma)*float64(e))
			target = append(target, float64(c.A)*x+float64(c.B)*float64(e))
		}
	}
	return z, target
}

// Reference is what Start computes of its batch, in float64, dense.
func (k Start) Reference() (z []float64) {
	noise := make([]float32, k.Values())
	for _, image := range k.images {
		philox.Normal(noise, k.head.Seed, philox.SampleStart, uint64(image), 0)
		for _, e := range noise {
			z = append(z, float64(k.head.Scale)*float64(e))
		}
	}
	return z
}
