package kerneltest

import (
	"context"
	"errors"
	"sync"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/cuda/driver"
	"fluxion/kernels/cuda/sim"
)

// board is memory and what runs kernels on it: the simulator, or the GPU of this
// machine where tests are to run there (see cudatest.OnGPU).
type board interface {
	Alloc(bytes int) (cuda.Address, error)
	Free(cuda.Address) error
	Write(cuda.Address, []byte) error
	Read(cuda.Address, []byte) error
	// Written counts which of n bytes were written since they were allocated.
	Written(a cuda.Address, n int) (int, error)
	// sure tells whether Written knows; if not, it may count too few.
	sure() bool
	hopper() bool // whether it runs what is compiled for compute_90a
	run(context.Context, cuda.Call) (sim.Counters, error)
}

// simulator is the board of the simulator.
type simulator struct {
	*sim.Memory
	machine *sim.Machine
}

func newSimulator(seed uint64) simulator {
	memory := sim.NewMemory(1 << 30)
	return simulator{memory, sim.New(memory, sim.Options{Seed: seed})}
}

func (simulator) sure() bool { return true }

func (simulator) hopper() bool { return true }

func (s simulator) run(ctx context.Context, call cuda.Call) (sim.Counters, error) {
	return s.machine.Run(ctx, call)
}

// newBoard is a board for tests; seed decides the order of a simulator's warps.
func newBoard(seed uint64) (board, error) {
	if cudatest.OnGPU() {
		return gpu()
	}
	return newSimulator(seed), nil
}

// gpu is the board of the GPU, opened once.
var gpu = sync.OnceValues(func() (board, error) {
	d, err := driver.Select(cudatest.Name())
	if err != nil {
		return nil, err
	}
	device, err := d.Open(0, cuda.WaitAsDriver)
	if err != nil {
		return nil, err
	}
	stream, err := device.NewStream()
	return hardware{device, stream}, err
})

// hardware is the board of a GPU, which counts nothing.
type hardware struct {
	device cuda.Device
	stream cuda.Stream
}

// unwritten is what memory holds before anything is written to it: about −1e37 as a number
// of either type, so that a result computed from it is visibly wrong, and different at each
// address, so that a copy of it is noticed.
func unwritten(a cuda.Address, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		at := a + cuda.Address(i)
		if b[i] = byte(uint32(at) * 0x9E3779B1 >> 24); at%2 == 1 {
			b[i] = 0xFD
		}
	}
	return b
}

func (h hardware) Alloc(n int) (cuda.Address, error) {
	a, err := h.device.Alloc(n)
	if err != nil {
		return 0, err
	}
	return a, h.device.CopyIn(a, unwritten(a, n))
}

func (h hardware) hopper() bool {
	p := h.device.Properties()
	return p.Major == 9 && p.Minor == 0
}

func (h hardware) Free(a cuda.Address) error { return h.device.Free(a) }

func (h hardware) Write(a cuda.Address, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return h.device.CopyIn(a, b)
}

func (h hardware) Read(a cuda.Address, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return h.device.CopyOut(b, a)
}

func (h hardware) Written(a cuda.Address, n int) (int, error) {
	b, count := make([]byte, n), 0
	err := h.Read(a, b)
	for i, u := range unwritten(a, n) {
		if b[i] != u {
			count++
		}
	}
	return count, err
}

func (hardware) sure() bool { return false }

func (h hardware) run(_ context.Context, call cuda.Call) (sim.Counters, error) {
	return sim.Counters{}, errors.Join(h.stream.Launch(call), h.stream.Synchronize())
}
