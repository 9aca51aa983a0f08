package simdriver

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"fluxion/kernels/cuda"
)

// Direct is the driver as the engine takes it, without C between: what a program
// built without the tag gpu uses. Package driver offers the same over the
// driver's C functions.
func (d *Driver) Direct() cuda.Driver { return direct{d} }

type direct struct{ driver *Driver }

// errorOf makes an error of a result.
func (d *Driver) errorOf(call string, r cuda.Result, what string, args ...any) error {
	if r == cuda.Success {
		return nil
	}
	return &cuda.Error{Call: call, Result: r, What: fmt.Sprintf(what, args...), Detail: d.Detail()}
}

func (d direct) Devices() ([]cuda.Properties, error) {
	n, r := d.driver.DeviceCount()
	if r != cuda.Success {
		return nil, d.driver.errorOf("cuDeviceGetCount", r, "")
	}
	var all []cuda.Properties
	for i := range n {
		p, err := d.driver.properties(i)
		p.Problem = err
		all = append(all, p)
	}
	return all, nil
}

func (d *Driver) properties(ordinal int) (p cuda.Properties, err error) {
	var r cuda.Result
	what := fmt.Sprintf("device %d", ordinal)
	p.Ordinal, p.Simulated = ordinal, true
	if r = d.DeviceGet(ordinal); r != cuda.Success {
		return p, d.errorOf("cuDeviceGet", r, "%s", what)
	}
	if p.Name, r = d.DeviceName(ordinal); r != cuda.Success {
		return p, d.errorOf("cuDeviceGetName", r, "%s", what)
	}
	if p.Memory, r = d.DeviceMemory(ordinal); r != cuda.Success {
		return p, d.errorOf("cuDeviceTotalMem", r, "%s", what)
	}
	if p.DriverVersion, r = d.Version(); r != cuda.Success {
		return p, d.errorOf("cuDriverGetVersion", r, "")
	}
	if p.BusID, r = d.DeviceBusID(ordinal); r != cuda.Success {
		return p, d.errorOf("cuDeviceGetPCIBusId", r, "%s", what)
	}
	own, r := d.DeviceUUID(ordinal)
	if r != cuda.Success {
		return p, d.errorOf("cuDeviceGetUuid", r, "%s", what)
	}
	whole, r := d.WholeUUID(ordinal)
	if r != cuda.Success {
		return p, d.errorOf("cuDeviceGetUuid", r, "%s", what)
	}
	p.Identify(own, whole)
	err = cuda.ReadAttributes(&p, func(number int) (int, error) {
		v, r := d.DeviceAttribute(number, ordinal)
		return v, d.errorOf("cuDeviceGetAttribute", r, "%s, attribute %d", what, number)
	})
	return p, err
}

func (d direct) Open(ordinal int, _ cuda.Waiting) (cuda.Device, error) {
	p, err := d.driver.properties(ordinal)
	if err != nil {
		return nil, err
	}
	if err := p.Usable(); err != nil {
		return nil, err
	}
	c, r := d.driver.CtxCreate(0, ordinal)
	if r != cuda.Success {
		return nil, d.driver.errorOf("cuCtxCreate", r, "device %d", ordinal)
	}
	return &device{context: c, properties: p, modules: map[*cuda.Module]*Module{}, graphs: map[*graph]bool{}}, nil
}

// device is a context and the modules loaded into it.
type device struct {
	context    *Context
	properties cuda.Properties

	mu      sync.Mutex
	modules map[*cuda.Module]*Module
	graphs  map[*graph]bool
}

func (d *device) errorOf(call string, r cuda.Result, what string, args ...any) error {
	return d.context.driver.errorOf(call, r, what, args...)
}

// Refused is nothing: no machine code is loaded here.
func (*device) Refused() error { return nil }

func (d *device) Properties() cuda.Properties { return d.properties }

func (d *device) Alloc(bytes int) (cuda.Address, error) {
	a, r := d.context.Alloc(bytes)
	return a, d.errorOf("cuMemAlloc", r, "%d bytes", bytes)
}

