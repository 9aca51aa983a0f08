//go:build gpu

package bind

import (
	"sync"
	"unsafe"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
)

// simulated gives the simulated driver, which is Go, the face of the C API:
// handles in the place of objects, and a current context for each thread.
type simulated struct {
	driver *simdriver.Driver

	mu      sync.Mutex
	next    uint64
	objects map[uint64]any // by handle
	handles map[any]uint64
	current map[uint64][]*simdriver.Context // by thread; the last is current
	primary primary
}

// primary is the context that all who do not make their own share.
type primary struct {
	context *simdriver.Context
	flags   uint
	users   int
}

// Handles look like pointers into memory that is nobody's.
const (
	firstHandle  = 0x5100_0000_0000
	handleStride = 64
)

func newSimulated(d *simdriver.Driver) *simulated {
	return &simulated{
		driver: d, next: firstHandle,
		objects: map[uint64]any{}, handles: map[any]uint64{}, current: map[uint64][]*simdriver.Context{},
	}
}

// serve answers one call. Calls are served one at a time, whoever makes them.
func (s *simulated) serve(name string, thread uint64, words unsafe.Pointer) cuda.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := answers[name]
	if answer == nil {
		return s.driver.Unsupported(name)
	}
	s.driver.SetThread(thread)
	return answer(arguments{s, thread, words})
}

// handle names an object.
func (s *simulated) handle(object any) uint64 {
	if h, known := s.handles[object]; known {
		return h
	}
	h := s.next
	s.next += handleStride
	s.objects[h], s.handles[object] = object, h
	return h
}

// forget drops a handle.
func (s *simulated) forget(object any) {
	delete(s.objects, s.handles[object])
	delete(s.handles, object)
}

// arguments are those of a call, 64 bits each, in the caller's memory.
type arguments struct {
	*simulated
	thread uint64
	words  unsafe.Pointer
}

func (a arguments) word(i int) uint64 { return *(*uint64)(unsafe.Add(a.words, 8*i)) }

func (a arguments) int(i int) int { return int(int32(a.word(i))) }

func (a arguments) uint(i int) uint { return uint(uint32(a.word(i))) }

func (a arguments) size(i int) int { return int(a.word(i)) }

func (a arguments) address(i int) cuda.Address { return cuda.Address(a.word(i)) }

// pointer is an argument that points to memory of the host.
func (a arguments) pointer(i int) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Add(a.words, 8*i)) }

// bytes is n bytes of the host's memory at a pointer.
func (a arguments) bytes(i, n int) []byte { return unsafe.Slice((*byte)(a.pointer(i)), n) }

// put stores a value where an argument points to, if it does.
func put[T any](a arguments, i int, v T) {
	if p := (*T)(a.pointer(i)); p != nil {
		*p = v
	}
}

// putHandle stores the handle of a new object.
func putHandle[T comparable](a arguments, i int, object T, r cuda.Result) cuda.Result {
	if r == cuda.Success {
		put(a, i, a.handle(object))
	}
	return r
}

// object finds what a handle names.
func object[T any](a arguments, i int, f func(T) cuda.Result) cuda.Result {
	o, ok := a.objects[a.word(i)].(T)
	if !ok {
		return cuda.InvalidHandle
	}
	return f(o)
}

// drop is for calls that destroy what a handle names.
func drop[T any](a arguments, i int, f func(T) cuda.Result) cuda.Result {
	return object(a, i, func(o T) cuda.Result {
		r := f(o)
		if r == cuda.Success {
			a.forget(o)
		}
		return r
	})
}

// context is for calls that work in the current context.
func (a arguments) context(f func(*simdriver.Context) cuda.Result) cuda.Result {
	stack := a.current[a.thread]
	if len(stack) == 0 || stack[len(stack)-1] == nil {
		return cuda.InvalidContext
	}
	return f(stack[len(stack)-1])
}

// The handles of CUDA's default stream: of the process, and that of each thread,
// which is used by programs compiled for it, and ours is not.
const (
	noStream     = 0
	legacyStream = 1
)

// stream finds a stream, the default one included.
func (a arguments) stream(i int, f func(*simdriver.Stream) cuda.Result) cuda.Result {
	if h := a.word(i); h == noStream || h == legacyStream {
		return a.context(func(c *simdriver.Context) cuda.Result { return f(c.Default()) })
	}
	return object(a, i, f)
}
