package sim

import (
	"cmp"
	"context"
	"math/bits"
	"math/rand/v2"
)

// worker executes blocks one after the other. Its warps and their registers are used again.
type worker struct {
	launch   *launch
	block    block
	counters Counters
	last     *allocation // that was accessed last

	banks      banks
	notes      notes // of the current block
	spare      []*pageNotes
	words      []vec32 // where the registers of all warps lie
	doubles    []vec64
	masks      []uint32
	fenced     bool   // the block executed a fence
	watched    uint64 // an address whose access is looked for, 0: none
	watchReads bool
	seen       bool
	seenBy     int // lane

	right [32][16][8]float32 // operand of a product of four warps, in panels of 8 columns
}

// block is a thread block (CTA) being executed.
type block struct {
	worker   *worker
	launch   *launch
	entry    *code
	index    [3]int
	size     [3]int
	warps    []*warp
	shared   sharedMemory
	barriers [16]barrier
	random   *rand.Rand
	released bool // a barrier let warps go on
	steps    int64

	groups        []warpgroup
	freeRegisters int // that setmaxnreg has taken from warps
}

// work takes blocks until none are left or one failed.
func (k *worker) work(ctx context.Context, blocks int64) {
	l := k.launch
	for {
		i := l.next.Add(1) - 1
		l.mu.Lock()
		stop := i >= l.faulty
		l.mu.Unlock()
		if stop || i >= blocks {
			return
		}
		if err := k.block.run(ctx, l.pick(i)); err != nil {
			l.mu.Lock()
			if i < l.faulty { // of several faults the first block's is reported, whatever the workers
				l.fault, l.faulty = err, i
			}
			l.mu.Unlock()
		}
	}
}

// begin makes everything ready for block number n.
func (b *block) begin(n int64) {
	grid := b.launch.call.Grid
	x, y := int64(grid[0]), int64(grid[1])
	b.index = [3]int{int(n % x), int(n / x % y), int(n / x / y)}
	b.random = rand.New(rand.NewPCG(b.launch.options.Seed, uint64(n)))
	b.barriers = [16]barrier{}
	b.steps = 0
	b.shared.reset()
	b.worker.fenced = false
	threads := b.size[0] * b.size[1] * b.size[2]
	b.groups = resize(b.groups, len(b.warps)/4)
	for i := range b.groups {
		b.groups[i] = b.groups[i][:0]
	}
	b.freeRegisters = 0
	for i, w := range b.warps {
		w.registers = b.launch.startRegisters(threads)
		w.start(^uint32(0) >> (32 - min(32, threads-32*i)))
	}
}

// run executes block number n to its end.
func (b *block) run(ctx context.Context, n int64) error {
	b.begin(n)
	ready := append(make([]*warp, 0, len(b.warps)), b.warps...)
	for len(ready) > 0 {
		i := b.random.IntN(len(ready))
		w := ready[i]
		quantum := 64 + b.random.IntN(448)
		w.run(quantum)
		if w.fault != nil {
			return w.fault
		}
		if b.steps += int64(quantum); w.state == running && b.steps > b.launch.options.Budget {
			w.fail(bits.TrailingZeros32(w.live), "no end after %d instructions of the block", b.launch.options.Budget)
			return w.fault
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if w.state != running {
			b.release()
		} else if !b.released {
			continue
		}
		b.released = false
		ready = ready[:0]
		unfinished := 0
		for _, w := range b.warps {
			if w.state == running {
				ready = append(ready, w)
			}
			if w.state != finished {
				unfinished++
			}
		}
		if len(ready) == 0 && unfinished > 0 {
			return b.deadlock()
		}
	}
	if err := cmp.Or(b.strayGroups(), b.strayCopies()); err != nil {
		return err
	}
	if c, found := b.worker.settle(false); found {
		return b.explain(n, c)
	}
	return nil
}

// start makes a warp ready for a new block.
func (w *warp) start(live uint32) {
	b := w.block
	w.state, w.live, w.fault, w.synchronised = running, live, nil, 0
	entry := w.entry()
	w.frames = append(w.frames[:0], entry)
	entry.begin(w, live)
	clear(w.localSet)
	w.copies, w.groups = w.copies[:0], [32]int{}
	w.barrier, w.steps = barrierWait{}, 0
	if entry.code.grouped {
		w.openGroup, w.overGroup, w.registerFences, w.reading = 1, 0, 0, w.reading[:0]
		w.flying, w.touched = resize(w.flying, len(entry.words)), resize(w.touched, len(entry.words))
		if n := (len(b.shared.data) + 15) / 16 * len(b.warps); len(b.shared.endedAt) != n {
			b.shared.endedAt = make([]uint32, n)
		}
		clear(w.flying)
		clear(w.touched)
	}
	w.enter(entry)
}

func (w *warp) entry() *frame { return w.frames[:1][0] }

// begin makes a frame fresh: only constants and special registers hold values.
func (f *frame) begin(w *warp, mask uint32) {
	c := f.code
	for _, p := range c.watched {
		f.set(p.file)[p.slot] = 0
	}
	for _, s := range c.specials {
		for lane := range 32 {
			f.words[s.slot][lane] = w.special(s.name, lane)
		}
	}
	f.paths = append(f.paths[:0], path{0, -1, mask})
}

// special is the value of a special register that does not change while a block runs.
func (w *warp) special(name string, lane int) uint32 {
	b, thread := w.block, w.thread(lane)
	pick := func(v [3]int) uint32 { return uint32(v[name[len(name)-1]-'x']) }
	switch name {
	case "%tid.x", "%tid.y", "%tid.z":
		return pick(thread)
	case "%ntid.x", "%ntid.y", "%ntid.z":
		return pick(b.size)
	case "%ctaid.x", "%ctaid.y", "%ctaid.z":
		return pick(b.index)
	case "%nctaid.x", "%nctaid.y", "%nctaid.z":
		return pick(b.launch.call.Grid)
	case "%laneid":
		return uint32(lane)
	case "%warpid":
		return uint32(w.index)
	case "%nwarpid":
		return uint32(len(b.warps))
	case "%lanemask_eq":
		return 1 << lane
	case "%lanemask_lt":
		return 1<<lane - 1
	case "%lanemask_le":
		return 2<<lane - 1
	case "%lanemask_gt":
		return ^uint32(2<<lane - 1)
	case "%lanemask_ge":
		return ^uint32(1<<lane - 1)
	case "%dynamic_smem_size":
		return uint32(b.launch.call.Shared)
	case "%total_smem_size":
		return uint32(b.launch.call.Shared + b.entry.sharedBytes)
	}
	return 0 // %smid, %gridid: decode knows all names
}