func (d *device) Free(a cuda.Address) error {
	return d.errorOf("cuMemFree", d.context.Free(a), "%#x", uint64(a))
}

func (d *device) AllocHost(bytes int) ([]byte, error) {
	b, r := d.context.HostAlloc(bytes)
	return b, d.errorOf("cuMemHostAlloc", r, "%d bytes", bytes)
}

func (d *device) FreeHost(b []byte) error {
	return d.errorOf("cuMemFreeHost", d.context.HostFree(&b[0]), "%d bytes", len(b))
}

func (d *device) MemoryInfo() (free, total int64, err error) {
	free, total, r := d.context.MemInfo()
	return free, total, d.errorOf("cuMemGetInfo", r, "")
}

func (d *device) CopyIn(to cuda.Address, from []byte) error {
	if r := d.context.MemcpyHtoD(to, from); r != cuda.Success {
		return d.errorOf("cuMemcpyHtoD", r, "%d bytes", len(from))
	}
	// The driver may return before the bytes are there.
	return d.errorOf("cuStreamSynchronize", d.context.Default().Synchronize(), "the default stream")
}

func (d *device) CopyOut(to []byte, from cuda.Address) error {
	return d.errorOf("cuMemcpyDtoH", d.context.MemcpyDtoH(to, from), "%d bytes", len(to))
}

func (d *device) Prepare(calls ...cuda.Call) error {
	for _, call := range calls {
		if _, err := d.function(call); err != nil {
			return err
		}
	}
	return nil
}

// function finds the kernel of a call, loads its module and raises its limit where needed.
func (d *device) function(call cuda.Call) (*Function, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.modules[call.Module]
	if m == nil {
		var r cuda.Result
		if m, _, r = d.context.ModuleLoad(call.Module.PTX()); r != cuda.Success {
			return nil, d.errorOf("cuModuleLoadDataEx", r, "module %s", call.Module.Name)
		}
		m.module.Name = call.Module.Name
		d.modules[call.Module] = m
	}
	f, r := m.Function(call.Function)
	if r != cuda.Success {
		return nil, d.errorOf("cuModuleGetFunction", r, "%s", call.Name())
	}
	if call.Shared > f.dynamic {
		r = f.SetAttribute(FunctionMaxDynamicShared, call.Shared)
	}
	return f, d.errorOf("cuFuncSetAttribute", r, "%s, %d bytes of dynamic shared memory", call.Name(), call.Shared)
}

func (d *device) EncodeTensorMap(t cuda.TensorMap) ([128]byte, error) {
	image, r := d.context.driver.EncodeTensorMap(t)
	return image, d.errorOf("cuTensorMapEncodeTiled", r, "%+v", t)
}

func (d *device) NewStream() (cuda.Stream, error) {
	s, r := d.context.StreamCreate(StreamNonBlocking, 0)
	if r != cuda.Success {
		return nil, d.errorOf("cuStreamCreate", r, "")
	}
	return &stream{d, s}, nil
}

func (d *device) NewEvent() (cuda.Event, error) {
	e, r := d.context.EventCreate(0)
	if r != cuda.Success {
		return nil, d.errorOf("cuEventCreate", r, "")
	}
	return &event{d, e}, nil
}

func (*device) Within(f func()) error {
	f()
	return nil
}

func (d *device) Synchronize() error {
	return d.errorOf("cuCtxSynchronize", d.context.Synchronize(), "")
}

func (d *device) Close() error {
	var failed []error
	for _, g := range slices.Collect(maps.Keys(d.graphs)) { // which the context does not own
		failed = append(failed, g.Close())
	}
	failed = append(failed, d.errorOf("cuCtxDestroy", d.context.Destroy(), ""))
	return cuda.Closing(failed...)
}

type stream struct {
	device *device
	stream *Stream
}

// Simulated is the stream itself, for libraries that work beside the driver.
func (s *stream) Simulated() *Stream { return s.stream }

