package cudatest

import (
	"time"

	"fluxion/kernels/cuda"
)

// Idle is a driver whose one device does nothing, at once: what is left is what the host does.
type Idle struct{}

// Devices is the one that there is.
func (Idle) Devices() ([]cuda.Properties, error) { return []cuda.Properties{idleProperties}, nil }

// Open opens it.
func (Idle) Open(int, cuda.Waiting) (cuda.Device, error) { return &idleDevice{next: 1 << 20}, nil }

var idleProperties = cuda.Properties{Name: "a device that does nothing", Simulated: true, Major: 8, Memory: 1 << 40, DriverVersion: cuda.OldestDriver}

type idleDevice struct{ next cuda.Address }

func (*idleDevice) Properties() cuda.Properties { return idleProperties }

func (d *idleDevice) Alloc(bytes int) (cuda.Address, error) {
	a := d.next
	d.next += cuda.Address(bytes+255) &^ 255
	return a, nil
}

func (*idleDevice) Free(cuda.Address) error                               { return nil }
func (*idleDevice) AllocHost(bytes int) ([]byte, error)                   { return make([]byte, bytes), nil }
func (*idleDevice) FreeHost([]byte) error                                 { return nil }
func (*idleDevice) MemoryInfo() (free, total int64, err error)            { return 1 << 40, 1 << 40, nil }
func (*idleDevice) CopyIn(cuda.Address, []byte) error                     { return nil }
func (*idleDevice) CopyOut([]byte, cuda.Address) error                    { return nil }
func (*idleDevice) Prepare(...cuda.Call) error                            { return nil }
func (*idleDevice) Refused() error                                        { return nil }
func (*idleDevice) EncodeTensorMap(cuda.TensorMap) (m [128]byte, _ error) { return m, nil }
func (*idleDevice) NewStream() (cuda.Stream, error)                       { return idleStream{}, nil }
func (*idleDevice) NewEvent() (cuda.Event, error)                         { return idleEvent{}, nil }
func (*idleDevice) Synchronize() error                                    { return nil }
func (*idleDevice) Close() error                                          { return nil }
func (*idleDevice) Within(f func()) error {
	f()
	return nil
}

type idleStream struct{}

func (idleStream) Launch(cuda.Call) error                          { return nil }
func (idleStream) CopyIn(cuda.Address, []byte) error               { return nil }
func (idleStream) CopyOut([]byte, cuda.Address) error              { return nil }
func (idleStream) Copy(_, _ cuda.Address, _ int) error             { return nil }
func (idleStream) Fill(cuda.Address, byte, int) error              { return nil }
func (idleStream) Record(cuda.Event) error                         { return nil }
func (idleStream) Wait(cuda.Event) error                           { return nil }
func (idleStream) Capture(record func() error) (cuda.Graph, error) { return idleGraph{}, record() }
func (idleStream) Synchronize() error                              { return nil }
func (idleStream) Close() error                                    { return nil }

type idleEvent struct{}

func (idleEvent) Synchronize() error                      { return nil }
func (idleEvent) Since(cuda.Event) (time.Duration, error) { return 0, nil }
func (idleEvent) Close() error                            { return nil }

type idleGraph struct{}

func (idleGraph) Launch(cuda.Stream) error { return nil }
func (idleGraph) Close() error             { return nil }
