package draw

import "fluxion/kernels/number"

// Reference is what Data computes of a batch's pixels, or of a data set's, in float64,
// dense.
func (k Data) Reference(bytes []byte, floats []float32) (x []float64) {
	for _, image := range k.batch.Images {
		for j := range k.Values() {
			at := j
			if k.Flips && image.Flip != 0 {
				at = k.mirror(j/k.Channels)*k.Channels + j%k.Channels
			}
			at += int(image.From)
			if k.Stored == number.Float32 {
				x = append(x, float64(floats[at]))
				continue
			}
			x = append(x, float64(bytes[at])/127.5-1)
		}
	}
	return x
}

// Reference is what Noise computes of its batch, in float64, dense.
func (k Noise) Reference() (all []float64) {
	noise := make([]float32, k.Values())
	for _, address := range k.addresses {
		k.Of.At(noise, 0, k.head.Seed, k.Stream, uint64(address), k.head.Step)
		for _, e := range noise {
			all = append(all, float64(k.head.Scale)*float64(e))
		}
	}
	return all
}
