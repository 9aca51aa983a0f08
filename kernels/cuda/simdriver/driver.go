// Package simdriver is a CUDA driver over the simulated GPU of package sim, in
// plain Go: contexts, modules, streams, events, captures, graphs and memory with
// the rules of the CUDA driver API, and errors where that gives errors.
//
// It is as unkind as the API allows. Work put into a stream is run only when
// somebody waits for it, copies from page-locked memory read it only then, and a
// graph runs its nodes in any order that their dependencies permit. What is
// missing a synchronisation fails here, every time.
//
// A test can make the n-th call of a function fail, lose the device in the middle
// of a step, and ask what was not given back.
package simdriver

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
)

// Options describe the simulated device.
type Options struct {
	Memory  int64  // bytes; 0: 4 GiB
	Major   int    // compute capability: 8, 9, or an older one, on which nothing runs; 0: 8
	Minor   int    // its second number
	Version int    // of the CUDA that the driver implements, 1000·major + 10·minor; 0: 12.1
	Slice   string // what its name says of a slice of a GPU (MIG), as 1g.5gb; empty: it is a whole one
	NoCode  bool   // machine code is refused, as by a driver that is older than its assembler
	Seed    uint64 // of the order of warps, and of nodes of a graph
	Workers int    // threads that simulate; 0: all
}

// Driver is the simulated driver with its one device. It is safe for concurrent
// use; one call at a time is served.
type Driver struct {
	options Options
	number  uint32 // of the drivers of this process, from 1
	memory  *sim.Memory
	machine *sim.Machine
	started time.Time

	mu       sync.Mutex
	thread   uint64                 // that makes the call
	modes    map[uint64]CaptureMode // of threads
	calls    map[string]int
	total    int
	faults   []Fault
	lost     cuda.Result // the device is gone
	detail   string      // why the last call failed
	contexts []*Context
	captures []*capture // under way
	graphs   int        // not destroyed
}

// drivers numbers those of this process.
var drivers atomic.Uint32

// New returns a driver in the state of a process that has just started.
func New(o Options) *Driver {
	if o.Memory == 0 {
		o.Memory = 4 << 30
	}
	if o.Major == 0 {
		o.Major = 8
	}
	if o.Version == 0 {
		o.Version = 12010
	}
	memory := sim.NewMemory(o.Memory)
	return &Driver{
		options: o,
		number:  drivers.Add(1),
		memory:  memory,
		machine: sim.New(memory, sim.Options{Seed: o.Seed, Workers: o.Workers, Shared: sharedLimit(o.Major)}),
		started: time.Now(),
		calls:   map[string]int{},
		modes:   map[uint64]CaptureMode{},
	}
}

// Operation is the name under which Fault counts what the device does: kernels,
// copies and fills as they are run, in streams and graphs.
const Operation = "operation"

// Fault makes a call fail.
type Fault struct {
	Call   string // cuMemAlloc, or Operation; empty: any call
	Kernel string // of operations: the function that runs; empty: whatever is done
	Number int    // which one from now on: 1 is the next
	Result cuda.Result
}

// Inject arms a fault. The call is not carried out, unless it destroys a context
// or a graph: nothing that owns others stays behind. If its result is one after
// which a device is lost, it is lost, and every later call gives that result.
func (d *Driver) Inject(f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, f)
}

// Calls returns how often a function was called; of all functions if name is empty.
func (d *Driver) Calls(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if name == "" {
		return d.total
	}
	return d.calls[name]
}

// Detail says why the last call that failed did, where more is known than its result.
func (d *Driver) Detail() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.detail
}

// SetThread says which thread makes the calls that follow: a capture of mode
// CaptureThreadLocal concerns one thread only, and every capture ends where it began.
func (d *Driver) SetThread(id uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.thread = id
}

// call serves one call that needs no context.
func (d *Driver) call(name string, f func() cuda.Result) cuda.Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.detail = ""
	if r := d.injected(name, ""); r != cuda.Success {
		return r
	}
	return f()
}

// injected counts a call and returns what an armed fault makes of it.
func (d *Driver) injected(name, kernel string) cuda.Result {
	if name != Operation {
		d.total++
	}
	d.calls[name]++
	for i := range d.faults {
		f := &d.faults[i]
		if f.Call != name && (f.Call != "" || name == Operation) || f.Kernel != "" && f.Kernel != kernel {
			continue
		}
		if f.Number--; f.Number > 0 {
			continue
		}
		result := f.Result
		d.faults = slices.Delete(d.faults, i, i+1)
		d.detail = "injected fault"
		if result.Lost() {
			d.lose(result)
		}
		return result
	}
	return cuda.Success
}

// lose makes every later call fail.
func (d *Driver) lose(r cuda.Result) {
	if d.lost == cuda.Success {
		d.lost = r
	}
}

// fail notes why a call fails.
func (d *Driver) fail(r cuda.Result, format string, args ...any) cuda.Result {
	d.detail = fmt.Sprintf(format, args...)
	return r
}

// Leaks lists what was made and not given back.
func (d *Driver) Leaks() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var leaks []string
	count := func(n int, what string) {
		if n > 0 {
			leaks = append(leaks, fmt.Sprintf("%d %s", n, what))
		}
	}
	count(len(d.contexts), "contexts")
	var streams, events, modules, blocks, host int
	for _, c := range d.contexts {
		streams += len(c.streams)
		events += len(c.events)
		modules += len(c.modules)
		blocks += len(c.blocks)
		host += len(c.host)
	}
	count(streams, "streams")
	count(events, "events")
	count(modules, "modules")
	count(blocks, "blocks of device memory")
	count(host, "blocks of page-locked memory")
	count(d.graphs, "graphs")
	if n := d.memory.Used(); n > 0 {
		leaks = append(leaks, fmt.Sprintf("%d bytes of device memory", n))
	}
	return leaks
}

// Note serves a call that concerns the caller's side only.
func (d *Driver) Note(name string) cuda.Result {
	return d.call(name, func() cuda.Result { return cuda.Success })
}

// Unsupported is the result of a function that the simulated driver does not have.
func (d *Driver) Unsupported(name string) cuda.Result {
	return d.call(name, func() cuda.Result {
		return d.fail(cuda.NotSupported, "the simulated driver has no %s", name)
	})
}
