package simdriver

import (
	"math"
	"time"

	"fluxion/kernels/cuda"
)

// operation is something the device does.
type operation struct {
	name string
	run  func() error
}

// entry is an operation in a stream. It waits for other streams, and marks an event.
type entry struct {
	operation
	after []mark
	event *Event
}

// mark is a point in a stream: its first count entries.
type mark struct {
	stream *Stream
	count  uint64
}

func (m mark) over() bool { return m.stream == nil || m.stream.done >= m.count }

// Flags of streams and events; numbers of CUstream_flags and CUevent_flags.
const (
	StreamNonBlocking  = 1
	EventDisableTiming = 2
)

// pending is how many entries a stream holds before whoever puts in another waits.
const pending = 1024

// Stream is a queue of operations.
type Stream struct {
	context   *Context
	flags     uint
	priority  int
	destroyed bool

	queue []entry // not run yet
	count uint64  // ever put
	done  uint64  // of those

	capture *capture // under way
	tail    []int    // nodes of it that the next one waits for
}

// StreamCreate makes a stream.
func (c *Context) StreamCreate(flags uint, priority int) (s *Stream, r cuda.Result) {
	r = c.call("cuStreamCreate", func() cuda.Result {
		if flags&^StreamNonBlocking != 0 {
			return cuda.InvalidValue
		}
		s = &Stream{context: c, flags: flags, priority: priority}
		c.streams[s] = true
		return cuda.Success
	})
	return s, r
}

// Default is the context's default stream.
func (c *Context) Default() *Stream { return c.legacy }

// Flags are those it was made with.
func (s *Stream) Flags() uint { return s.flags }

// Priority is that it was made with.
func (s *Stream) Priority() int { return s.priority }

func (s *Stream) call(name string, f func() cuda.Result) cuda.Result {
	return s.context.call(name, func() cuda.Result {
		if s.destroyed {
			return s.context.driver.fail(cuda.InvalidHandle, "the stream was destroyed")
		}
		return f()
	})
}

// submit puts an operation into the stream, or into the graph it captures.
func (s *Stream) submit(name string, prepare func() (operation, cuda.Result)) cuda.Result {
	return s.call(name, func() cuda.Result {
		o, r := prepare()
		if r != cuda.Success {
			return r
		}
		if s.capture != nil {
			return s.record(o)
		}
		if s == s.context.legacy {
			if r := s.context.driver.implicit(s.context); r != cuda.Success {
				return r
			}
		}
		s.put(entry{operation: o})
		return cuda.Success
	})
}

// put appends an entry. The default stream and those that block it wait for each other.
func (s *Stream) put(e entry) {
	c := s.context
	if s == c.legacy {
		for other := range c.streams {
			if other.flags&StreamNonBlocking == 0 {
				e.after = append(e.after, mark{other, other.count})
			}
		}
	} else if s.flags&StreamNonBlocking == 0 {
		e.after = append(e.after, mark{c.legacy, c.legacy.count})
	}
	s.queue = append(s.queue, e)
	s.count++
	if len(s.queue) > pending {
		s.step()
	}
}

// drain runs what the stream holds, up to that many entries of all it ever held.
func (s *Stream) drain(count uint64) {
	for s.done < count && len(s.queue) > 0 {
		s.step()
	}
}

// step runs the oldest entry, and before it what it waits for. A wait refers to
// what was put before it, so this ends.
func (s *Stream) step() {
	e := s.queue[0]
	for _, m := range e.after {
		m.stream.drain(m.count)
	}
	s.queue = s.queue[1:]
	s.done++
	if e.run != nil {
		s.context.execute(e.operation)
	}
	if e.event != nil && e.event.at == (mark{s, s.done}) {
		e.event.time = time.Since(s.context.driver.started)
	}
}

// execute does an operation. Nothing is done on a context after a failure.
func (c *Context) execute(o operation) {
	d := c.driver
	if c.state() != cuda.Success {
		return
	}
	if r := d.injected(Operation, o.name); r != cuda.Success {
		c.sticky, c.why = r, d.detail
		return
	}
	if err := o.run(); err != nil {
		c.sticky, c.why = resultOf(err), err.Error()
	}
}

// CopyIn copies to the device. From memory that is not page-locked it takes the
// bytes now, as CUDA does; from page-locked memory it takes those that are there
// when the stream comes to it.
func (s *Stream) CopyIn(to cuda.Address, from []byte) cuda.Result {
	return s.submit("cuMemcpyHtoDAsync", func() (operation, cuda.Result) {
		if !s.context.locked(from) {
			from = append([]byte(nil), from...)
		}
		return s.context.writing(to, from)
	})
}

// CopyOut copies to the host: to page-locked memory when the stream comes to it,
// to other memory before it returns.
func (s *Stream) CopyOut(to []byte, from cuda.Address) cuda.Result {
	locked := true
	r := s.submit("cuMemcpyDtoHAsync", func() (operation, cuda.Result) {
		if locked = s.context.locked(to); !locked && s.capture != nil {
			return operation{}, s.capture.spoil(cuda.StreamCaptureUnsupported, "a copy to memory that is not page-locked")
		}
		return s.context.reading(to, from)
	})
	if r != cuda.Success || locked {
		return r
	}
	s.context.driver.mu.Lock()
	defer s.context.driver.mu.Unlock()
	s.drain(s.count)
	return s.context.state()
}

// Copy copies within the device.
func (s *Stream) Copy(to, from cuda.Address, bytes int) cuda.Result {
	return s.submit("cuMemcpyDtoDAsync", func() (operation, cuda.Result) { return s.context.copying(to, from, bytes) })
}

// Fill repeats a pattern of 1, 2 or 4 bytes.
func (s *Stream) Fill(a cuda.Address, pattern []byte, count int) cuda.Result {
	return s.submit(fills[len(pattern)]+"Async", func() (operation, cuda.Result) {
		return s.context.filling(a, pattern, count)
	})
}

// Synchronize runs what is in the stream.
func (s *Stream) Synchronize() cuda.Result {
	return s.call("cuStreamSynchronize", func() cuda.Result {
		if r := s.mayWait("cuStreamSynchronize"); r != cuda.Success {
			return r
		}
		s.drain(s.count)
		return s.context.state()
	})
}

// mayWait tells whether the stream may be waited for: not while it captures.
func (s *Stream) mayWait(name string) cuda.Result {
	if s.capture != nil {
		return s.capture.spoil(cuda.StreamCaptureUnsupported, "%s on a stream that captures", name)
	}
	return s.context.driver.prohibited(name)
}

// Query tells whether the stream is empty. Each question runs one entry, so that
// who asks again and again gets there.
func (s *Stream) Query() cuda.Result {
	return s.call("cuStreamQuery", func() cuda.Result {
		if r := s.mayWait("cuStreamQuery"); r != cuda.Success {
			return r
		}
		if len(s.queue) == 0 {
			return cuda.Success
		}
		s.step()
		if r := s.context.state(); r != cuda.Success {
			return r
		}
		return cuda.NotReady
	})
}

// Destroy lets go of the stream; what is in it is run.
func (s *Stream) Destroy() cuda.Result {
	return s.call("cuStreamDestroy", func() cuda.Result {
		if s == s.context.legacy {
			return cuda.InvalidHandle
		}
		s.drain(math.MaxUint64)
		s.destroy()
		return s.context.state()
	})
}

func (s *Stream) destroy() {
	if s.capture != nil {
		s.capture.end()
	}
	s.destroyed = true
	delete(s.context.streams, s)
}
