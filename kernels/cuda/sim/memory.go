package sim

import (
	"errors"
	"fmt"
	"sync"

	"fluxion/kernels/cuda"
)

const (
	pageShift = 12
	pageSize  = 1 << pageShift

	// memoryBase is where device memory starts; small numbers are never addresses.
	memoryBase = 0x7000_0000_0000
)

// ErrOutOfMemory is wrapped by Alloc when the capacity is spent.
var ErrOutOfMemory = errors.New("out of device memory")

// Memory is the global memory of the simulated GPU. Addresses are never used
// twice and at least a page lies unused between two allocations, so that every
// access outside and every use after Free is seen. For every byte it knows
// whether it was written. Memory is safe for concurrent use.
type Memory struct {
	mu             sync.RWMutex
	capacity, used int64
	pages          []*allocation // by (address − memoryBase) >> pageShift; nil between allocations
}

type allocation struct {
	name     string // of a module's variable; empty otherwise
	base     uint64
	size     int
	data     []byte
	written  bitmap // one bit a byte: holds a value
	freed    bool
	constant bool
}

// NewMemory is a device memory that can hold capacity bytes.
func NewMemory(capacity int64) *Memory {
	return &Memory{capacity: capacity, pages: make([]*allocation, 1)}
}

// Alloc returns the address of n fresh bytes, aligned to 256 at least. Reading
// them before they are written is an error of the kernel that does it.
func (m *Memory) Alloc(n int) (cuda.Address, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.take(n); err != nil {
		return 0, err
	}
	return cuda.Address(m.alloc(n, newBitmap(n)).base), nil
}

// take counts n bytes as used, if there are so many.
func (m *Memory) take(n int) error {
	if n <= 0 {
		return fmt.Errorf("sim: allocation of %d bytes", n)
	}
	if m.used+int64(n) > m.capacity {
		return fmt.Errorf("sim: %w: %d of %d bytes are in use, %d more were asked for", ErrOutOfMemory, m.used, m.capacity, n)
	}
	m.used += int64(n)
	return nil
}

// AllocZero is Alloc of bytes that all hold a zero, in memory that the system gives
// where it is touched. So a sample of the blocks of a launch over gigabytes can be counted.
func (m *Memory) AllocZero(n int) (cuda.Address, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.take(n); err != nil {
		return 0, err
	}
	return cuda.Address(m.alloc(n, nil).base), nil
}

func (m *Memory) alloc(n int, written bitmap) *allocation {
	a := &allocation{base: memoryBase + uint64(len(m.pages))<<pageShift, size: n, data: make([]byte, n), written: written}
	for i := 0; i < n; i += pageSize {
		m.pages = append(m.pages, a)
	}
	m.pages = append(m.pages, nil)
	return a
}

// Free gives an allocation back; a is what Alloc returned.
func (m *Memory) Free(a cuda.Address) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	block := m.find(uint64(a))
	if block == nil || block.base != uint64(a) || block.name != "" {
		return fmt.Errorf("sim: free of %#x, which was not allocated", uint64(a))
	}
	if block.freed {
		return fmt.Errorf("sim: %#x is freed twice", uint64(a))
	}
	m.used -= int64(block.size)
	block.freed, block.data, block.written = true, nil, nil
	return nil
}

// Used is the number of bytes allocated.
func (m *Memory) Used() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.used
}

// Capacity is the number of bytes that can be allocated.
func (m *Memory) Capacity() int64 { return m.capacity }

// Write copies from the host to the device.
func (m *Memory) Write(a cuda.Address, b []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	block, at, err := m.span(a, len(b), "write")
	if err != nil || len(b) == 0 {
		return err
	}
	copy(block.data[at:], b)
	block.written.set(at, len(b))
	return nil
}

// Read copies from the device to the host. Bytes nobody wrote read as zero; Written tells them apart.
func (m *Memory) Read(a cuda.Address, b []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	block, at, err := m.span(a, len(b), "read")
	if err != nil || len(b) == 0 {
		return err
	}
	copy(b, block.data[at:])
	return nil
}

// Copy copies n bytes within the device; bytes that hold no value stay so.
func (m *Memory) Copy(to, from cuda.Address, n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	source, s, err := m.span(from, n, "copy from")
	if err != nil {
		return err
	}
	target, t, err := m.span(to, n, "copy to")
	if err != nil || n == 0 {
		return err
	}
	copy(target.data[t:t+n], source.data[s:s+n])
	if source.written.full(s, n) {
		target.written.set(t, n)
		return nil
	}
	state := make([]bool, n)
	for i := range state {
		state[i] = source.written.has(s + i)
	}
	for i, set := range state {
		if set {
			target.written.set(t+i, 1)
		} else {
			target.written.clear(t+i, 1)
		}
	}
	return nil
}

// Fill repeats pattern over n bytes, as cuMemsetD8, D16 and D32 do.
func (m *Memory) Fill(a cuda.Address, n int, pattern []byte) error {
	if len(pattern) == 0 {
		return errors.New("sim: a fill with an empty pattern")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	block, at, err := m.span(a, n, "fill")
	if err != nil || n == 0 {
		return err
	}
	to := block.data[at : at+n]
	for done := copy(to, pattern); done < n; done *= 2 {
		copy(to[done:], to[:done])
	}
	block.written.set(at, n)
	return nil
}

// Poison makes n bytes count as never written, as fresh memory is: for working
// memory that is used again, whose old contents nobody may rely on.
func (m *Memory) Poison(a cuda.Address, n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	block, at, err := m.span(a, n, "poison")
	if err != nil || n == 0 {
		return err
	}
	for i := range n {
		block.data[at+i] = 0xCD
	}
	block.written.clear(at, n)
	return nil
}

// Written counts how many of n bytes hold a value.
func (m *Memory) Written(a cuda.Address, n int) (int, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	block, at, err := m.span(a, n, "question about")
	if err != nil || n == 0 {
		return 0, err
	}
	return block.written.count(at, n), nil
}

func (m *Memory) find(a uint64) *allocation {
	if i := (a - memoryBase) >> pageShift; a >= memoryBase && i < uint64(len(m.pages)) {
		return m.pages[i]
	}
	return nil
}

// span checks an access of the host.
func (m *Memory) span(a cuda.Address, n int, what string) (*allocation, int, error) {
	if n == 0 {
		return nil, 0, nil
	}
	block := m.find(uint64(a))
	if why := outside(block, uint64(a), n); why != "" {
		return nil, 0, fmt.Errorf("sim: %s of %d bytes at %#x: %s", what, n, uint64(a), why)
	}
	return block, int(uint64(a) - block.base), nil
}

// outside says why n bytes at a are not all within the allocation, or nothing if they are.
func outside(block *allocation, a uint64, n int) string {
	switch {
	case block == nil:
		return "no allocation is there"
	case block.freed:
		return fmt.Sprintf("the allocation of %d bytes there was freed", block.size)
	case a-block.base+uint64(n) > uint64(block.size):
		return fmt.Sprintf("bytes %d to %d of an allocation of %d bytes", a-block.base, a-block.base+uint64(n)-1, block.size)
	}
	return ""
}
