package sim

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// barrier is one of the sixteen of a block.
type barrier struct {
	arrived []arrival // warps that arrived without waiting
	count   int       // threads expected; 0: all of the block
}

// barrierWait is what a warp waits for.
type barrierWait struct {
	id, count int       // −1: no barrier, but what follows
	phase     phaseWait // of an mbarrier
	registers int       // of a thread
	cluster   bool      // the cluster's barrier
	lanes     uint32
	value     uint32            // predicate of bar.red, a bit a lane
	resume    func(yes, of int) // bar.red: receives how many lanes' predicates were true of how many
}

// sync lets a warp wait at a barrier, or only arrive there.
func (w *warp) sync(wait barrierWait, arrive bool) {
	if wait.lanes != w.live {
		w.fail(bits.TrailingZeros32(wait.lanes), "a barrier in divergent code: lanes %#08x of %#08x are here", wait.lanes, w.live)
		return
	}
	w.block.worker.counters.Barriers++
	w.synchronised++
	lane := bits.TrailingZeros32(wait.lanes)
	if wait.id < 0 || wait.id > 15 {
		w.fail(lane, "barrier %d, there are 16", wait.id)
		return
	}
	if wait.count%32 != 0 {
		w.fail(lane, "a barrier for %d threads, which is no multiple of 32", wait.count)
		return
	}
	b := &w.block.barriers[wait.id]
	if b.count != 0 && wait.count != b.count {
		w.fail(lane, "barrier %d is awaited by %d threads, others said %d", wait.id, wait.count, b.count)
		return
	}
	b.count = wait.count
	if arrive {
		b.arrived = append(b.arrived, w.block.shared.arrive(w))
		w.block.release()
		return
	}
	w.barrier, w.state = wait, waiting
}

// release lets warps go on whose barrier is complete.
func (b *block) release() {
	for id := range b.barriers {
		bar := &b.barriers[id]
		arrived, complete := 32*len(bar.arrived), true
		var here []*warp
		for _, w := range b.warps {
			if w.state == waiting && w.barrier.id == id {
				here = append(here, w)
				arrived += 32
			} else if w.state != finished {
				complete = false
			}
		}
		if len(here) == 0 && bar.count == 0 || arrived == 0 {
			continue
		}
		if bar.count > 0 {
			complete = arrived >= bar.count
		}
		if !complete {
			continue
		}
		yes, of := 0, 0
		for _, w := range here {
			yes += bits.OnesCount32(w.barrier.value)
			of += bits.OnesCount32(w.barrier.lanes)
		}
		b.cluster.released = true
		b.shared.passed(b, here, bar.arrived)
		for _, w := range here {
			w.state = running
			if w.barrier.resume != nil {
				w.barrier.resume(yes, of)
			}
		}
		*bar = barrier{}
	}
}

// deadlock is the error when every warp waits.
func (c *cluster) deadlock() error {
	var list, reasons []string
	var first *warp
	for w := range c.all {
		if w.state == waiting {
			if first == nil {
				first = w
			}
			if reason := w.barrier.String(); len(list) < 4 && !slices.Contains(reasons, reason) {
				reasons = append(reasons, reason)
				list = append(list, fmt.Sprintf("%s %s", c.name(w.id), reason))
			}
		}
	}
	first.fail(bits.TrailingZeros32(first.live), "deadlock: every warp waits (%s)", strings.Join(list, ", "))
	return first.fault
}

func (w barrierWait) String() string {
	m := w.phase.of
	switch {
	case w.cluster:
		return "at the cluster's barrier"
	case w.registers > 0:
		return fmt.Sprintf("for %d registers", w.registers)
	case m != nil:
		return fmt.Sprintf("for phase %d of the mbarrier at shared address %#x, which lacks %d arrivals and %d bytes that are not under way", w.phase.phase, m.at, m.pending, m.lacking())
	}
	return fmt.Sprintf("at barrier %d", w.id)
}

// lacking is the bytes that the phase expects and nobody copies.
func (m *mbarrier) lacking() int {
	n := m.bytes
	for i := range m.copies {
		n -= m.copies[i].size
	}
	return n
}

// onlyThese tells whether the given warps are all that have not finished.
func (c *cluster) onlyThese(list []*warp) bool {
	n := 0
	for w := range c.all {
		if w.state != finished {
			n++
		}
	}
	return n == len(list)
}
