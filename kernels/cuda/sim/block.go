package sim

import "context"

// worker executes blocks one after the other. Its warps and their registers are used again.
type worker struct {
	launch   *launch
	cluster  cluster
	counters Counters
	last     *allocation // that was accessed last

	banks   banks
	spare   []*pageNotes
	words   []vec32 // where the registers of all warps lie
	doubles []vec64
	masks   []uint32

	right [32][16][8]float32 // operand of a product of four warps, in panels of 8 columns
}

// block is a thread block (CTA) being executed.
type block struct {
	worker   *worker
	launch   *launch
	entry    *code
	cluster  *cluster
	rank     int // in the cluster
	index    [3]int
	size     [3]int
	warps    []*warp
	shared   sharedMemory
	barriers [16]barrier
	reached  map[int]reach // by id of a warp of another block: when it last reached this one

	notes      notes
	fenced     bool   // the block executed a fence
	watched    uint64 // an address whose access is looked for, 0: none
	watchReads bool
	seen       bool
	seenBy     int // lane

	groups        []warpgroup
	freeRegisters int // that setmaxnreg has taken from warps
}

// work takes clusters until none are left or one failed.
func (k *worker) work(ctx context.Context, clusters int64) {
	l := k.launch
	for {
		i := l.next.Add(1) - 1
		l.mu.Lock()
		stop := i >= l.faulty
		l.mu.Unlock()
		if stop || i >= clusters {
			return
		}
		if err := k.cluster.run(ctx, l.pick(i)); err != nil {
			l.mu.Lock()
			if i < l.faulty { // of several faults the first cluster's is reported, whatever the workers
				l.fault, l.faulty = err, i
			}
			l.mu.Unlock()
		}
	}
}

// begin makes everything ready for the block at its index.
func (b *block) begin() {
	b.barriers = [16]barrier{}
	b.shared.reset()
	clear(b.reached)
	b.fenced = false
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

// start makes a warp ready for a new block.
func (w *warp) start(live uint32) {
	b := w.block
	w.state, w.live, w.fault, w.synchronised = running, live, nil, 0
	entry := w.entry()
	w.frames = append(w.frames[:0], entry)
	entry.begin(w, live)
	clear(w.localSet)
	w.copies, w.groups = w.copies[:0], [32]int{}
	w.barrier, w.steps, w.joins, w.told, w.heard = barrierWait{}, 0, 0, 0, w.heard[:0]
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
	shape := b.entry.cluster
	apart := func(v [3]int, by func(a, b int) int) [3]int {
		return [3]int{by(v[0], shape[0]), by(v[1], shape[1]), by(v[2], shape[2])}
	}
	whole, rest := func(a, b int) int { return a / b }, func(a, b int) int { return a % b }
	switch name {
	case "%tid.x", "%tid.y", "%tid.z":
		return pick(thread)
	case "%ntid.x", "%ntid.y", "%ntid.z":
		return pick(b.size)
	case "%ctaid.x", "%ctaid.y", "%ctaid.z":
		return pick(b.index)
	case "%nctaid.x", "%nctaid.y", "%nctaid.z":
		return pick(b.launch.call.Grid)
	case "%cluster_ctaid.x", "%cluster_ctaid.y", "%cluster_ctaid.z":
		return pick(apart(b.index, rest))
	case "%cluster_nctaid.x", "%cluster_nctaid.y", "%cluster_nctaid.z":
		return pick(shape)
	case "%clusterid.x", "%clusterid.y", "%clusterid.z":
		return pick(apart(b.index, whole))
	case "%nclusterid.x", "%nclusterid.y", "%nclusterid.z":
		return pick(apart(b.launch.call.Grid, whole))
	case "%cluster_ctarank":
		return uint32(b.rank)
	case "%cluster_nctarank":
		return uint32(len(b.cluster.blocks))
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
