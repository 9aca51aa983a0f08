// Package cudatest is the conformance suite of cuda.Driver: what every driver has
// to do, whether it is NVIDIA's, the simulated one behind the driver's C functions,
// or the simulated one in plain Go.
package cudatest

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"fluxion/kernels/cuda"
)

//go:embed cudatest.ptx
var ptx string

// Module has the kernels axpy, reverse and count.
var Module = cuda.NewModule("cudatest", ptx)

// Broken is a module that does not compile.
var Broken = cuda.NewModule("broken", ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry broken() { frobnicate.u32 %r1; }\n")

// Axpy is y += a·x over n floats.
func Axpy(y, x cuda.Address, a float32, n int) cuda.Call {
	return cuda.Call{
		Module: Module, Function: "axpy", Grid: [3]int{(n + 127) / 128, 1, 1}, Block: [3]int{128, 1, 1},
		Args: cuda.Args(y, x, a, uint32(n)),
	}
}

// Reverse is y[i] = x[n−1−i], with so many bytes of dynamic shared memory.
func Reverse(y, x cuda.Address, n, shared int) cuda.Call {
	return cuda.Call{
		Module: Module, Function: "reverse", Grid: [3]int{1, 1, 1}, Block: [3]int{n, 1, 1},
		Shared: shared, Args: cuda.Args(y, x),
	}
}

// Count adds 1 to an uint32.
func Count(c cuda.Address) cuda.Call {
	return cuda.Call{
		Module: Module, Function: "count", Grid: [3]int{1, 1, 1}, Block: [3]int{1, 1, 1}, Args: cuda.Args(c),
	}
}

// Floats are the bytes of numbers.
func Floats(values ...float32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// Run checks a driver. Open returns it in a fresh state.
func Run(t *testing.T, open func(t *testing.T) cuda.Driver) {
	for name, test := range map[string]func(*testing.T, *bench){
		"properties":  properties,
		"memory":      memory,
		"launch":      launch,
		"shared":      shared,
		"events":      events,
		"graph":       graph,
		"capture":     captureErrors,
		"compile":     compileErrors,
		"arguments":   argumentErrors,
		"goroutines":  goroutines,
		"tensor map":  tensorMap,
		"two devices": twoContexts,
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{T: t, driver: open(t)}
			b.device = must(b.driver.Open(0, cuda.WaitAsDriver))(t)
			b.stream = must(b.device.NewStream())(t)
			test(t, b)
			b.check(b.stream.Close())
			b.check(b.device.Close())
		})
	}
}

// bench is an open device with a stream.
type bench struct {
	*testing.T
	driver cuda.Driver
	device cuda.Device
	stream cuda.Stream
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (b *bench) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// wants checks that an error is of this result and says these things.
func (b *bench) wants(err error, result cuda.Result, says ...string) {
	b.Helper()
	var e *cuda.Error
	if !errors.As(err, &e) || e.Result != result {
		b.Fatalf("error is %v, want %v", err, result)
	}
	for _, s := range append(says, result.Error()) {
		if !strings.Contains(err.Error(), s) {
			b.Errorf("error %q does not say %q", err, s)
		}
	}
}

// put allocates device memory with these bytes.
func (b *bench) put(bytes []byte) cuda.Address {
	b.Helper()
	a := must(b.device.Alloc(len(bytes)))(b.T)
	b.check(b.device.CopyIn(a, bytes))
	return a
}

// get waits for the stream and reads device memory.
func (b *bench) get(a cuda.Address, n int) []byte {
	b.Helper()
	b.check(b.stream.Synchronize())
	bytes := make([]byte, n)
	b.check(b.device.CopyOut(bytes, a))
	return bytes
}

func (b *bench) equal(got, want []byte) {
	b.Helper()
	if !slices.Equal(got, want) {
		b.Fatalf("got % x, want % x", got, want)
	}
}

func properties(t *testing.T, b *bench) {
	all := must(b.driver.Devices())(t)
	p := b.device.Properties()
	if len(all) == 0 || all[0] != p {
		t.Fatalf("listed %+v, opened %+v", all, p)
	}
	if p.Name == "" || p.Major < 8 || p.Memory <= 0 || p.Multiprocessors <= 0 || p.ClockHz <= 0 || p.Simulated && p.MemoryClockHz <= 0 || // 0 where memory is the host's
		p.BusBits <= 0 || p.L2 <= 0 || p.SharedPerBlock < 99<<10 || p.DriverVersion < cuda.OldestDriver || p.BusID == "" || !strings.Contains(p.UUID, "-") || p.Slice != strings.HasPrefix(p.UUID, "MIG-") {
		t.Errorf("properties %+v", p)
	}
	if p.Simulated != strings.Contains(p.Name, "simulator") {
		t.Errorf("simulated is %v, the name is %q", p.Simulated, p.Name)
	}
	_, err := b.driver.Open(len(all), cuda.WaitAsDriver)
	b.wants(err, cuda.InvalidDevice, fmt.Sprintf("device %d", len(all)))
}

func memory(t *testing.T, b *bench) {
	before, total := must2(b.device.MemoryInfo())(t)
	slack := int64(0)
	if !b.device.Properties().Simulated {
		slack = 64 << 20 // other processes, and the driver itself, use the device, too
	}
	host := must(b.device.AllocHost(1024))(t)
	back := must(b.device.AllocHost(1024))(t)
	for i := range host {
		host[i] = byte(i * 7)
	}
	x := must(b.device.Alloc(4096))(t)
	y := must(b.device.Alloc(1 << 22))(t)
	if x%256 != 0 || y%256 != 0 {
		t.Errorf("addresses %#x and %#x are not aligned", x, y)
	}
	if free, _ := must2(b.device.MemoryInfo())(t); free > before-(1<<22)+slack || total <= 0 {
		t.Errorf("%d of %d bytes are free after allocations, %d before", free, total, before)
	}
	b.check(b.stream.CopyIn(x+512, host))
	b.check(b.stream.Fill(x+512, 0xAB, 16))
	b.check(b.stream.Copy(y, x+512, 1024))
	b.check(b.stream.CopyOut(back, y))
	b.check(b.stream.Synchronize())
	for i := range 16 {
		host[i] = 0xAB
	}
	b.equal(back, host)
	b.equal(b.get(x+512, 1024), host)
	b.check(b.device.Free(x))
	b.check(b.device.Free(y))
	b.check(b.device.FreeHost(host))
	b.check(b.device.FreeHost(back))
	if free, _ := must2(b.device.MemoryInfo())(t); free < before-slack {
		t.Errorf("%d bytes are free in the end, %d at the start", free, before)
	}
	_, err := b.device.Alloc(int(total) + 1)
	b.wants(err, cuda.OutOfMemory, "cuMemAlloc", fmt.Sprint(total+1))
}

func must2[A, B any](a A, b B, err error) func(*testing.T) (A, B) {
	return func(t *testing.T) (A, B) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a, b
	}
}

