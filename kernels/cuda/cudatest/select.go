package cudatest

import (
	"os"

	"fluxion/kernels/cuda/driver"
)

// OnGPU tells whether tests are to run on device cuda:0 of the driver that
// FLUXION_CUDA_DRIVER names, NVIDIA's if none: the environment says so with
// FLUXION_TEST_DEVICE, as scripts/gpu-check.sh does.
func OnGPU() bool { return os.Getenv("FLUXION_TEST_DEVICE") != "" }

// Name is the driver that tests use, which else is the simulated one.
func Name() string {
	if OnGPU() {
		return os.Getenv("FLUXION_CUDA_DRIVER")
	}
	return driver.Simulated
}
