package train

import (
	"math"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/number"
	"fluxion/nets"
)

// TestGrowth: the memory of a step is the largest of the lines that batches of 16
// and 32 announce: to 4 % at any batch up to 128, and the slope there
// to 6 %, for the holes in an arena are another few per cent at every batch.
func TestGrowth(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	config, err := Network("small", nets.Spec{Height: 32, Width: 32, Channels: 3, Classes: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, precision := range []number.Type{number.Float32, number.BFloat16} {
		for _, name := range plan.RecomputationNames() {
			compile := func(batch int) (*plan.Plan, plan.Sizes, error) {
				s, err := NewStep(StepOptions{
					Network: config, Height: 32, Width: 32, Batch: batch, Accumulate: 1,
					Target: device.NewCPUTarget(2), Precision: precision, Recompute: name,
				})
				if err != nil {
					return nil, nil, err
				}
				return s.Micro, s.Sizes(), nil
			}
			growth, err := plan.GrowthAt(16, compile)
			if err != nil {
				t.Fatal(err)
			}
			var last float64
			for batch := 1; batch <= 128; batch *= 2 {
				_, s, err := compile(batch)
				if err != nil {
					t.Fatal(err)
				}
				bytes := float64(s.Bytes())
				if off := growth.Bytes(batch)/bytes - 1; math.Abs(off) > 0.04 {
					t.Errorf("%v, %s: %.0f bytes for a batch of %d, announced %.0f", precision, name, bytes, batch, growth.Bytes(batch))
				}
				if slope := 2 * (bytes - last) / float64(batch); batch == 128 && math.Abs(slope/growth.At(128).PerImage-1) > 0.06 {
					t.Errorf("%v, %s: %.0f bytes an image, announced %.0f", precision, name, slope, growth.At(128).PerImage)
				}
				last = bytes
			}
		}
	}
}
