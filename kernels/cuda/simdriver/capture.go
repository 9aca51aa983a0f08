package simdriver

import (
	"slices"

	"fluxion/kernels/cuda"
)

// CaptureMode says which calls a capture keeps threads from making; numbers of CUstreamCaptureMode.
type CaptureMode int

const (
	CaptureGlobal      CaptureMode = iota // every thread
	CaptureThreadLocal                    // the thread that began it
	CaptureRelaxed                        // none
)

// node is an operation of a graph, which waits for others.
type node struct {
	operation
	after []int
}

// capture is a graph that streams record into.
type capture struct {
	driver  *Driver
	origin  *Stream
	mode    CaptureMode
	thread  uint64
	streams []*Stream // that take part
	nodes   []node
	result  cuda.Result // after a mistake, what every further call gives
}

// BeginCapture makes the stream record what is put into it.
func (s *Stream) BeginCapture(mode CaptureMode) cuda.Result {
	return s.call("cuStreamBeginCapture", func() cuda.Result {
		d := s.context.driver
		switch {
		case s == s.context.legacy:
			return d.fail(cuda.StreamCaptureUnsupported, "the default stream cannot capture")
		case s.capture != nil:
			return d.fail(cuda.IllegalState, "the stream captures already")
		case mode < CaptureGlobal || mode > CaptureRelaxed:
			return cuda.InvalidValue
		}
		g := &capture{driver: d, origin: s, mode: mode, thread: d.thread, streams: []*Stream{s}}
		s.capture, s.tail = g, nil
		d.captures = append(d.captures, g)
		return cuda.Success
	})
}

// Capturing tells whether the stream captures.
func (s *Stream) Capturing() (capturing bool, r cuda.Result) {
	r = s.call("cuStreamIsCapturing", func() cuda.Result {
		capturing = s.capture != nil
		return cuda.Success
	})
	return capturing, r
}

// record adds an operation to the graph.
func (s *Stream) record(o operation) cuda.Result {
	g := s.capture
	if g.result != cuda.Success {
		return g.result
	}
	g.nodes = append(g.nodes, node{o, s.tail})
	s.tail = []int{len(g.nodes) - 1}
	return cuda.Success
}

// join makes what a stream records next wait for nodes.
func (g *capture) join(s *Stream, nodes []int) cuda.Result {
	switch {
	case g.result != cuda.Success:
		return g.result
	case !slices.Contains(g.driver.captures, g):
		return g.driver.fail(cuda.CapturedEvent, "the event was recorded in a capture that is over")
	case s == s.context.legacy:
		return g.spoil(cuda.StreamCaptureImplicit, "the default stream waits for a capture")
	case s.capture == nil:
		s.capture, s.tail = g, nil
		g.streams = append(g.streams, s)
	case s.capture != g:
		s.capture.result = cuda.StreamCaptureInvalidated
		return g.spoil(cuda.StreamCaptureMerge, "a wait that would merge two captures")
	}
	for _, n := range nodes {
		if !slices.Contains(s.tail, n) {
			s.tail = append(slices.Clone(s.tail), n)
		}
	}
	return cuda.Success
}

// spoil makes the capture invalid, for the reason that is returned.
func (g *capture) spoil(r cuda.Result, format string, args ...any) cuda.Result {
	g.result = cuda.StreamCaptureInvalidated
	return g.driver.fail(r, format, args...)
}

// end lets go of all streams.
func (g *capture) end() {
	for _, s := range g.streams {
		s.capture, s.tail = nil, nil
	}
	g.driver.captures = slices.DeleteFunc(g.driver.captures, func(other *capture) bool { return other == g })
}

// EndCapture returns the graph. A capture that went wrong is over, too.
func (s *Stream) EndCapture() (graph *Graph, r cuda.Result) {
	r = s.call("cuStreamEndCapture", func() cuda.Result {
		g, d := s.capture, s.context.driver
		switch {
		case g == nil:
			return d.fail(cuda.IllegalState, "the stream does not capture")
		case g.mode != CaptureRelaxed && g.thread != d.thread:
			return d.fail(cuda.StreamCaptureWrongThread, "the capture was begun by another thread")
		case s != g.origin:
			return g.spoil(cuda.StreamCaptureUnmatched, "the capture was begun on another stream")
		}
		joined, result := g.joined(), g.result
		g.end()
		switch {
		case result != cuda.Success:
			return result
		case !joined:
			return d.fail(cuda.StreamCaptureUnjoined, "the capture's first stream does not wait for all others")
		}
		graph = &Graph{context: s.context, nodes: g.nodes}
		d.graphs++
		return cuda.Success
	})
	return graph, r
}

// joined tells whether the origin waits for everything that was recorded.
func (g *capture) joined() bool {
	seen := make([]bool, len(g.nodes))
	var visit func(nodes []int)
	visit = func(nodes []int) {
		for _, n := range nodes {
			if !seen[n] {
				seen[n] = true
				visit(g.nodes[n].after)
			}
		}
	}
	visit(g.origin.tail)
	return !slices.Contains(seen, false)
}

// SetCaptureMode says which captures keep this thread from making calls, and returns what was said before.
func (d *Driver) SetCaptureMode(mode CaptureMode) (before CaptureMode, r cuda.Result) {
	r = d.call("cuThreadExchangeStreamCaptureMode", func() cuda.Result {
		if mode < CaptureGlobal || mode > CaptureRelaxed {
			return cuda.InvalidValue
		}
		before = d.modes[d.thread]
		d.modes[d.thread] = mode
		return cuda.Success
	})
	return before, r
}

// prohibited tells whether a capture keeps this thread from a call that may wait
// for the device. The capture is spoilt by it.
func (d *Driver) prohibited(name string) cuda.Result {
	for _, g := range d.captures {
		own := g.thread == d.thread
		var kept bool
		switch d.modes[d.thread] {
		case CaptureGlobal:
			kept = own && g.mode != CaptureRelaxed || !own && g.mode == CaptureGlobal
		case CaptureThreadLocal:
			kept = own && g.mode != CaptureRelaxed
		}
		if kept {
			return g.spoil(cuda.StreamCaptureUnsupported, "%s while a stream captures", name)
		}
	}
	return cuda.Success
}

// implicit tells whether work on the default stream would wait for a stream that captures.
func (d *Driver) implicit(c *Context) cuda.Result {
	for _, g := range d.captures {
		for _, s := range g.streams {
			if s.context == c && s.flags&StreamNonBlocking == 0 {
				return g.spoil(cuda.StreamCaptureImplicit, "work on the default stream would wait for a stream that captures")
			}
		}
	}
	return cuda.Success
}
