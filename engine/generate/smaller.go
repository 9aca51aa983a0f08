package generate

import (
	"fmt"

	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/number"
)

// CheckRoom refuses a step that a device has no memory for, and says with what other settings of sampling
// there is room.
func (s *Step) CheckRoom(d device.Device) error {
	return device.CheckRoom(d, s.Sizes(), 0, func(fits func(plan.Sizes) bool) []string { return s.Options.smaller(fits) })
}

// smaller are the settings with which a step would fit. Each is tried by planning.
func (o Options) smaller(fits func(plan.Sizes) bool) (all []string) {
	o.Weights = nil // as the step declares it
	try := func(o Options) bool {
		s, err := NewStep(o)
		return err == nil && fits(s.Sizes())
	}
	if narrow := o; o.Precision == number.Float32 {
		if narrow.Precision = number.BFloat16; try(narrow) {
			all = append(all, "--precision bf16")
		}
	}
	if n := device.Largest(o.Batch, func(n int) bool {
		fewer := o
		fewer.Batch = n
		return try(fewer)
	}); n > 0 {
		all = append(all, fmt.Sprintf("--batch %d", n))
	}
	return all
}
