// Package device runs plans, on the CPU or a GPU. A plan is bound to memory once; from
// then on running it only launches kernels, and nothing is allocated or looked up.
package device

import (
	"errors"
	"fmt"

	"fluxion/engine/plan"
	"fluxion/kernels/number"
)

// Memory is buffers on a device. Programs whose plans name the same buffer share
// it. Offsets count elements.
type Memory interface {
	// Sizes are those that it was allocated with.
	Sizes() plan.Sizes
	// Read copies elements of a buffer of float32 to the host.
	Read(b *plan.Buffer, offset int, dst []float32) error
	// Write copies elements to a buffer of float32.
	Write(b *plan.Buffer, offset int, src []float32) error
	// WriteBytes copies to a buffer of bytes.
	WriteBytes(b *plan.Buffer, offset int, src []byte) error
	// Fill sets every byte of a buffer.
	Fill(b *plan.Buffer, value byte) error
	// Free gives the memory back. Programs bound to it must not run any more.
	Free() error
}

// Program is a plan bound to memory.
type Program interface {
	// RunSteps executes the plan n times. Before run i, in order but perhaps well
	// ahead, it calls set(i), after which the kernels' parameters, in the memory
	// of the host, must be those of that run; set may be nil. It ends with the
	// first error of set. It may return before the device has finished.
	RunSteps(n int, set func(i int) error) error
	// Read waits for the runs so far and copies a float32 or bfloat16 tensor to
	// the host, its rows one after the other.
	Read(t plan.Tensor, dst []float32) error
	// ReadBytes is Read for a tensor of bytes.
	ReadBytes(t plan.Tensor, dst []byte) error
	// Write copies from the host to a tensor; bfloat16 is rounded.
	Write(t plan.Tensor, src []float32) error
	// Launches runs the plan once, waits for each launch and calls visit after it.
	Launches(visit func(i int) error) error
	// Free gives back what the program itself holds on the device.
	Free() error
}

// Device is where plans run.
type Device interface {
	// Name as --device takes it.
	Name() string
	// Describe the hardware in a few words.
	Describe() string
	// Target is what plans for this device are compiled for.
	Target() plan.Target
	// Room is how many bytes may be taken on the device so that data need not be
	// brought there; 0 if it lies in the memory of the host anyway.
	Room() (int64, error)
	// Alloc returns memory of this many bytes for each buffer, zeroed but for the
	// arena, of which nothing is known, and transient buffers, which are its beginning.
	Alloc(sizes plan.Sizes) (Memory, error)
	// Load binds a plan to memory at least as large as it says. Results are
	// tensors that will be read after every run: they are brought along with it.
	Load(p *plan.Plan, m Memory, results ...plan.Tensor) (Program, error)
	// Simulated says that times on this device mean nothing.
	Simulated() bool
	// Threads is how many threads of the host work for it.
	Threads() int
	// PeakFLOPS is the arithmetic rate in a precision, measured or by the
	// hardware's description; 0 where it is not known.
	PeakFLOPS(precision number.Type) float64
	// PeakBytes is the rate of its memory in bytes read and written a second,
	// measured or by the hardware's description; 0 where it is not known.
	PeakBytes() float64
	// Close frees the device. Memory and programs must be freed before.
	Close() error
}

// Run executes a program once.
func Run(p Program) error { return p.RunSteps(1, nil) }

// Precision returns the precision of a name: fp32, bf16, or auto, which suits the target.
func Precision(name string, t plan.Target) (number.Type, error) {
	for _, p := range []number.Type{number.Float32, number.BFloat16} {
		if name == p.String() {
			return p, nil
		}
	}
	if name == "auto" {
		return t.Precision(), nil
	}
	return 0, fmt.Errorf("%q is not known, want fp32, bf16 or auto", name)
}

// fits says why a plan cannot be bound to memory on a device.
func fits(p *plan.Plan, d Device, m Memory) error {
	if p.Target != d.Target() {
		return fmt.Errorf("a plan for %v does not run on %s, %v", p.Target, d.Name(), d.Target())
	}
	sizes := m.Sizes()
	for _, b := range p.Sizes.Buffers() {
		if n := p.Sizes[b]; sizes[b] < n {
			return fmt.Errorf("the plan needs %d bytes of %v, the memory has %d", n, b, sizes[b])
		}
	}
	return nil
}

// inside says why elements are not in a buffer of float32.
func inside(b *plan.Buffer, bytes, offset, n int) error {
	if b.Type != number.Float32 {
		return fmt.Errorf("%v is a buffer of %v, not of float32", b, b.Type)
	}
	if have := bytes / 4; offset < 0 || offset+n > have {
		return fmt.Errorf("elements %d to %d of %v, which has %d", offset, offset+n, b, have)
	}
	return nil
}

// insideBytes says why bytes are not in a buffer of them.
func insideBytes(b *plan.Buffer, bytes, offset, n int) error {
	if b.Type != number.Uint8 {
		return fmt.Errorf("%v is a buffer of %v, not of bytes", b, b.Type)
	}
	if offset < 0 || offset+n > bytes {
		return fmt.Errorf("bytes %d to %d of %v, which has %d", offset, offset+n, b, bytes)
	}
	return nil
}

// Floats is a buffer of float32 where it lies, if the host can write there; else nil.
func Floats(m Memory, b *plan.Buffer) []float32 {
	c, ok := m.(*cpuMemory)
	if !ok || b.Type != number.Float32 {
		return nil
	}
	return c.buffers[b]
}

// Fill lets fill write the first size numbers of buffers of float32, the same to each:
// where they lie if the host can write there, or to one slice that is copied there.
func Fill(m Memory, size int, fill func(flats ...[]float32), buffers ...*plan.Buffer) error {
	var flats [][]float32
	for _, b := range buffers {
		if x := Floats(m, b); len(x) >= size {
			flats = append(flats, x[:size])
		}
	}
	if len(flats) == len(buffers) {
		fill(flats...)
		return nil
	}
	flat := make([]float32, size)
	fill(flat)
	var err error
	for _, b := range buffers {
		err = errors.Join(err, m.Write(b, 0, flat))
	}
	return err
}

// errLength is a slice that does not have the length of its tensor.
var errLength = errors.New("the slice has not the tensor's length")

func errNumbers(t plan.Tensor) error { return fmt.Errorf("%v is no tensor of numbers", t) }

func errBytes(t plan.Tensor) error { return fmt.Errorf("%v is no tensor of bytes without gaps", t) }
