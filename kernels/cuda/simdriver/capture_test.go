package simdriver_test

import (
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
)

const nonBlocking = simdriver.StreamNonBlocking

// graph ends a capture and makes the graph ready; both are destroyed in the end.
func (x *rig) graph(s *simdriver.Stream) *simdriver.Exec {
	x.Helper()
	g, r := s.EndCapture()
	x.ok(r)
	e, r := g.Instantiate()
	x.ok(r)
	x.ok(g.Destroy())
	x.Cleanup(func() { x.ok(e.Destroy()) })
	return e
}

// launched is the number of times a kernel was counted so far.
func (x *rig) counted(at cuda.Address) byte {
	x.Helper()
	var b [1]byte
	x.ok(x.context.MemcpyDtoH(b[:], at))
	return b[0]
}

func TestGraphRunsInAnyOrderThatIsPermitted(t *testing.T) {
	seen := map[byte]bool{}
	for seed := range uint64(16) {
		x := newRig(t, simdriver.Options{Seed: seed})
		s, other := x.stream(nonBlocking), x.stream(nonBlocking)
		a, b := x.put(0, 0, 0, 0), x.put(9, 9, 9, 9)
		fork, join := x.event(), x.event()
		x.ok(s.BeginCapture(simdriver.CaptureGlobal))
		x.ok(fork.Record(s))
		x.ok(other.Wait(fork))
		x.count(s, a)
		x.ok(other.Copy(b, a, 4)) // a race with count
		x.ok(join.Record(other))
		x.ok(s.Wait(join))
		x.count(s, a)
		g := x.graph(s)
		x.ok(g.Launch(s))
		x.ok(s.Synchronize())
		x.sees(a, 2, 0, 0, 0) // what has dependencies keeps them
		seen[x.counted(b)] = true
	}
	if len(seen) != 2 || !seen[0] || !seen[1] {
		t.Errorf("what races with another was seen to read %v, want both orders", seen)
	}
}

func TestCaptureMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		mistake func(x *rig, s, other *simdriver.Stream) cuda.Result // made while s captures
		want    cuda.Result
		end     cuda.Result
	}{
		"none": {
			func(*rig, *simdriver.Stream, *simdriver.Stream) cuda.Result { return cuda.Success },
			cuda.Success, cuda.Success,
		},
		"allocation": {
			func(x *rig, s, _ *simdriver.Stream) cuda.Result {
				_, r := x.context.Alloc(16)
				return r
			}, cuda.StreamCaptureUnsupported, cuda.StreamCaptureInvalidated,
		},
		"copy that waits": {
			func(x *rig, s, _ *simdriver.Stream) cuda.Result { return x.context.MemcpyHtoD(0, nil) },
			cuda.StreamCaptureImplicit, cuda.StreamCaptureInvalidated,
		},
		"wait for the stream": {
			func(x *rig, s, _ *simdriver.Stream) cuda.Result { return s.Synchronize() },
			cuda.StreamCaptureUnsupported, cuda.StreamCaptureInvalidated,
		},
		"wait for the device": {
			func(x *rig, s, _ *simdriver.Stream) cuda.Result { return x.context.Synchronize() },
			cuda.StreamCaptureUnsupported, cuda.StreamCaptureInvalidated,
		},
		"module": {
			func(x *rig, s, _ *simdriver.Stream) cuda.Result {
				_, _, r := x.context.ModuleLoad("")
				return r
			}, cuda.StreamCaptureUnsupported, cuda.StreamCaptureInvalidated,
		},
		"copy to memory that is not locked": {
			func(x *rig, s, _ *simdriver.Stream) cuda.Result { return s.CopyOut(make([]byte, 1), x.put0) },
			cuda.StreamCaptureUnsupported, cuda.StreamCaptureInvalidated,
		},
		"query of a captured event": {
			func(x *rig, s, _ *simdriver.Stream) cuda.Result {
				e := x.event()
				x.ok(e.Record(s))
				return e.Query()
			}, cuda.CapturedEvent, cuda.StreamCaptureInvalidated,
		},
		"event from outside": {
			func(x *rig, s, other *simdriver.Stream) cuda.Result {
				e := x.event()
				x.ok(e.Record(other))
				return s.Wait(e)
			}, cuda.StreamCaptureIsolation, cuda.StreamCaptureInvalidated,
		},
		"fork without join": {
			func(x *rig, s, other *simdriver.Stream) cuda.Result {
				e := x.event()
				x.ok(e.Record(s))
				x.ok(other.Wait(e))
				return other.Fill(x.put0, []byte{1}, 1)
			}, cuda.Success, cuda.StreamCaptureUnjoined,
		},
		"end on another stream": {
			func(x *rig, s, other *simdriver.Stream) cuda.Result {
				e := x.event()
				x.ok(e.Record(s))
				x.ok(other.Wait(e))
				_, r := other.EndCapture()
				return r
			}, cuda.StreamCaptureUnmatched, cuda.StreamCaptureInvalidated,
		},
		"merge": {
			func(x *rig, s, other *simdriver.Stream) cuda.Result {
				x.ok(other.BeginCapture(simdriver.CaptureRelaxed))
				e := x.event()
				x.ok(e.Record(s))
				r := other.Wait(e)
				_, ended := other.EndCapture()
				x.is(ended, cuda.StreamCaptureInvalidated)
				return r
			}, cuda.StreamCaptureMerge, cuda.StreamCaptureInvalidated,
		},
		"graph in a graph": {
			func(x *rig, s, other *simdriver.Stream) cuda.Result {
				x.ok(other.BeginCapture(simdriver.CaptureRelaxed))
				return x.graph(other).Launch(s)
			}, cuda.StreamCaptureUnsupported, cuda.StreamCaptureInvalidated,
		},
		"second capture": {
			func(x *rig, s, _ *simdriver.Stream) cuda.Result { return s.BeginCapture(simdriver.CaptureGlobal) },
			cuda.IllegalState, cuda.Success,
		},
		"end by another thread": {
			func(x *rig, s, _ *simdriver.Stream) cuda.Result {
				x.driver.SetThread(1)
				defer x.driver.SetThread(0)
				_, r := s.EndCapture()
				return r
			}, cuda.StreamCaptureWrongThread, cuda.Success,
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newRig(t, simdriver.Options{})
			x.put0 = x.put(0)
			s, other := x.stream(nonBlocking), x.stream(nonBlocking)
			x.ok(s.BeginCapture(simdriver.CaptureGlobal))
			x.is(c.mistake(x, s, other), c.want)
			g, r := s.EndCapture()
			x.is(r, c.end)
			if r == cuda.Success {
				x.ok(g.Destroy())
			}
			// Whatever happened, the stream works.
			a := x.put(0, 0, 0, 0)
			x.count(s, a)
			x.ok(s.Synchronize())
			x.sees(a, 1, 0, 0, 0)
		})
	}
}

