package simdriver

import (
	"time"

	"fluxion/kernels/cuda"
)

// Event is a point in a stream, or in a capture.
type Event struct {
	context   *Context
	flags     uint
	destroyed bool

	recorded bool
	at       mark
	time     time.Duration // when the device came to it

	capture *capture // it was recorded in this one
	nodes   []int
}

// EventCreate makes an event.
func (c *Context) EventCreate(flags uint) (e *Event, r cuda.Result) {
	r = c.call("cuEventCreate", func() cuda.Result {
		e = &Event{context: c, flags: flags}
		c.events[e] = true
		return cuda.Success
	})
	return e, r
}

func (e *Event) call(name string, f func() cuda.Result) cuda.Result {
	return e.context.call(name, func() cuda.Result {
		if e.destroyed {
			return e.context.driver.fail(cuda.InvalidHandle, "the event was destroyed")
		}
		return f()
	})
}

// Record marks what is in the stream now.
func (e *Event) Record(s *Stream) cuda.Result {
	return e.call("cuEventRecord", func() cuda.Result {
		if s.destroyed || e.context != s.context {
			return cuda.InvalidHandle
		}
		if s.capture != nil {
			e.capture, e.nodes = s.capture, append([]int(nil), s.tail...)
			return s.capture.result
		}
		e.recorded, e.capture, e.at, e.time = true, nil, mark{s, s.count + 1}, 0
		s.put(entry{event: e})
		return cuda.Success
	})
}

// Wait lets what is put into the stream from now on wait for the event. A wait
// for an event of a capture draws the stream into it.
func (s *Stream) Wait(e *Event) cuda.Result {
	return s.call("cuStreamWaitEvent", func() cuda.Result {
		switch {
		case e.destroyed:
			return cuda.InvalidHandle
		case e.capture != nil:
			return e.capture.join(s, e.nodes)
		case s.capture != nil:
			return s.capture.spoil(cuda.StreamCaptureIsolation, "a wait for an event from outside the capture")
		case e.recorded:
			s.put(entry{after: []mark{e.at}})
		}
		return cuda.Success
	})
}

// Query tells whether the event is over; as with streams, each question brings it nearer.
func (e *Event) Query() cuda.Result {
	return e.call("cuEventQuery", func() cuda.Result {
		if e.capture != nil {
			return e.capture.spoil(cuda.CapturedEvent, "an event recorded in a capture")
		}
		if r := e.context.driver.prohibited("cuEventQuery"); r != cuda.Success {
			return r
		}
		if e.at.over() {
			return cuda.Success
		}
		e.at.stream.step()
		if r := e.context.state(); r != cuda.Success {
			return r
		}
		return cuda.NotReady
	})
}

// Synchronize runs what is before the event.
func (e *Event) Synchronize() cuda.Result {
	return e.call("cuEventSynchronize", func() cuda.Result {
		if e.capture != nil {
			return e.capture.spoil(cuda.CapturedEvent, "an event recorded in a capture")
		}
		if r := e.context.driver.prohibited("cuEventSynchronize"); r != cuda.Success {
			return r
		}
		if e.recorded {
			e.at.stream.drain(e.at.count)
		}
		return e.context.state()
	})
}

// Elapsed is the time between two events; it says how long the simulation took.
func (e *Event) Elapsed(end *Event) (t time.Duration, r cuda.Result) {
	r = e.call("cuEventElapsedTime", func() cuda.Result {
		for _, x := range []*Event{e, end} {
			if x.destroyed || !x.recorded || x.capture != nil || x.flags&EventDisableTiming != 0 {
				return x.context.driver.fail(cuda.InvalidHandle, "an event that was not recorded, or has no timing")
			}
			if !x.at.over() {
				return cuda.NotReady
			}
		}
		t = end.time - e.time
		return cuda.Success
	})
	return t, r
}

// Destroy lets go of the event.
func (e *Event) Destroy() cuda.Result {
	return e.call("cuEventDestroy", func() cuda.Result {
		e.destroyed = true
		delete(e.context.events, e)
		return cuda.Success
	})
}
