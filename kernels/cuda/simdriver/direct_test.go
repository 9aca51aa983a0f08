package simdriver_test

import (
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/cuda/simdriver"
)

func TestDirect(t *testing.T) {
	cudatest.RunSimulated(t, func(d *simdriver.Driver) cuda.Driver { return d.Direct() })
}