func launch(t *testing.T, b *bench) {
	const n = 1000
	x, y, want := make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range x {
		x[i], y[i] = float32(i), float32(2*i)
		want[i] = 0.5*x[i] + y[i]
	}
	dx, dy := b.put(Floats(x...)), b.put(Floats(y...))
	b.check(b.device.Prepare(Axpy(dy, dx, 0.5, n)))
	b.check(b.stream.Launch(Axpy(dy, dx, 0.5, n)))
	b.equal(b.get(dy, 4*n), Floats(want...))
}

func shared(t *testing.T, b *bench) {
	x := b.put(Floats(1, 2, 3, 4))
	y := must(b.device.Alloc(16))(t)
	limit := b.device.Properties().SharedPerBlock
	for _, bytes := range []int{16, 48 << 10, 48<<10 + 16, limit} {
		b.check(b.stream.Launch(Reverse(y, x, 4, bytes)))
		b.equal(b.get(y, 16), Floats(4, 3, 2, 1))
	}
	b.wants(b.stream.Launch(Reverse(y, x, 4, limit+16)), cuda.InvalidValue, "cudatest.reverse", fmt.Sprint(limit+16))
}

func events(t *testing.T, b *bench) {
	other := must(b.device.NewStream())(t)
	start, half, end := must(b.device.NewEvent())(t), must(b.device.NewEvent())(t), must(b.device.NewEvent())(t)
	c := b.put(make([]byte, 8))
	b.check(b.stream.Record(start))
	for range 100 {
		b.check(b.stream.Launch(Count(c)))
	}
	b.check(b.stream.Record(half))
	b.check(other.Wait(half)) // without it, the copy might come first
	b.check(other.Copy(c+4, c, 4))
	b.check(other.Record(end))
	b.check(end.Synchronize())
	got := make([]byte, 8)
	b.check(b.device.CopyOut(got, c))
	b.equal(got, []byte{100, 0, 0, 0, 100, 0, 0, 0})
	first, whole := must(half.Since(start))(t), must(end.Since(start))(t)
	if first < 0 || whole < first {
		t.Errorf("%v to the first event, %v to the last", first, whole)
	}
	for _, e := range []cuda.Event{start, half, end} {
		b.check(e.Close())
	}
	b.check(other.Close())
}

func graph(t *testing.T, b *bench) {
	other := must(b.device.NewStream())(t)
	fork, join := must(b.device.NewEvent())(t), must(b.device.NewEvent())(t)
	c, x := b.put(make([]byte, 4)), b.put(Floats(1, 2))
	y := b.put(Floats(0, 0))
	out := must(b.device.AllocHost(4))(t)
	b.check(b.device.Prepare(Count(c), Axpy(y, x, 1, 2)))
	g := must(b.stream.Capture(func() error {
		return errors.Join(
			b.stream.Record(fork),
			other.Wait(fork),
			other.Launch(Axpy(y, x, 1, 2)),
			other.Record(join),
			b.stream.Launch(Count(c)),
			b.stream.Launch(Count(c)),
			b.stream.CopyOut(out, c),
			b.stream.Wait(join),
		)
	}))(t)
	b.equal(b.get(c, 4), []byte{0, 0, 0, 0}) // a capture runs nothing
	for range 5 {
		b.check(g.Launch(b.stream))
	}
	b.check(b.stream.Synchronize())
	b.equal(out, []byte{10, 0, 0, 0})
	b.equal(b.get(y, 8), Floats(5, 10))
	b.check(g.Close())
	b.check(b.device.FreeHost(out))
	b.check(errors.Join(fork.Close(), join.Close(), other.Close()))
}

