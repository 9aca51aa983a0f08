package cuda

import (
	"fmt"
	"strings"
	"time"
)

// Driver is a CUDA driver: NVIDIA's (package driver, build tag gpu) or the
// simulated one (package simdriver). Its devices have ordinals 0, 1, …
type Driver interface {
	// Devices lists what is there, those that do not answer among them, with their Problem. The
	// error says in one line what is missing.
	Devices() ([]Properties, error)
	// Open makes a context on the device, or takes the one that all of the process share.
	Open(ordinal int, w Waiting) (Device, error)
}

// Waiting is how a thread of the host waits for a device.
type Waiting int

// The driver's own choice spins where there are more processors than contexts: a core is busy
// all the time, and told at once. Blocking leaves it to others, and is told some 20 to 50 µs later.
const (
	WaitAsDriver Waiting = iota
	WaitSpinning
	WaitBlocking
)

// Properties are what a device says of itself.
type Properties struct {
	Ordinal         int
	Name            string
	Simulated       bool   // executed by package sim: no time on it means anything
	Major, Minor    int    // compute capability
	Memory          int64  // bytes
	Multiprocessors int    // SMs
	ClockHz         int64  // of the multiprocessors, the highest
	MemoryClockHz   int64  // the highest
	BusBits         int    // width of the memory bus
	L2              int64  // bytes
	SharedPerBlock  int    // bytes of shared memory a block may ask for (opt-in)
	DriverVersion   int    // 1000·major + 10·minor of the CUDA version it implements
	BusID           string // PCI
	UUID            string // as CUDA_VISIBLE_DEVICES takes it: GPU-…, or MIG-… of a slice
	Slice           bool   // of a GPU (MIG): others may have its bus and its name
	Problem         error  // why the device does not say all that; nothing if it does
}

// Device is an opened GPU. Its methods may be called from any goroutine, but
// what they order is ordered by streams alone. Every error is an *Error.
type Device interface {
	Properties() Properties

	// Alloc returns memory of the device, 256-aligned at least, contents undefined.
	Alloc(bytes int) (Address, error)
	Free(Address) error
	// AllocHost returns page-locked memory of the host: what a stream copies
	// from and to while the host goes on. It is no memory of Go's; it is given
	// back by FreeHost with the slice that AllocHost returned.
	AllocHost(bytes int) ([]byte, error)
	FreeHost([]byte) error
	// MemoryInfo returns the bytes that are free on the device, and all of them.
	MemoryInfo() (free, total int64, err error)

	// CopyIn copies from the host and returns when it is done. It is ordered
	// with no stream: what works on dst must be over.
	CopyIn(dst Address, src []byte) error
	// CopyOut copies to the host, likewise.
	CopyOut(dst []byte, src Address) error

	// Prepare compiles the modules of calls, and sets the limits of their
	// functions. Launch does so too, but not within a capture.
	Prepare(calls ...Call) error

	// Refused is why the driver did not take the machine code of a module that it was to load, whose PTX it
	// compiled instead, which takes seconds; nil if that never was so.
	Refused() error

	// EncodeTensorMap packs a description as kernels take it, by value, in 128
	// bytes aligned to 64. It needs compute capability 9.0.
	EncodeTensorMap(TensorMap) ([128]byte, error)

	NewStream() (Stream, error)
	NewEvent() (Event, error)

	// Within calls f, which calls a library that works beside the driver, on one thread and
	// in the context of the device.
	Within(f func()) error

	// Synchronize waits for all streams.
	Synchronize() error
	// Close waits for what runs and gives back everything that was made here.
	// It works on a device that was lost, too.
	Close() error
}

// Stream is a queue of work: what is put into it runs in order, while the host
// goes on. An error of a kernel is seen by whoever waits for the stream.
type Stream interface {
	Launch(Call) error
	// CopyIn copies from page-locked memory, which must stay as it is until the
	// copy is over.
	CopyIn(dst Address, src []byte) error
	// CopyOut copies to page-locked memory.
	CopyOut(dst []byte, src Address) error
	// Copy copies within the device.
	Copy(dst, src Address, bytes int) error
	// Fill writes a byte all over.
	Fill(dst Address, value byte, bytes int) error

	// Record marks the end of what is in the stream now; Wait lets what follows
	// start only after the event.
	Record(Event) error
	Wait(Event) error

	// Capture calls record, keeps what it puts into the stream from being run,
	// and returns it as a graph. Modules must have been prepared. Within it no
	// memory may be taken and nothing waited for.
	Capture(record func() error) (Graph, error)
	// Synchronize waits until the stream is empty.
	Synchronize() error
	Close() error
}

