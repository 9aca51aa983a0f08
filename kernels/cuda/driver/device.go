//go:build gpu

package driver

import (
	"maps"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"fluxion/kernels/cuda"

	"gorgonia.org/cu"
)

// device is a context that others may use, too: so it knows what it made there. CUDA keeps the current context with the thread; so each
// method ties its goroutine to its thread and makes the context current there,
// which costs nothing when it is. Calls go straight to the driver: the channels
// of cu.Ctx, which lead to one thread, would take longer than most kernels.
type device struct {
	number     uint64
	primary    cu.Device
	context    cu.CUContext
	properties cuda.Properties

	mu      sync.Mutex
	refused error // why machine code of a module was not taken
	modules map[*cuda.Module]*module
	made    map[any]func() cuda.Result // what is to be given back, and how
}

// keep notes what was made, until it is given back.
func (d *device) keep(what any, giveBack func() cuda.Result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made[what] = giveBack
}

// giveBack what was made.
func (d *device) giveBack(what any) cuda.Result {
	d.mu.Lock()
	f := d.made[what]
	delete(d.made, what)
	d.mu.Unlock()
	if f == nil {
		return cuda.InvalidValue
	}
	return d.direct(f)
}

// do makes calls of cu in the context.
func (d *device) do(f func() error) cuda.Result {
	return d.direct(func() cuda.Result { return resultOf(f()) })
}

// direct makes calls of our own in the context.
func (d *device) direct(f func() cuda.Result) cuda.Result {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if r := d.makeCurrent(); r != cuda.Success {
		return r
	}
	return f()
}

func (d *device) Properties() cuda.Properties { return d.properties }

func (d *device) Alloc(bytes int) (a cuda.Address, err error) {
	r := d.do(func() error {
		p, err := cu.MemAlloc(int64(bytes))
		a = cuda.Address(p)
		return err
	})
	if r == cuda.Success {
		d.keep(a, func() cuda.Result { return resultOf(cu.MemFree(cu.DevicePtr(a))) })
	}
	return a, errorOf("cuMemAlloc", r, "%d bytes", bytes)
}

func (d *device) Free(a cuda.Address) error {
	return errorOf("cuMemFree", d.giveBack(a), "%#x", uint64(a))
}

func (d *device) AllocHost(bytes int) (b []byte, err error) {
	r := d.direct(func() (r cuda.Result) {
		b, r = hostAlloc(bytes)
		return r
	})
	if r == cuda.Success {
		p := unsafe.Pointer(unsafe.SliceData(b))
		d.keep(p, func() cuda.Result { return resultOf(cu.MemFreeHost(p)) })
	}
	return b, errorOf("cuMemHostAlloc", r, "%d bytes", bytes)
}

func (d *device) FreeHost(b []byte) error {
	return errorOf("cuMemFreeHost", d.giveBack(unsafe.Pointer(unsafe.SliceData(b))), "%d bytes", len(b))
}

func (d *device) MemoryInfo() (free, total int64, err error) {
	r := d.do(func() (err error) {
		free, total, err = cu.MemInfo()
		return err
	})
	return free, total, errorOf("cuMemGetInfo", r, "")
}

func (d *device) CopyIn(to cuda.Address, from []byte) error {
	r := d.do(func() error {
		return cu.MemcpyHtoD(cu.DevicePtr(to), unsafe.Pointer(unsafe.SliceData(from)), int64(len(from)))
	})
	if r != cuda.Success {
		return errorOf("cuMemcpyHtoD", r, "%d bytes", len(from))
	}
	// The driver may return before the bytes are there.
	r = d.do(func() error { return cu.NoStream.Synchronize() })
	return errorOf("cuStreamSynchronize", r, "the default stream")
}

func (d *device) CopyOut(to []byte, from cuda.Address) error {
	r := d.do(func() error {
		return cu.MemcpyDtoH(unsafe.Pointer(unsafe.SliceData(to)), cu.DevicePtr(from), int64(len(to)))
	})
	return errorOf("cuMemcpyDtoH", r, "%d bytes", len(to))
}

func (d *device) Prepare(calls ...cuda.Call) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.loadAll(calls); err != nil {
		return err
	}
	for i := range calls {
		if _, err := d.prepared(&calls[i]); err != nil {
			return err
		}
	}
	return nil
}

