package device

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"fluxion/engine/plan"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/driver"
)

// Variable names the CUDA driver in the environment: nvidia, or sim, which runs on
// the CPU what a GPU would.
const Variable = "FLUXION_CUDA_DRIVER"

// GraphVariable is 0 where a step is to be launched kernel by kernel, each waited for, so that one
// that fails is named; else a step is one launch of a graph.
const GraphVariable = "FLUXION_CUDA_GRAPH"

// WaitVariable says how the host waits for a GPU: spin, block, or auto, as the driver does.
const WaitVariable = "FLUXION_CUDA_WAIT"

// WarpgroupVariable is 1 where Hopper's products are to be made by wgmma. They are not otherwise: no such GPU has
// run these kernels yet, and the order in which wgmma sums may differ from that of mma.sync.
const WarpgroupVariable = "FLUXION_CUDA_WGMMA"

// Open returns a device by name: cpu, cuda:N (cuda is cuda:0), or auto, the first
// GPU that can be used, else the CPU. Threads are those of the CPU, 0 for all
// that this process may use. auto never takes a simulated GPU. Notes are told why a GPU
// that is there is not taken, and what it does otherwise than it should.
func Open(name string, threads int, notes ...func(string)) (Device, error) {
	note := func(text string) {
		for _, f := range notes {
			f(text)
		}
	}
	if name == "auto" {
		if d := firstGPU(note, driver.Select); d != nil {
			return d, nil
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
	d, err := openCUDA(index, note)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	return d, nil
}

// NameOf is the device of one of several processes of this machine, numbered from 0, that
// train together: cuda, and auto where there are GPUs, is the GPU of its number, or the only
// one that it sees.
func NameOf(name string, process int) (string, error) { return nameOf(name, process, driver.Select) }

func nameOf(name string, process int, choose func(name string) (cuda.Driver, error)) (string, error) {
	if name != "auto" && name != "cuda" {
		return name, nil
	}
	var all []cuda.Properties
	d, err := choose(os.Getenv(Variable))
	if err == nil {
		all, err = d.Devices()
	}
	if name == "auto" && (err != nil || len(all) == 0 || all[0].Simulated) {
		return name, nil // which says why no GPU is used
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("device %s: %w", name, err)
	case len(all) == 1:
		process = 0
	case process >= len(all):
		return "", fmt.Errorf("device %s: process %d of this machine has no GPU, of which it sees %d (numbers from 0); want as many processes as GPUs, or cpu", name, process, len(all))
	}
	return fmt.Sprintf("cuda:%d", process), nil
}

// firstGPU is the first that opens, nil if none does. It is silent where there is no driver or no GPU.
func firstGPU(note func(string), choose func(name string) (cuda.Driver, error)) *CUDA {
	d, err := choose(os.Getenv(Variable))
	var properties []cuda.Properties
	if err == nil {
		properties, err = d.Devices()
	}
	if err != nil {
		if e := (*cuda.Error)(nil); errors.As(err, &e) && e.Result != cuda.NotInitialized && e.Result != cuda.NoDevice {
			note(fmt.Sprintf("no GPU is used: %v", err))
		}
		return nil
	}
	for _, p := range properties {
		if p.Simulated {
			continue
		}
		gpu, err := openOf(d, p.Ordinal, note)
		if err == nil {
			return gpu
		}
		note(fmt.Sprintf("cuda:%d is not used: %v", p.Ordinal, err))
	}
	return nil
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

func openCUDA(ordinal int, note func(string)) (*CUDA, error) {
	d, err := driver.Select(os.Getenv(Variable))
	if err != nil {
		return nil, err
	}
	return openOf(d, ordinal, note)
}

// openOf opens a device of a driver as the environment wants it.
func openOf(d cuda.Driver, ordinal int, note func(string)) (*CUDA, error) {
	wait, err := waiting(os.Getenv(WaitVariable))
	if err != nil {
		return nil, err
	}
	graphs, err := choice(GraphVariable, true, "kernel by kernel", "a graph")
	if err != nil {
		return nil, err
	}
	groups, err := choice(WarpgroupVariable, false, "by mma.sync", "by wgmma")
	if err != nil {
		return nil, err
	}
	gpu, err := newCUDA(d, ordinal, wait)
	if err != nil {
		return nil, err
	}
	gpu.note, gpu.singly = note, !graphs
	if !groups {
		gpu.card.Warpgroup = 0
	}
	return gpu, nil
}

// CardNamed is a row of the table of cards as the environment wants its products to be made.
func CardNamed(name string) (cuda.Card, error) {
	c, err := cuda.CardNamed(name)
	groups, wrong := choice(WarpgroupVariable, false, "by mma.sync", "by wgmma")
	if err == nil {
		err = wrong
	}
	if !groups {
		c.Warpgroup = 0
	}
	return c, err
}

func waiting(value string) (cuda.Waiting, error) {
	switch value {
	case "", "auto":
		return cuda.WaitAsDriver, nil
	case "spin":
		return cuda.WaitSpinning, nil
	case "block":
		return cuda.WaitBlocking, nil
	}
	return 0, fmt.Errorf("%s=%q, want spin, block or auto", WaitVariable, value)
}

// choice reads a variable that is 0 or 1.
func choice(variable string, usual bool, zero, one string) (bool, error) {
	switch value := os.Getenv(variable); value {
	case "":
		return usual, nil
	case "0", "1":
		return value == "1", nil
	default:
		return false, fmt.Errorf("%s=%q, want 0 (%s) or 1 (%s)", variable, value, zero, one)
	}
}
