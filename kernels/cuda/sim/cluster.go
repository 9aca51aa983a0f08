package sim

import (
	"context"
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// Clusters (PTX ISA, "Cluster Dimension Directives"): blocks that run side by side, of which each can arrive at the
// mbarriers of the others and copy to their shared memory. Of a kernel without .reqnctapercluster each block is one.

// cluster is blocks being executed. Their warps have one clock, so that what holds between warps of a block
// holds between those of two. An arrival at another block's mbarrier is taken to come after all that the warp has done,
// whatever its scope: CUTLASS and others hand slots back so, for what was read cannot change any more.
type cluster struct {
	clock
	worker   *worker
	blocks   []*block
	random   *rand.Rand
	released bool // a barrier let warps go on
	steps    int64

	phase            uint32   // of barrier.cluster, from 1 when the first is over
	gathered, joined []uint32 // what warps had done and knew that arrived in this phase, and in the one before
	saying, said     []uint32 // the same of mbarriers alone: up to when they had made them before their last fence.mbarrier_init
}

// reach is an arrival in another block.
type reach struct {
	time     uint32
	in, lane int
}

// rankShift is where addresses of shared::cluster have the number of their block, from 1 on; 0 is the own one.
const rankShift = 24

func (c *code) clusterBlocks() int { return c.cluster[0] * c.cluster[1] * c.cluster[2] }

// all visits the warps of all blocks.
func (c *cluster) all(yield func(*warp) bool) {
	for _, b := range c.blocks {
		for _, w := range b.warps {
			if !yield(w) {
				return
			}
		}
	}
}

// name of a warp, by its number in the cluster.
func (c *cluster) name(id int) string {
	n := len(c.blocks[0].warps)
	if len(c.blocks) == 1 {
		return fmt.Sprintf("warp %d", id)
	}
	return fmt.Sprintf("warp %d of block %d of the cluster", id%n, id/n)
}

// next is the first warp that can run.
func (c *cluster) next() *warp {
	for w := range c.all {
		if w.state == running {
			return w
		}
	}
	return nil
}

// begin makes everything ready for cluster number n.
func (c *cluster) begin(n int64) {
	l := c.worker.launch
	shape, grid := l.entry.cluster, l.call.Grid
	x, y := int64(grid[0]/shape[0]), int64(grid[1]/shape[1])
	c.random = rand.New(rand.NewPCG(l.options.Seed, uint64(n)))
	c.steps, c.released, c.phase, c.gathered, c.joined, c.saying, c.said = 0, false, 0, nil, nil, nil, nil
	c.clock.reset(len(c.blocks) * len(c.blocks[0].warps))
	for r, b := range c.blocks {
		b.index = [3]int{int(n%x)*shape[0] + r%shape[0], int(n/x%y)*shape[1] + r/shape[0]%shape[1], int(n/x/y)*shape[2] + r/shape[0]/shape[1]}
		b.begin()
	}
}

// run executes cluster number n to its end.
func (c *cluster) run(ctx context.Context, n int64) error {
	c.begin(n)
	options := &c.worker.launch.options
	var ready []*warp
	for w := range c.all {
		ready = append(ready, w)
	}
	for len(ready) > 0 {
		w := ready[c.random.IntN(len(ready))]
		quantum := 64 + c.random.IntN(448)
		w.run(quantum)
		if w.fault != nil {
			return w.fault
		}
		if c.steps += int64(quantum); w.state == running && c.steps > options.Budget*int64(len(c.blocks)) {
			w.fail(bits.TrailingZeros32(w.live), "no end after %d instructions of the block", options.Budget)
			return w.fault
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if w.state != running {
			w.block.release()
			c.release()
		} else if !c.released {
			continue
		}
		c.released = false
		ready = ready[:0]
		unfinished := 0
		for w := range c.all {
			if w.state == running {
				ready = append(ready, w)
			}
			if w.state != finished {
				unfinished++
			}
		}
		if len(ready) == 0 && unfinished > 0 {
			return c.deadlock()
		}
	}
	for _, b := range c.blocks {
		for _, check := range []func() error{b.strayGroups, b.strayCopies, b.strayReaches} {
			if err := check(); err != nil {
				return err
			}
		}
	}
	for _, b := range c.blocks {
		if clash, found := b.settle(false); found {
			return b.explain(n, clash)
		}
	}
	return nil
}

// strayReaches finds an arrival from another block that nobody here waited for before the block ended: it may have come
// when the shared memory was gone.
func (b *block) strayReaches() error {
	for w := range b.cluster.all {
		r, ok := b.reached[w.id]
		if !ok {
			continue
		}
		known := false
		for _, v := range b.warps {
			known = known || b.shared.ordered(v.id, w.id, r.time)
		}
		if !known {
			w.at = r.in
			w.enter(w.entry())
			w.fail(r.lane, "missing cluster barrier: block %d of the cluster may have ended before this reaches its shared memory", b.rank)
			return w.fault
		}
	}
	return nil
}

// clusterBarrier decodes barrier.cluster.
func (d *decoder) clusterBarrier() {
	d.count(0)
	arrives, relaxed := d.st.parts[2] == "arrive", false
	for i, p := range d.st.parts[2:] {
		relaxed = relaxed || p == "relaxed"
		if (i > 0 || p != "arrive" && p != "wait") && p != "aligned" && (p != "release" && p != "relaxed" || !arrives) && (p != "acquire" || arrives) {
			d.fail("instruction %s is not known", d.st.opcode)
		}
	}
	d.in.run = func(w *warp, mask uint32) {
		w.top().pc++
		c, lane := w.block.cluster, bits.TrailingZeros32(mask)
		switch {
		case mask == 0:
		case mask != w.live:
			w.fail(lane, "a barrier in divergent code: lanes %#08x of %#08x are here", mask, w.live)
		case arrives && w.joins != 0:
			w.fail(lane, "barrier.cluster.arrive for a second time, without barrier.cluster.wait between")
		case arrives:
			w.block.worker.counters.Barriers++
			w.joins = c.phase + 1
			if a := c.arrive(w); !relaxed {
				c.gathered = a.joins(c.gathered)
			}
			c.saying = learn(c.saying, make([]uint32, w.id+1))
			c.saying[w.id] = w.told
			c.release()
		case w.joins == 0:
			w.fail(lane, "barrier.cluster.wait without barrier.cluster.arrive before it")
		case c.phase >= w.joins:
			w.passCluster()
		default:
			w.barrier, w.state = barrierWait{id: -1, cluster: true}, waiting
		}
	}
}

// release ends the phase of the cluster's barrier if all warps that have not ended have arrived.
func (c *cluster) release() {
	arrived := false
	for w := range c.all {
		switch {
		case w.state == finished:
		case w.joins != c.phase+1:
			return
		default:
			arrived = true
		}
	}
	if !arrived {
		return
	}
	c.phase++
	c.joined, c.gathered, c.said, c.saying = c.gathered, nil, c.saying, nil
	for w := range c.all {
		if w.state == waiting && w.barrier.cluster {
			w.passCluster()
			w.state, w.barrier = running, barrierWait{}
			c.released = true
		}
	}
}

func (w *warp) passCluster() {
	c := w.block.cluster
	w.synchronised++
	c.known[w.id] = learn(c.known[w.id], c.joined)
	w.heard = learn(w.heard, c.said)
	w.joins = 0
}

// mapa is the address of the same place in another block's shared memory.
func (d *decoder) mapa() {
	d.count(3)
	if len(d.st.parts) != 3 || d.st.parts[1] != "shared::cluster" || d.st.parts[2] != "u32" {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	place := d.operand(1)
	if place.kind != isRegister {
		d.fail("an address that is no register")
	}
	to, from, block := d.destination(d.operand(0), words), d.source32(place, false), d.source32(d.operand(2), false)
	d.in.run = func(w *warp, mask uint32) {
		blocks := uint32(len(w.block.cluster.blocks))
		for m := mask; m != 0; m &= m - 1 {
			lane := bits.TrailingZeros32(m)
			a, rank := w.words[from][lane], w.words[block][lane]
			if rank >= blocks || a>>rankShift != 0 {
				w.fail(lane, "mapa of shared address %#x to block %d of a cluster of %d", a, rank, blocks)
				return
			}
			w.words[to][lane] = a | (rank+1)<<rankShift
		}
	}
}

// clusterBarrierAt is the mbarrier at a lane's address of shared::cluster.
func (w *warp) clusterBarrierAt(lane int) *mbarrier {
	rank := int(w.addresses[lane] >> rankShift)
	w.addresses[lane] &= 1<<rankShift - 1
	at, ok := w.sharedSpan(lane, 8, 1, "mbarrier")
	if !ok {
		return nil
	}
	switch {
	case rank == 0:
		return w.barrierOf(w.block, lane, at)
	case rank > len(w.block.cluster.blocks):
		w.outsideShared(lane, "mbarrier of the cluster", at|rank<<rankShift)
		return nil
	}
	return w.barrierOf(w.block.cluster.blocks[rank-1], lane, at)
}
