//go:build gpu

package driver_test

import (
	"os"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/cuda/driver"
)

// TestSimulated goes through cu, the trampolines and the simulated driver.
func TestSimulated(t *testing.T) { cudatest.RunSimulated(t, driver.Simulate) }

// TestDevice runs the suite on the driver of this machine when FLUXION_TEST_DEVICE
// asks for a GPU, as scripts/gpu-check.sh does; else on the one simulated GPU that
// all of the process share.
func TestDevice(t *testing.T) {
	name := driver.Simulated
	if os.Getenv("FLUXION_TEST_DEVICE") != "" {
		name = os.Getenv("FLUXION_CUDA_DRIVER")
	}
	cudatest.Run(t, func(t *testing.T) cuda.Driver {
		d, err := driver.Select(name)
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}
