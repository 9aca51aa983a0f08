package simdriver_test

import (
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/cuda/simdriver"
)

// rig is a context with a module of the suite.
type rig struct {
	*testing.T
	driver  *simdriver.Driver
	context *simdriver.Context
	module  *simdriver.Module
	put0    cuda.Address // a byte
}

func newRig(t *testing.T, o simdriver.Options) *rig {
	o.Memory = 1 << 20
	d := simdriver.New(o)
	c, r := d.CtxCreate(0, 0)
	x := &rig{T: t, driver: d, context: c}
	x.ok(r)
	x.module, _, r = c.ModuleLoad(cudatest.Module.PTX())
	x.ok(r)
	t.Cleanup(func() {
		c.Destroy()
		if leaks := d.Leaks(); leaks != nil {
			t.Errorf("left behind: %v", leaks)
		}
	})
	return x
}

func (x *rig) ok(r cuda.Result) { x.Helper(); x.is(r, cuda.Success) }

func (x *rig) is(got, want cuda.Result) {
	x.Helper()
	if got != want {
		x.Fatalf("%v (%s), want %v", got, x.driver.Detail(), want)
	}
}

func (x *rig) stream(flags uint) *simdriver.Stream {
	x.Helper()
	s, r := x.context.StreamCreate(flags, 0)
	x.ok(r)
	return s
}

func (x *rig) event() *simdriver.Event {
	x.Helper()
	e, r := x.context.EventCreate(0)
	x.ok(r)
	return e
}

// put allocates memory with these bytes.
func (x *rig) put(b ...byte) cuda.Address {
	x.Helper()
	a, r := x.context.Alloc(len(b))
	x.ok(r)
	x.ok(x.context.MemcpyHtoD(a, b))
	x.ok(x.context.Default().Synchronize())
	return a
}

// sees checks what is in device memory now.
func (x *rig) sees(a cuda.Address, want ...byte) {
	x.Helper()
	got := make([]byte, len(want))
	x.ok(x.context.MemcpyDtoH(got, a))
	if !slices.Equal(got, want) {
		x.Fatalf("device memory holds %v, want %v", got, want)
	}
}

func (x *rig) pinned(b ...byte) []byte {
	x.Helper()
	p, r := x.context.HostAlloc(len(b))
	x.ok(r)
	copy(p, b)
	return p
}

// count puts launches of the kernel count into a stream.
func (x *rig) count(s *simdriver.Stream, at cuda.Address) {
	x.Helper()
	f, r := x.module.Function("count")
	x.ok(r)
	one := [3]int{1, 1, 1}
	x.ok(s.Launch(f, one, one, 0, cuda.Args(at)))
}

func TestWorkIsDoneWhenSomebodyWaits(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	s := x.stream(simdriver.StreamNonBlocking)
	a := x.put(0, 0, 0, 0)
	x.count(s, a)
	x.sees(a, 0, 0, 0, 0) // the copy did not wait for this stream
	x.is(s.Query(), cuda.NotReady)
	x.ok(s.Query())
	x.sees(a, 1, 0, 0, 0)
}

func TestCopiesReadLockedMemoryLate(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	s := x.stream(simdriver.StreamNonBlocking)
	a, b := x.put(0, 0), x.put(0, 0)
	locked, plain := x.pinned(1, 1), []byte{1, 1}
	x.ok(s.CopyIn(a, locked))
	x.ok(s.CopyIn(b, plain))
	copy(locked, []byte{2, 2}) // too early
	copy(plain, []byte{2, 2})
	x.ok(s.Synchronize())
	x.sees(a, 2, 2)
	x.sees(b, 1, 1)

	x.ok(s.Fill(a, []byte{7}, 2))
	x.ok(s.CopyOut(locked, a))
	if locked[0] == 7 {
		t.Error("a copy to page-locked memory was done before anybody waited")
	}
	x.ok(s.CopyOut(plain, a))
	if plain[0] != 7 {
		t.Error("a copy to other memory returned before it was done")
	}
}