// Event is a point in a stream.
type Event interface {
	// Synchronize waits for it.
	Synchronize() error
	// Since is the device's time between two events that are over.
	Since(start Event) (time.Duration, error)
	Close() error
}

// Graph is captured work, which runs as often as it is launched.
type Graph interface {
	Launch(Stream) error
	Close() error
}

// Identify notes the UUID of a device, and that of the GPU that it is on: a slice has another of its own.
func (p *Properties) Identify(own, whole [16]byte) {
	p.Slice = own != whole || strings.Contains(p.Name, " MIG ") // as the driver calls it
	kind := "GPU"
	if p.Slice {
		kind = "MIG"
	}
	p.UUID = fmt.Sprintf("%s-%x-%x-%x-%x-%x", kind, own[:4], own[4:6], own[6:8], own[8:10], own[10:])
}

// Usable says why the kernels cannot run on a device, or nothing.
func (p Properties) Usable() error {
	if p.Problem != nil {
		return p.Problem
	}
	var why string
	switch {
	case p.Major < oldest:
		why = fmt.Sprintf("its compute capability is %d.%d, the kernels need %d.0 (Ampere) or newer; use --device cpu", p.Major, p.Minor, oldest)
	case p.DriverVersion < OldestDriver:
		why = fmt.Sprintf("its driver is one of CUDA %s, the program needs %s or newer: install driver %s or newer", CUDAVersion(p.DriverVersion), CUDAVersion(OldestDriver), oldestDriverName)
	default:
		return nil
	}
	return &Error{Call: "open", Result: NotSupported, What: p.Name, Detail: why}
}

// oldest is the compute capability for which PTX is compiled.
const oldest = 8

// OldestDriver is the version of CUDA that a driver must implement, 1000·major + 10·minor: the first with
// cuGraphInstantiateWithFlags. The PTX needs less.
const (
	OldestDriver     = 11040
	oldestDriverName = "470" // CUDA 11.4 Release Notes, table "CUDA Toolkit and Corresponding Driver Versions"
)

// TooOld is what a driver that lacks functions, or does not know the PTX, is told.
const TooOld = "the installed driver is too old: this program needs driver " + oldestDriverName + " (CUDA 11.4) or newer"

// VersionOfPTX is the CUDA whose driver is the first to know a version of PTX, by the release notes of
// the PTX ISA: 7.0 came with 11.0, 8.0 with 12.0, and then one with each minor version, but for 12.6.
func VersionOfPTX(major, minor int) int {
	if major == 8 && minor > 5 {
		minor++
	}
	return 1000*(major+4) + 10*minor
}

// CUDAVersion writes a version as people do: 12.1 for 12010.
func CUDAVersion(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// attributes of a device by their numbers in CUdevice_attribute.
const (
	attributeClock           = 13 // kHz
	attributeMultiprocessors = 16
	attributeMemoryClock     = 36 // kHz
	attributeBusBits         = 37
	attributeL2              = 38
	attributeMajor           = 75
	attributeMinor           = 76
	attributeShared          = 97
)

// ReadAttributes fills in the properties that a driver tells as attributes.
func ReadAttributes(p *Properties, attribute func(number int) (int, error)) error {
	for _, a := range []struct {
		number int
		set    func(v int)
	}{
		{attributeClock, func(v int) { p.ClockHz = 1000 * int64(v) }},
		{attributeMultiprocessors, func(v int) { p.Multiprocessors = v }},
		{attributeMemoryClock, func(v int) { p.MemoryClockHz = 1000 * int64(v) }},
		{attributeBusBits, func(v int) { p.BusBits = v }},
		{attributeL2, func(v int) { p.L2 = int64(v) }},
		{attributeMajor, func(v int) { p.Major = v }},
		{attributeMinor, func(v int) { p.Minor = v }},
		{attributeShared, func(v int) { p.SharedPerBlock = v }},
	} {
		v, err := attribute(a.number)
		if err != nil {
			return err
		}
		a.set(v)
	}
	return nil
}

// Name is module and function.
func (c Call) Name() string { return c.Module.Name + "." + c.Function }

// String describes the launch.
func (c Call) String() string {
	return fmt.Sprintf("%s, grid %v, block %v, %d bytes of dynamic shared memory, %d of arguments",
		c.Name(), c.Grid, c.Block, c.Shared, len(c.Args))
}
