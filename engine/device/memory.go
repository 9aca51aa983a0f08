package device

import "fmt"

// MemoryError is a plan that asks for more than the host has left. To go on would
// swap, or end with the process killed.
type MemoryError struct{ Planned, Available int64 } // bytes

func (e *MemoryError) Error() string {
	const gib = 1 << 30
	return fmt.Sprintf("%.1f GiB of memory are planned, %.1f GiB are available: want smaller batches, which training joins with --accumulate, a smaller size, or --recompute blocks in training",
		float64(e.Planned)/gib, float64(e.Available)/gib)
}

// checkMemory compares a plan with what there is, 0 where that is not known.
func checkMemory(planned, available int64) error {
	if available > 0 && planned > available {
		return &MemoryError{planned, available}
	}
	return nil
}