// function finds the kernel of a call, loads its module and raises its limit where needed.
func (d *device) function(call *cuda.Call) (*function, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.prepared(call)
}

// prepared is function with the lock held.
func (d *device) prepared(call *cuda.Call) (*function, error) {
	if err := d.loadAll([]cuda.Call{*call}); err != nil {
		return nil, err
	}
	m := d.modules[call.Module]
	f := m.functions[call.Function]
	if f == nil {
		f = &function{dynamic: defaultShared}
		r := d.do(func() (err error) {
			f.function, err = m.module.Function(call.Function)
			return err
		})
		if r != cuda.Success {
			return nil, errorOf("cuModuleGetFunction", r, "%s", call.Name())
		}
		// Static shared memory counts, too.
		r = d.do(func() error {
			static, err := f.function.Attribute(cu.SharedSizeBytes)
			f.dynamic = max(0, f.dynamic-static)
			return err
		})
		if r != cuda.Success {
			return nil, errorOf("cuFuncGetAttribute", r, "%s, shared memory", call.Name())
		}
		m.functions[call.Function] = f
	}
	if call.Shared > f.dynamic {
		r := d.direct(func() cuda.Result { return setDynamicShared(f.function, call.Shared) })
		if r != cuda.Success {
			return nil, errorOf("cuFuncSetAttribute", r, "%s, %d bytes of dynamic shared memory", call.Name(), call.Shared)
		}
		f.dynamic = call.Shared
	}
	return f, nil
}

// defaultShared is the shared memory of a block that was not given more.
const defaultShared = 48 << 10

func (d *device) EncodeTensorMap(t cuda.TensorMap) (image [128]byte, err error) {
	rank := len(t.Sizes)
	if rank < 1 || len(t.Strides) != rank-1 || len(t.Box) != rank || len(t.ElementStrides) != rank {
		return image, errorOf("cuTensorMapEncodeTiled", cuda.InvalidValue, "%+v", t)
	}
	r := d.direct(func() (r cuda.Result) {
		image, r = encodeTensorMap(&t)
		return r
	})
	return image, errorOf("cuTensorMapEncodeTiled", r, "%+v", t)
}

func (d *device) NewStream() (cuda.Stream, error) {
	s := &stream{device: d}
	r := d.do(func() (err error) {
		s.stream, err = cu.MakeStream(cu.NonBlocking)
		return err
	})
	if r != cuda.Success {
		return nil, errorOf("cuStreamCreate", r, "")
	}
	d.keep(s, func() cuda.Result { return resultOf(s.stream.Destroy()) })
	return s, nil
}

func (d *device) NewEvent() (cuda.Event, error) {
	e := &event{device: d}
	r := d.do(func() (err error) {
		e.event, err = cu.MakeEvent(cu.DefaultEvent)
		return err
	})
	if r != cuda.Success {
		return nil, errorOf("cuEventCreate", r, "")
	}
	d.keep(e, func() cuda.Result { return resultOf(cu.DestroyEvent(&e.event)) })
	return e, nil
}

func (d *device) Within(f func()) error {
	return errorOf("cuCtxSetCurrent", d.direct(func() cuda.Result {
		f()
		return cuda.Success
	}), "")
}

func (d *device) Synchronize() error {
	return errorOf("cuCtxSynchronize", d.do(cu.Synchronize), "")
}

// Close gives back what was made here, and then the context.
func (d *device) Close() error {
	var failed []error
	for what := range maps.Clone(d.made) {
		failed = append(failed, errorOf("cuDevicePrimaryCtxRelease", d.giveBack(what), "what was left"))
	}
	failed = append(failed, errorOf("cuDevicePrimaryCtxRelease", resultOf(d.primary.ReleasePrimaryCtx()), ""))
	return cuda.Closing(failed...)
}

// event is a point in a stream.
type event struct {
	device *device
	event  cu.Event
}

func (e *event) Synchronize() error {
	return errorOf("cuEventSynchronize", e.device.do(e.event.Synchronize), "")
}

func (e *event) Since(start cuda.Event) (t time.Duration, err error) {
	r := e.device.do(func() error {
		milliseconds, err := start.(*event).event.Elapsed(e.event)
		t = time.Duration(milliseconds * float64(time.Millisecond))
		return err
	})
	return t, errorOf("cuEventElapsedTime", r, "")
}

func (e *event) Close() error {
	return errorOf("cuEventDestroy", e.device.giveBack(e), "")
}