// captureErrors checks that a capture that goes wrong leaves the stream usable.
func captureErrors(t *testing.T, b *bench) {
	c := b.put(make([]byte, 4))
	b.check(b.device.Prepare(Count(c)))
	ours := errors.New("ours")
	if _, err := b.stream.Capture(func() error { return ours }); !errors.Is(err, ours) {
		t.Errorf("a capture whose function fails gives %v", err)
	}
	var within error
	_, err := b.stream.Capture(func() error {
		_, within = b.device.Alloc(16)
		return b.stream.Launch(Count(c))
	})
	b.wants(within, cuda.StreamCaptureUnsupported, "cuMemAlloc")
	if err == nil {
		t.Error("a capture with an allocation in it succeeds")
	}
	_, err = b.stream.Capture(b.stream.Synchronize)
	b.wants(err, cuda.StreamCaptureUnsupported, "cuStreamSynchronize")
	b.check(b.stream.Launch(Count(c)))
	b.equal(b.get(c, 4), []byte{1, 0, 0, 0})
}

func compileErrors(t *testing.T, b *bench) {
	call := Count(0)
	call.Module = Broken
	b.wants(b.device.Prepare(call), cuda.InvalidPTX, "cuModuleLoadDataEx", "module broken", "frobnicate")
	call.Module, call.Function = Module, "missing"
	b.wants(b.device.Prepare(call), cuda.NotFound, "cuModuleGetFunction", "cudatest.missing")
}

func argumentErrors(t *testing.T, b *bench) {
	c := b.put(make([]byte, 4))
	short, wide := Count(c), Count(c)
	short.Args = short.Args[:4]
	wide.Block[0] = 2048
	b.wants(b.stream.Launch(wide), cuda.InvalidValue, "2048")
	if b.device.Properties().Simulated { // a GPU may take both, and write to memory of others
		b.wants(b.stream.Launch(short), cuda.InvalidValue, "cuLaunchKernel", "cudatest.count")
		b.wants(b.device.CopyIn(c, make([]byte, 4096*4096)), cuda.InvalidValue, "cuMemcpyHtoD", fmt.Sprint(4096*4096))
	}
	b.wants(b.device.Free(c+4), cuda.InvalidValue, "cuMemFree")
	_, err := b.device.Alloc(0)
	b.wants(err, cuda.InvalidValue, "0 bytes")
	b.check(b.device.Free(c))
}

func tensorMap(t *testing.T, b *bench) {
	a := must(b.device.Alloc(1 << 14))(t)
	m := cuda.TensorMap{
		Type: 9, Address: a, // bfloat16
		Sizes: []uint64{64, 16, 8}, Strides: []uint64{128, 2048},
		Box: []uint32{64, 8, 1}, ElementStrides: []uint32{1, 1, 1}, Swizzle: 3,
	}
	image, err := b.device.EncodeTensorMap(m)
	switch p := b.device.Properties(); {
	case p.Major < 9 && p.Simulated:
		b.wants(err, cuda.NotSupported, "cuTensorMapEncodeTiled")
		return
	case p.Major < 9: // what NVIDIA's driver answers is not known
		t.Logf("tensor maps on compute capability %d.%d: %v", p.Major, p.Minor, err)
		return
	}
	b.check(err)
	if image == [128]byte{} {
		t.Error("the map is empty")
	}
	m.Box[0] = 128 // wider than the swizzle
	_, err = b.device.EncodeTensorMap(m)
	b.wants(err, cuda.InvalidValue, "cuTensorMapEncodeTiled")
}

// goroutines checks that a device may be used from anywhere.
func goroutines(t *testing.T, b *bench) {
	c := b.put(make([]byte, 4*8))
	b.check(b.device.Prepare(Count(c)))
	var wait sync.WaitGroup
	failures := make([]error, 8)
	for i := range failures {
		wait.Go(func() {
			for range 10 {
				failures[i] = errors.Join(failures[i], b.stream.Launch(Count(c+cuda.Address(4*i))))
			}
		})
	}
	wait.Wait()
	b.check(errors.Join(failures...))
	for i := range failures {
		b.equal(b.get(c+cuda.Address(4*i), 4), []byte{10, 0, 0, 0})
	}
}

// twoContexts checks that a device opened twice keeps its contexts apart.
func twoContexts(t *testing.T, b *bench) {
	second := must(b.driver.Open(0, cuda.WaitAsDriver))(t)
	a := must(second.Alloc(16))(t)
	c := b.put(make([]byte, 4))
	b.check(second.CopyIn(a, Floats(1, 2, 3, 4)))
	b.check(b.stream.Launch(Count(c)))
	b.check(second.Close())
	b.equal(b.get(c, 4), []byte{1, 0, 0, 0})
}