// What the functions without a stream do is not over when they return, unless they
// copy to the host or from page-locked memory.
func TestDefaultStreamIsLate(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	s := x.stream(simdriver.StreamNonBlocking)
	a, b := x.put(1), x.put(0)
	for _, c := range []struct {
		write func() cuda.Result
		want  byte
	}{
		{func() cuda.Result { return x.context.MemcpyHtoD(a, []byte{2}) }, 1},
		{func() cuda.Result { return x.context.Memset(a, []byte{3}, 1) }, 2},
		{func() cuda.Result { return x.context.MemcpyHtoD(a, x.pinned(4)) }, 4},
		{func() cuda.Result { return x.context.MemcpyDtoD(a, b, 1) }, 4},
	} {
		x.ok(c.write())
		x.ok(s.Copy(b, a, 1))
		x.ok(s.Synchronize())
		x.ok(x.context.Default().Synchronize())
		x.sees(b, c.want)
	}
	x.sees(a, 4)
}

func TestStreamsAreOrderedByEventsOnly(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	first, second := x.stream(simdriver.StreamNonBlocking), x.stream(simdriver.StreamNonBlocking)
	a, b := x.put(0, 0, 0, 0), x.put(9, 9, 9, 9)
	x.count(first, a)
	x.ok(second.Copy(b, a, 4)) // without a wait
	x.ok(second.Synchronize())
	x.sees(b, 0, 0, 0, 0)

	e := x.event()
	x.count(first, a)
	x.ok(e.Record(first))
	x.count(first, a)
	x.ok(second.Wait(e))
	x.ok(second.Copy(b, a, 4))
	x.ok(second.Synchronize())
	x.sees(b, 2, 0, 0, 0)
	x.ok(e.Query())
	x.ok(x.context.Synchronize())
	x.sees(a, 3, 0, 0, 0)
}

// A stream with nothing but a wait in it is not empty.
func TestWaitAlone(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	first, second := x.stream(simdriver.StreamNonBlocking), x.stream(simdriver.StreamNonBlocking)
	a, e := x.put(0, 0, 0, 0), x.event()
	x.count(first, a)
	x.ok(e.Record(first))
	x.ok(second.Wait(e))
	x.ok(second.Synchronize())
	x.sees(a, 1, 0, 0, 0)
}

func TestDefaultStreamWaitsForBlockingStreams(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	blocking := x.stream(0)
	a := x.put(0, 0, 0, 0)
	x.count(blocking, a)
	x.sees(a, 1, 0, 0, 0)
	x.ok(x.context.Default().Fill(a, []byte{5, 0, 0, 0}, 1))
	x.count(blocking, a)
	x.ok(blocking.Synchronize())
	x.sees(a, 6, 0, 0, 0)
}

func TestFreeWaits(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	s := x.stream(simdriver.StreamNonBlocking)
	a, b := x.put(0, 0, 0, 0), x.put(1)
	x.count(s, a)
	x.ok(x.context.Free(b))
	x.sees(a, 1, 0, 0, 0)
}

func TestEventTimes(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	s := x.stream(simdriver.StreamNonBlocking)
	start, end := x.event(), x.event()
	_, r := start.Elapsed(end)
	x.is(r, cuda.InvalidHandle)
	x.ok(start.Record(s))
	x.ok(end.Record(s))
	_, r = start.Elapsed(end)
	x.is(r, cuda.NotReady)
	x.ok(end.Synchronize())
	_, r = start.Elapsed(end)
	x.ok(r)
	untimed, r := x.context.EventCreate(simdriver.EventDisableTiming)
	x.ok(r)
	x.ok(untimed.Record(s))
	x.ok(untimed.Synchronize())
	_, r = start.Elapsed(untimed)
	x.is(r, cuda.InvalidHandle)
}

func TestKernelFaultIsSticky(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	s := x.stream(simdriver.StreamNonBlocking)
	a := x.put(1, 2, 3, 4)
	x.count(s, a+4) // past the end
	x.ok(s.Fill(a, []byte{9}, 4))
	x.is(s.Synchronize(), cuda.IllegalAddress)
	for _, says := range []string{"count", "out of bounds", "line"} {
		if !strings.Contains(x.driver.Detail(), says) {
			t.Errorf("the finding %q does not say %q", x.driver.Detail(), says)
		}
	}
	_, r := x.context.Alloc(16)
	x.is(r, cuda.IllegalAddress)
	x.is(x.context.MemcpyDtoH(make([]byte, 4), a), cuda.IllegalAddress)
	x.is(s.Destroy(), cuda.IllegalAddress)

	misaligned := newRig(t, simdriver.Options{})
	s = misaligned.stream(simdriver.StreamNonBlocking)
	misaligned.count(s, misaligned.put(1, 2, 3, 4, 5, 6, 7, 8)+2)
	misaligned.is(s.Synchronize(), cuda.MisalignedAddress)

	uninitialised := newRig(t, simdriver.Options{})
	s = uninitialised.stream(simdriver.StreamNonBlocking)
	fresh, r := uninitialised.context.Alloc(4)
	uninitialised.ok(r)
	uninitialised.count(s, fresh)
	uninitialised.is(s.Synchronize(), cuda.LaunchFailed)
}

