package device

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"fluxion/engine/plan"
	"fluxion/kernels/cuda/driver"
)

// Variable names the CUDA driver in the environment: nvidia, or sim, which runs on
// the CPU what a GPU would.
const Variable = "FLUXION_CUDA_DRIVER"

// Open returns a device by name: cpu, cuda:N (cuda is cuda:0), or auto, the first
// GPU that can be used, else the CPU. Threads are those of the CPU, 0 for all
// that this process may use. auto never takes a simulated GPU.
func Open(name string, threads int) (Device, error) {
	if name == "auto" {
		if d, err := openCUDA(0); err == nil && !d.Simulated() {
			return d, nil
		} else if err == nil {
			if err := d.Close(); err != nil {
				return nil, err
			}
		}
		name = "cpu"
	}
	if name == "cpu" {
		return NewCPU(threads, "")
	}
	index, err := cudaIndex(name)
	if err != nil {
		return nil, err
	}
	d, err := openCUDA(index)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	return d, nil
}

// Target returns what plans for a device are compiled for; the device need not be there.
func Target(name string, threads int) (plan.Target, error) {
	if name == "cpu" || name == "auto" {
		return NewCPUTarget(threads), nil
	}
	if _, err := cudaIndex(name); err != nil {
		return nil, err
	}
	return CUDATarget{}, nil
}

// cudaIndex reads the N of cuda:N.
func cudaIndex(name string) (int, error) {
	rest, isCUDA := strings.CutPrefix(name, "cuda")
	if number, ok := strings.CutPrefix(rest, ":"); isCUDA && ok {
		if n, err := strconv.Atoi(number); err == nil && n >= 0 {
			return n, nil
		}
	}
	if isCUDA && rest == "" {
		return 0, nil
	}
	return 0, fmt.Errorf("device %q is not known, want cpu, cuda:0 or auto", name)
}

func openCUDA(ordinal int) (*CUDA, error) {
	d, err := driver.Select(os.Getenv(Variable))
	if err != nil {
		return nil, err
	}
	return NewCUDA(d, ordinal)
}
