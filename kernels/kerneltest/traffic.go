package kerneltest

import (
	"testing"

	"fluxion/kernels/cuda/sim"
)

// Traffic holds what launches moved between global memory and multiprocessors, in
// whole sectors of 32 bytes, against the bytes that they must move at least.
func Traffic(t testing.TB, c sim.Counters, ideal int, factor float64) {
	t.Helper()
	const sector = 32
	moved := sector * (c.GlobalLoads.Sectors + c.GlobalStores.Sectors)
	if ratio := float64(moved) / float64(ideal); ratio > factor {
		t.Errorf("%d bytes of sectors were moved, %.3f of the %d that must be; want at most %.3f", moved, ratio, ideal, factor)
	} else {
		t.Logf("%.3f of the ideal bytes", ratio)
	}
}