func TestCaptureModes(t *testing.T) {
	for _, c := range []struct {
		capture, thread simdriver.CaptureMode
		own, foreign    bool // may the capturing thread, or another, allocate?
	}{
		{simdriver.CaptureGlobal, simdriver.CaptureGlobal, false, false},
		{simdriver.CaptureThreadLocal, simdriver.CaptureGlobal, false, true},
		{simdriver.CaptureRelaxed, simdriver.CaptureGlobal, true, true},
		{simdriver.CaptureGlobal, simdriver.CaptureThreadLocal, false, true},
		{simdriver.CaptureGlobal, simdriver.CaptureRelaxed, true, true},
	} {
		for thread, may := range map[uint64]bool{1: c.own, 2: c.foreign} {
			x := newRig(t, simdriver.Options{})
			s := x.stream(nonBlocking)
			x.driver.SetThread(thread)
			_, r := x.driver.SetCaptureMode(c.thread)
			x.ok(r)
			x.driver.SetThread(1)
			x.ok(s.BeginCapture(c.capture))
			x.driver.SetThread(thread)
			_, r = x.context.Alloc(16)
			if may != (r == cuda.Success) {
				t.Errorf("a capture of mode %d, a thread of mode %d, thread %d: %v", c.capture, c.thread, thread, r)
			}
			x.driver.SetThread(1)
			if g, r := s.EndCapture(); r == cuda.Success {
				x.ok(g.Destroy())
			}
		}
	}
}

func TestDefaultStreamDisturbsBlockingCapture(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	s, a := x.stream(0), x.put(0)
	x.is(x.context.Default().BeginCapture(simdriver.CaptureRelaxed), cuda.StreamCaptureUnsupported)
	x.ok(s.BeginCapture(simdriver.CaptureRelaxed))
	x.is(x.context.Default().Fill(a, []byte{1}, 1), cuda.StreamCaptureImplicit)
	_, r := s.EndCapture()
	x.is(r, cuda.StreamCaptureInvalidated)
}

func TestLaunchesOfOneGraphDoNotOverlap(t *testing.T) {
	x := newRig(t, simdriver.Options{})
	s, other := x.stream(nonBlocking), x.stream(nonBlocking)
	a, b := x.put(0, 0, 0, 0), x.put(0, 0, 0, 0)
	x.ok(s.BeginCapture(simdriver.CaptureGlobal))
	x.count(s, a)
	g := x.graph(s)
	x.ok(g.Launch(s))
	x.ok(g.Launch(other))
	x.ok(other.Copy(b, a, 4))
	x.ok(other.Synchronize())
	x.sees(b, 2, 0, 0, 0)
}
