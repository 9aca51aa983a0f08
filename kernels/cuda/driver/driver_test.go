//go:build gpu

package driver_test

import (
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/cuda/driver"
	"fluxion/kernels/cuda/simdriver"
)

// TestSimulated runs the suite through cu, the trampolines and the simulated driver.
func TestSimulated(t *testing.T) {
	cudatest.Run(t, func(t *testing.T) cuda.Driver {
		d := simdriver.New(simdriver.Options{Memory: 16 << 20, Seed: 1})
		t.Cleanup(func() {
			if leaks := d.Leaks(); leaks != nil {
				t.Errorf("left behind: %v", leaks)
			}
		})
		return driver.Simulate(d)
	})
}

func TestFaults(t *testing.T) { cudatest.RunFaults(t, driver.Simulate) }
