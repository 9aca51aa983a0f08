package update

import (
	"math"

	"fluxion/kernels/philox"
)

// Reference is what the kernel computes, in float64, on dense arrays of the batch: z
// and the slots of history are updated in place, the pixels returned, not rounded yet.
// unconditional is nil without guidance.
func (k Op) Reference(z, y, unconditional []float64, history [][]float64) (pixels []float64) {
	s := k.row
	noise := make([]float32, k.Values())
	for i := range z {
		if j := i % len(noise); j == 0 {
			philox.Normal(noise, s.Seed, philox.SampleNoise, uint64(k.images[i/len(noise)]), s.Count)
		}
		v := y[i]
		if unconditional != nil {
			v = unconditional[i] + float64(s.Guidance)*(y[i]-unconditional[i])
		}
		if s.Clip != 0 {
			x := float64(s.XZ)*z[i] + float64(s.XY)*v
			v = (math.Min(math.Max(x, -1), 1) - float64(s.XZ)*z[i]) / float64(s.XY)
		}
		keep := v
		if s.KeepZ != 0 || s.KeepY != 0 {
			keep = float64(s.KeepZ)*z[i] + float64(s.KeepY)*v
		}
		z[i] = float64(s.A)*z[i] + float64(s.B)*v + float64(s.C)*float64(noise[i%len(noise)])
		for slot, h := range history {
			z[i] += float64(s.History[slot]) * h[i]
		}
		if s.Store >= 0 {
			history[s.Store][i] = keep
		}
		pixels = append(pixels, math.Min(math.Max(127.5*(z[i]+1), 0), 255))
	}
	return pixels
}
