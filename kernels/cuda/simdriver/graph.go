package simdriver

import (
	"math/rand/v2"

	"fluxion/kernels/cuda"
)

// Graph is captured work.
type Graph struct {
	context   *Context
	nodes     []node
	destroyed bool
}

// Nodes is the number of operations.
func (g *Graph) Nodes() int { return len(g.nodes) }

// Exec is a graph that can be launched.
type Exec struct {
	context   *Context
	nodes     []node
	random    *rand.Rand
	last      mark // the launch before, for two of them do not overlap
	destroyed bool
}

// Instantiate makes the graph ready to be launched.
func (g *Graph) Instantiate() (x *Exec, r cuda.Result) {
	d := g.context.driver
	r = g.context.call("cuGraphInstantiate", func() cuda.Result {
		if g.destroyed {
			return d.fail(cuda.InvalidValue, "the graph was destroyed")
		}
		x = &Exec{context: g.context, nodes: g.nodes, random: rand.New(rand.NewPCG(d.options.Seed, uint64(d.graphs)))}
		d.graphs++
		return cuda.Success
	})
	return x, r
}

// Destroy lets go of the graph, even if a fault makes it fail. What was instantiated stays.
func (g *Graph) Destroy() cuda.Result {
	return g.context.driver.release("cuGraphDestroy", &g.destroyed)
}

// Destroy lets go of it, even if a fault makes it fail; what was launched is run.
func (x *Exec) Destroy() cuda.Result {
	return x.context.driver.release("cuGraphExecDestroy", &x.destroyed)
}

func (d *Driver) release(name string, destroyed *bool) cuda.Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.detail = ""
	r := d.injected(name, "")
	if *destroyed {
		return d.fail(cuda.InvalidValue, "it was destroyed before")
	}
	*destroyed = true
	d.graphs--
	return r
}

// Launch puts the graph into a stream.
func (x *Exec) Launch(s *Stream) cuda.Result {
	return s.call("cuGraphLaunch", func() cuda.Result {
		d := s.context.driver
		switch {
		case x.destroyed:
			return d.fail(cuda.InvalidValue, "the graph was destroyed")
		case x.context != s.context:
			return cuda.InvalidValue
		case s.capture != nil:
			return s.capture.spoil(cuda.StreamCaptureUnsupported, "a graph within a graph")
		}
		for _, n := range x.order() {
			e := entry{operation: x.nodes[n].operation}
			if x.last.stream != nil {
				e.after, x.last = []mark{x.last}, mark{}
			}
			s.put(e)
		}
		x.last = mark{s, s.count}
		return cuda.Success
	})
}

// order is one that the dependencies permit, drawn anew for each launch.
func (x *Exec) order() []int {
	waits := make([]int, len(x.nodes))
	next := make([][]int, len(x.nodes))
	var ready, order []int
	for i, n := range x.nodes {
		waits[i] = len(n.after)
		for _, before := range n.after {
			next[before] = append(next[before], i)
		}
		if waits[i] == 0 {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		i := x.random.IntN(len(ready))
		n := ready[i]
		ready[i] = ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		order = append(order, n)
		for _, after := range next[n] {
			if waits[after]--; waits[after] == 0 {
				ready = append(ready, after)
			}
		}
	}
	return order
}
