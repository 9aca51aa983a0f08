//go:build gpu

package driver_test

import (
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/cuda/driver"
)

// TestSimulated goes through cu, the trampolines and the simulated driver.
func TestSimulated(t *testing.T) { cudatest.RunSimulated(t, driver.Simulate) }

// TestDevice runs the suite on the GPU of this machine where that is asked for, else
// on the one simulated GPU that all of the process share.
func TestDevice(t *testing.T) {
	cudatest.Run(t, func(t *testing.T) cuda.Driver {
		d, err := driver.Select(cudatest.Name())
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}
