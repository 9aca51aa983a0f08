//go:build gpu

package driver_test

import (
	"testing"

	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/cuda/driver"
)

// TestSimulated goes through cu, the trampolines and the simulated driver.
func TestSimulated(t *testing.T) { cudatest.RunSimulated(t, driver.Simulate) }
