// Package driver gives the engine a GPU through CUDA's driver API. With build tag
// gpu it goes through gorgonia.org/cu for devices, contexts, modules, streams and
// events, and through functions of its own for captures, graphs, limits of
// functions, page-locked memory and launches with a parameter buffer. NVIDIA's
// library is looked for when the program runs (package bind); without it, or
// without the tag, a program works on the CPU, and says here what is missing.
package driver

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
)

// Names of drivers, as the environment variable FLUXION_CUDA_DRIVER has them.
const (
	NVIDIA    = "nvidia" // and the empty name
	Simulated = "sim"    // runs on the CPU what a GPU would: for tests
)

// FaultVariable plants a fault in the simulated GPU: the name of a function of a kernel, which fails as
// on an illegal address, or FUNCTION:N, where its N-th run does.
const FaultVariable = "FLUXION_CUDA_SIM_FAULT"

// simulator is the simulated GPU of this process, whoever asks for it.
var simulator = sync.OnceValue(func() *simdriver.Driver {
	d := simdriver.New(simdriver.Options{})
	if kernel, number, _ := strings.Cut(os.Getenv(FaultVariable), ":"); kernel != "" {
		n, _ := strconv.Atoi(number) // without one, the first
		d.Inject(simdriver.Fault{Call: simdriver.Operation, Kernel: kernel, Number: n, Result: cuda.IllegalAddress})
	}
	return d
})

// Select returns a driver by its name. The program has one at a time: devices
// that another one opened must be closed before. An error says in one line what
// is missing.
func Select(name string) (cuda.Driver, error) {
	switch name {
	case "", NVIDIA:
		return nvidia()
	case Simulated:
		return simulated()
	}
	return nil, fmt.Errorf("there is no CUDA driver %q, want %s or %s", name, NVIDIA, Simulated)
}
