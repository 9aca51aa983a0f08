package simdriver

import (
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
)

// Region is memory of the device that an operation touches.
type Region struct {
	Address cuda.Address
	Bytes   int
}

// Beside puts work of a library beside the driver into the stream. It is done when the stream
// comes to it, with the memory of the device.
func (s *Stream) Beside(name string, touched []Region, run func(*sim.Memory) error) cuda.Result {
	return s.submit(name, func() (operation, cuda.Result) {
		for _, t := range touched {
			if r := s.context.within(t.Address, t.Bytes); r != cuda.Success {
				return operation{}, r
			}
		}
		return operation{name, func() error { return run(s.context.driver.memory) }}, cuda.Success
	})
}