func (s *stream) Launch(call cuda.Call) error {
	f, err := s.device.function(call)
	if err == nil {
		call.Args, err = call.Mapped(s.device.EncodeTensorMap)
	}
	if err != nil {
		return err
	}
	r := s.stream.Launch(f, call.Grid, call.Block, call.Shared, call.Args)
	return s.device.errorOf("cuLaunchKernel", r, "%s", call)
}

func (s *stream) CopyIn(to cuda.Address, from []byte) error {
	return s.device.errorOf("cuMemcpyHtoDAsync", s.stream.CopyIn(to, from), "%d bytes", len(from))
}

func (s *stream) CopyOut(to []byte, from cuda.Address) error {
	return s.device.errorOf("cuMemcpyDtoHAsync", s.stream.CopyOut(to, from), "%d bytes", len(to))
}

func (s *stream) Copy(to, from cuda.Address, bytes int) error {
	return s.device.errorOf("cuMemcpyDtoDAsync", s.stream.Copy(to, from, bytes), "%d bytes", bytes)
}

func (s *stream) Fill(a cuda.Address, value byte, bytes int) error {
	return s.device.errorOf("cuMemsetD8Async", s.stream.Fill(a, []byte{value}, bytes), "%d bytes", bytes)
}

func (s *stream) Record(e cuda.Event) error {
	return s.device.errorOf("cuEventRecord", e.(*event).event.Record(s.stream), "")
}

func (s *stream) Wait(e cuda.Event) error {
	return s.device.errorOf("cuStreamWaitEvent", s.stream.Wait(e.(*event).event), "")
}

func (s *stream) Capture(record func() error) (cuda.Graph, error) {
	if r := s.stream.BeginCapture(CaptureThreadLocal); r != cuda.Success {
		return nil, s.device.errorOf("cuStreamBeginCapture", r, "")
	}
	failed := record()
	g, r := s.stream.EndCapture()
	switch {
	case failed != nil:
		if r == cuda.Success {
			_ = g.Destroy()
		}
		return nil, failed
	case r != cuda.Success:
		return nil, s.device.errorOf("cuStreamEndCapture", r, "")
	}
	x, r := g.Instantiate()
	err := s.device.errorOf("cuGraphInstantiate", r, "%d nodes", g.Nodes())
	if r := g.Destroy(); err == nil && r != cuda.Success {
		_ = x.Destroy()
		err = s.device.errorOf("cuGraphDestroy", r, "")
	}
	if err != nil {
		return nil, err
	}
	captured := &graph{s.device, x}
	s.device.mu.Lock()
	s.device.graphs[captured] = true
	s.device.mu.Unlock()
	return captured, nil
}

func (s *stream) Synchronize() error {
	return s.device.errorOf("cuStreamSynchronize", s.stream.Synchronize(), "")
}

func (s *stream) Close() error {
	return s.device.errorOf("cuStreamDestroy", s.stream.Destroy(), "")
}

type event struct {
	device *device
	event  *Event
}

func (e *event) Synchronize() error {
	return e.device.errorOf("cuEventSynchronize", e.event.Synchronize(), "")
}

func (e *event) Since(start cuda.Event) (time.Duration, error) {
	t, r := start.(*event).event.Elapsed(e.event)
	return t, e.device.errorOf("cuEventElapsedTime", r, "")
}

func (e *event) Close() error {
	return e.device.errorOf("cuEventDestroy", e.event.Destroy(), "")
}

type graph struct {
	device *device
	exec   *Exec
}

func (g *graph) Launch(s cuda.Stream) error {
	return g.device.errorOf("cuGraphLaunch", g.exec.Launch(s.(*stream).stream), "")
}

func (g *graph) Close() error {
	g.device.mu.Lock()
	delete(g.device.graphs, g)
	g.device.mu.Unlock()
	return g.device.errorOf("cuGraphExecDestroy", g.exec.Destroy(), "")
}
