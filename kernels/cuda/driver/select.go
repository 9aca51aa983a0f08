//go:build gpu

package driver

import (
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/driver/bind"
	"fluxion/kernels/cuda/simdriver"
)

func nvidia() (cuda.Driver, error) {
	if err := bind.ToLibrary(bind.Library); err != nil {
		return nil, err
	}
	return api{}, nil
}

func simulated() (cuda.Driver, error) {
	if bind.Simulator() == simulator() {
		return api{}, nil
	}
	return Simulate(simulator()), nil
}

// Simulate returns the driver over a simulated one: everything but NVIDIA's library
// and the GPU is as in earnest.
func Simulate(d *simdriver.Driver) cuda.Driver {
	bind.ToSimulator(d)
	return api{}
}
