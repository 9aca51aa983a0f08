//go:build gpu

package driver

import (
	"runtime"
	"unsafe"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/driver/bind"
	"fluxion/kernels/cuda/simdriver"

	"gorgonia.org/cu"
)

// stream is a queue that the default stream does not wait for.
type stream struct {
	device *device
	stream cu.Stream
}

// Handle is the stream as libraries beside the driver take it.
func (s *stream) Handle() unsafe.Pointer { return s.handle() }

// Simulated is the stream of the simulated driver, if that answers.
func (s *stream) Simulated() *simdriver.Stream { return bind.SimulatedStream(s.handle()) }

func (s *stream) Launch(call cuda.Call) error {
	f, err := s.device.function(&call)
	if err == nil {
		call.Args, err = call.Mapped(s.device.EncodeTensorMap)
	}
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	r := s.launch(f.function, &call)
	runtime.UnlockOSThread()
	if r != cuda.Success {
		return errorOf("cuLaunchKernel", r, "%s", call)
	}
	return nil
}

func (s *stream) CopyIn(to cuda.Address, from []byte) error {
	r := s.device.do(func() error {
		return cu.MemcpyHtoDAsync(cu.DevicePtr(to), unsafe.Pointer(unsafe.SliceData(from)), int64(len(from)), s.stream)
	})
	return errorOf("cuMemcpyHtoDAsync", r, "%d bytes", len(from))
}

func (s *stream) CopyOut(to []byte, from cuda.Address) error {
	r := s.device.do(func() error {
		return cu.MemcpyDtoHAsync(unsafe.Pointer(unsafe.SliceData(to)), cu.DevicePtr(from), int64(len(to)), s.stream)
	})
	return errorOf("cuMemcpyDtoHAsync", r, "%d bytes", len(to))
}

func (s *stream) Copy(to, from cuda.Address, bytes int) error {
	r := s.device.do(func() error {
		return cu.MemcpyDtoDAsync(cu.DevicePtr(to), cu.DevicePtr(from), int64(bytes), s.stream)
	})
	return errorOf("cuMemcpyDtoDAsync", r, "%d bytes", bytes)
}

func (s *stream) Fill(a cuda.Address, value byte, bytes int) error {
	r := s.device.do(func() error { return cu.MemsetD8Async(cu.DevicePtr(a), value, int64(bytes), s.stream) })
	return errorOf("cuMemsetD8Async", r, "%d bytes", bytes)
}

func (s *stream) Record(e cuda.Event) error {
	r := s.device.do(func() error { return e.(*event).event.Record(s.stream) })
	return errorOf("cuEventRecord", r, "")
}

func (s *stream) Wait(e cuda.Event) error {
	r := s.device.do(func() error { return s.stream.Wait(e.(*event).event, 0) })
	return errorOf("cuStreamWaitEvent", r, "")
}

func (s *stream) Synchronize() error {
	return errorOf("cuStreamSynchronize", s.device.do(s.stream.Synchronize), "")
}

func (s *stream) Close() error {
	return errorOf("cuStreamDestroy", s.device.giveBack(s), "")
}

// Capture stays on one thread, as the driver wants it. A capture that went wrong
// is ended, so that the stream can be used again.
func (s *stream) Capture(record func() error) (cuda.Graph, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if r := s.device.direct(s.beginCapture); r != cuda.Success {
		return nil, errorOf("cuStreamBeginCapture", r, "")
	}
	failed := record()
	captured, r := s.endCapture()
	if failed != nil {
		if r == cuda.Success {
			_ = destroyCaptured(captured)
		}
		return nil, failed
	}
	if r != cuda.Success {
		return nil, errorOf("cuStreamEndCapture", r, "")
	}
	g := &graph{device: s.device}
	g.exec, r = instantiate(captured)
	err := errorOf("cuGraphInstantiate", r, "")
	if r := destroyCaptured(captured); err == nil && r != cuda.Success {
		err = errorOf("cuGraphDestroy", r, "")
		_ = g.destroy()
	}
	if err != nil {
		return nil, err
	}
	s.device.keep(g, g.destroy)
	return g, nil
}

// graph is captured work, ready to be launched.
type graph struct {
	device *device
	exec   unsafe.Pointer
}

func (g *graph) Launch(s cuda.Stream) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return errorOf("cuGraphLaunch", g.launch(s.(*stream)), "")
}

func (g *graph) Close() error {
	return errorOf("cuGraphExecDestroy", g.device.giveBack(g), "")
}
