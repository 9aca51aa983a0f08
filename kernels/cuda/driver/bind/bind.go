//go:build gpu

// Package bind decides what answers when CUDA's driver API is called: NVIDIA's
// libcuda, the simulated driver, or nobody. It defines every function of libcuda
// that the program refers to (trampolines.c), so that nothing of CUDA is needed to
// link or to start the program; the library is looked for when it is first asked for.
package bind

// The archive is empty: it is there for gorgonia.org/cu, which asks for -lcuda. If
// the linker finds a libcuda.so before it, nothing in that is needed.

// #cgo CFLAGS: -O2 -std=gnu11 -Wall
// #cgo LDFLAGS: -L${SRCDIR}/lib -Wl,--as-needed -ldl -lpthread
// #include <stdlib.h>
// #include "bind.h"
import "C"

import (
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
)

//go:generate go run ./gen

// Library is the name under which NVIDIA's driver is installed.
const Library = "libcuda.so.1"

var (
	mu       sync.Mutex
	library  bool       // libcuda answers
	simulate *simulated // the simulated driver answers
)

// ToLibrary makes NVIDIA's driver answer from now on. The error says in one line
// what is missing.
func ToLibrary(path string) error {
	mu.Lock()
	defer mu.Unlock()
	if library {
		return nil // a process is not initialised twice
	}
	file := C.CString(path)
	defer C.free(unsafe.Pointer(file))
	why := (*C.char)(C.calloc(1, 512))
	defer C.free(unsafe.Pointer(why))
	simulate = nil
	if r := cuda.Result(C.fluxion_bind_library(file, why, 512)); r != cuda.Success {
		return &cuda.Error{Call: "cuInit", Result: r, Detail: missing(r, C.GoString(why))}
	}
	library = true
	return nil
}

// missing says what to do about a driver that does not start.
func missing(r cuda.Result, why string) string {
	switch r {
	case cuda.NotInitialized:
		return "NVIDIA's driver is not installed: " + why
	case cuda.NoDevice:
		return "NVIDIA's driver is installed, but sees no GPU (is one there, and visible to this container and to CUDA_VISIBLE_DEVICES?)"
	case cuda.DeviceUnavailable:
		return "a GPU is busy or was lost: another program holds it for itself (nvidia-smi -q -d COMPUTE), or it needs a reset"
	case cuda.SystemNotReady:
		return "the driver waits for its fabric manager: start the service nvidia-fabricmanager, or restart it after an update"
	case cuda.CompatNotSupported:
		return "a compatibility library of CUDA stands before the driver's, and this GPU does not take it: remove cuda-compat from the library path"
	case cuda.OutOfMemory:
		return "the GPU, or this machine, has no memory left for a context"
	case cuda.Unknown:
		return "the driver does not answer, as after a suspend: load its module anew (rmmod nvidia_uvm; modprobe nvidia_uvm) or restart the machine"
	case cuda.SystemDriverMismatch:
		return "the driver's library and kernel module are of different versions: restart the machine after the driver's update"
	}
	return why
}

// ToSimulator makes a simulated driver answer from now on. Contexts of what
// answered before are of no use any more.
func ToSimulator(d *simdriver.Driver) {
	mu.Lock()
	defer mu.Unlock()
	library = false
	simulate = newSimulated(d)
	C.fluxion_bind_simulated()
}

// ToNobody makes every call fail, as when there is no driver.
func ToNobody() {
	mu.Lock()
	defer mu.Unlock()
	library, simulate = false, nil
	C.fluxion_unbind(C.FLUXION_NOT_INITIALIZED)
}

// Simulator is the simulated driver if it answers.
func Simulator() *simdriver.Driver {
	mu.Lock()
	defer mu.Unlock()
	if simulate == nil {
		return nil
	}
	return simulate.driver
}

// SimulatedStream is the stream of the simulated driver that a handle names; nil: none does.
func SimulatedStream(handle unsafe.Pointer) *simdriver.Stream {
	mu.Lock()
	s := simulate
	mu.Unlock()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stream, _ := s.objects[uint64(uintptr(handle))].(*simdriver.Stream)
	return stream
}

// Detail says more about the last call that failed, where more is known.
func Detail(r cuda.Result) string {
	if d := Simulator(); d != nil {
		return d.Detail()
	}
	switch r {
	case C.FLUXION_SYMBOL_NOT_FOUND, cuda.UnsupportedPTXVersion:
		return cuda.TooOld
	}
	return ""
}

// names are the functions by index.
var names = func() []string {
	n := int(C.fluxion_functions)
	all := make([]string, n)
	for i, name := range unsafe.Slice((**C.char)(unsafe.Pointer(&C.fluxion_names)), n) {
		all[i] = C.GoString(name)
	}
	return all
}()

// base is the name of a function without its version.
func base(name string) string {
	if i := strings.LastIndex(name, "_v"); i > 0 {
		return name[:i]
	}
	return name
}

//export fluxionSimulate
func fluxionSimulate(index C.int, thread C.uint64_t, words *C.uint64_t) C.int {
	mu.Lock()
	s := simulate
	mu.Unlock()
	if s == nil {
		return C.FLUXION_NOT_INITIALIZED
	}
	name := names[index]
	if answers[name] == nil {
		name = base(name)
	}
	return C.int(s.serve(name, uint64(thread), unsafe.Pointer(words)))
}

// String tells what answers.
func String() string {
	mu.Lock()
	defer mu.Unlock()
	switch {
	case library:
		return Library
	case simulate != nil:
		return "the simulated driver"
	}
	return fmt.Sprintf("nobody (%s is not bound)", Library)
}
