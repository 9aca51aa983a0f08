package train

import (
	"math"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/number"
)

// TestMemoryLinear: the memory of a step is the line that batches of 16 and 32
// announce: to 4 % at any batch up to 128, and its slope to 2 %.
func TestMemoryLinear(t *testing.T) {
	config, err := Network("small", 32, 32, 3, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, precision := range []number.Type{number.Float32, number.BFloat16} {
		for _, name := range plan.RecomputationNames() {
			sizes := func(batch int) ([plan.Regions]int, error) {
				s, err := NewStep(StepOptions{
					Config: config, Height: 32, Width: 32, Batch: batch, Accumulate: 1,
					Target: device.NewCPUTarget(2), Precision: precision, Recompute: name,
				})
				if err != nil {
					return [plan.Regions]int{}, err
				}
				return s.Sizes(), nil
			}
			line, err := plan.GrowthAt(16, sizes)
			if err != nil {
				t.Fatal(err)
			}
			var last float64
			for batch := 1; batch <= 128; batch *= 2 {
				s, err := sizes(batch)
				if err != nil {
					t.Fatal(err)
				}
				bytes := float64(plan.Bytes(s))
				if off := line.Bytes(batch)/bytes - 1; math.Abs(off) > 0.04 {
					t.Errorf("%v, %s: %.0f bytes for a batch of %d, announced %.0f", precision, name, bytes, batch, line.Bytes(batch))
				}
				if slope := 2 * (bytes - last) / float64(batch); batch == 128 && math.Abs(slope/line.PerImage-1) > 0.02 {
					t.Errorf("%v, %s: %.0f bytes an image, announced %.0f", precision, name, slope, line.PerImage)
				}
				last = bytes
			}
		}
	}
}
