package train

import (
	"fmt"

	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/number"
)

// smaller are the settings with which the run would fit a device: another recomputation, activations in bf16, and smaller
// micro-batches. Each is tried by planning.
func (r *run) smaller(d device.Device, fits func(plan.Sizes) bool) (all []string) {
	try := func(change func(*run)) bool {
		other := *r
		change(&other)
		_, _, sizes, err := other.compile(d)
		return err == nil && fits(sizes)
	}
	for _, name := range plan.RecomputationNames() {
		if name != r.settings.Recompute && name != "none" && try(func(r *run) { r.settings.Recompute = name }) {
			all = append(all, "--recompute "+name)
			break
		}
	}
	if r.precision == number.Float32 && try(func(r *run) { r.precision, r.settings.Precision = number.BFloat16, "bf16" }) {
		all = append(all, "--precision bf16")
	}
	for accumulate := 2 * r.settings.Accumulate; accumulate <= r.settings.Batch; accumulate *= 2 {
		if r.settings.Batch%accumulate == 0 && try(func(r *run) { r.settings.Accumulate = accumulate }) {
			all = append(all, fmt.Sprintf("--accumulate %d", accumulate), fmt.Sprintf("--batch %d", r.settings.Batch/accumulate*r.settings.Accumulate))
			break
		}
	}
	return all
}