func TestTargets(t *testing.T) {
	hopper := strings.Replace(cudatest.Module.PTX(), "sm_80", "sm_90a", 1)
	x := newRig(t, simdriver.Options{})
	_, log, r := x.context.ModuleLoad(hopper)
	x.is(r, cuda.InvalidPTX)
	if !strings.Contains(log, "sm_90a does not run on sm_80") {
		t.Errorf("log is %q", log)
	}
	x = newRig(t, simdriver.Options{Major: 9})
	_, _, r = x.context.ModuleLoad(hopper)
	x.ok(r)
	_, log, r = x.context.ModuleLoad(strings.Replace(cudatest.Module.PTX(), "sm_80", "sm_80a", 1))
	x.is(r, cuda.InvalidPTX)
	if !strings.Contains(log, "sm_80a does not run on sm_90") {
		t.Errorf("log is %q", log)
	}
}

func TestModuleIsGoneAfterUnload(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	f, r := x.module.Function("count")
	x.ok(r)
	x.ok(x.module.Unload())
	x.is(x.module.Unload(), cuda.InvalidHandle)
	_, r = f.Attribute(simdriver.FunctionShared)
	x.is(r, cuda.InvalidHandle)
	one := [3]int{1, 1, 1}
	x.is(x.stream(0).Launch(f, one, one, 0, make([]byte, 8)), cuda.InvalidHandle)
}

func TestAttributes(t *testing.T) {
	for _, c := range []struct{ major, shared, multiprocessors int }{{8, 163 << 10, 108}, {9, 227 << 10, 132}} {
		x := newRig(t, simdriver.Options{Major: c.major})
		for number, want := range map[int]int{75: c.major, 97: c.shared, 16: c.multiprocessors} {
			got, r := x.driver.DeviceAttribute(number, 0)
			x.ok(r)
			if got != want {
				t.Errorf("attribute %d of sm_%d0 is %d, want %d", number, c.major, got, want)
			}
		}
		f, r := x.module.Function("reverse")
		x.ok(r)
		x.ok(f.SetAttribute(simdriver.FunctionMaxDynamicShared, c.shared))
		x.is(f.SetAttribute(simdriver.FunctionMaxDynamicShared, c.shared+1), cuda.InvalidValue)

		// All of it can be used.
		s, a, b := x.stream(0), x.put(1, 0, 0, 0), x.put(0, 0, 0, 0)
		one := [3]int{1, 1, 1}
		x.ok(s.Launch(f, one, one, c.shared, cuda.Args(b, a)))
		x.ok(s.Synchronize())
		x.sees(b, 1, 0, 0, 0)
	}
}

func TestOutOfMemory(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	a, r := x.context.Alloc(1 << 19)
	x.ok(r)
	_, r = x.context.Alloc(1<<19 + 1)
	x.is(r, cuda.OutOfMemory)
	x.ok(x.context.Free(a))
	_, r = x.context.Alloc(1 << 20)
	x.ok(r)
}

func TestContextsDoNotShare(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	other, r := x.driver.CtxCreate(0, 0)
	x.ok(r)
	a := x.put(1)
	x.is(other.Free(a), cuda.InvalidValue)
	x.ok(other.Destroy())
	x.is(other.Synchronize(), cuda.ContextIsDestroyed)
	x.is(other.Destroy(), cuda.InvalidContext)
}

func TestLossOfTheDevice(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	s := x.stream(simdriver.StreamNonBlocking)
	a := x.put(0, 0, 0, 0)
	x.driver.Inject(simdriver.Fault{Call: simdriver.Operation, Number: 3, Result: cuda.ECCUncorrectable})
	for range 5 {
		x.count(s, a)
	}
	x.is(s.Synchronize(), cuda.ECCUncorrectable)
	_, r := x.driver.CtxCreate(0, 0)
	x.is(r, cuda.ECCUncorrectable)
}
