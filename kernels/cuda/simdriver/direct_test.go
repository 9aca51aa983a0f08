package simdriver_test

import (
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/cuda/simdriver"
)

func TestDirect(t *testing.T) {
	cudatest.Run(t, func(t *testing.T) cuda.Driver {
		d := simdriver.New(simdriver.Options{Memory: 16 << 20, Seed: 1})
		t.Cleanup(func() {
			if leaks := d.Leaks(); leaks != nil {
				t.Errorf("left behind: %v", leaks)
			}
		})
		return d.Direct()
	})
}

func TestDirectFaults(t *testing.T) {
	cudatest.RunFaults(t, func(d *simdriver.Driver) cuda.Driver { return d.Direct() })
}
