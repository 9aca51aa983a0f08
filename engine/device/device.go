// Package device runs plans. A device binds a plan once to its memory and then
// only launches: nothing is looked up, allocated or decided in a step.
package device

import (
	"fluxion/engine/plan"
	"fluxion/kernels/cpu"
)

// Memory is the regions of a plan on a device. Plans that train and plans that
// sample the same network share the flat buffers.
type Memory [plan.Regions][]float32

// Program is a plan bound to memory.
type Program interface {
	// Run executes every launch in order and returns when the results are there.
	Run()
	// Matrix is the host's view of a tensor between runs.
	Matrix(t plan.Tensor) cpu.Matrix
	// Launches runs the plan once and calls visit after each launch, for timing.
	Launches(visit func(i int))
}

// Device is where plans run.
type Device interface {
	// Name as --device takes it.
	Name() string
	// Describe the hardware in a few words.
	Describe() string
	// Threads is the number of workers a plan must allow for.
	Threads() int
	// Alloc returns zeroed memory for this many floats of each region.
	Alloc(sizes [plan.Regions]int) Memory
	// Free returns what Alloc gave.
	Free(m Memory)
	// Load binds a plan to memory at least as large as it says.
	Load(p *plan.Plan, m Memory) Program
	// Bind makes a kernel outside a plan runnable.
	Bind(kernel func(*cpu.Pool)) func()
	// PeakFLOPS measures the arithmetic rate of the device, float32.
	PeakFLOPS() float64
	Close()
}
