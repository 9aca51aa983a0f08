package sim

// What a launch needs (registers, shared memory, notes of accesses) is used again
// by the next: a training step is hundreds of launches.

// pool is what a machine keeps between launches; the machine's mutex guards it.
type pool struct {
	workers []*worker
	races   []*raceCheck
}

// worker takes a worker, or makes one.
func (m *Machine) worker() *worker {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.pool.workers); n > 0 {
		k := m.pool.workers[n-1]
		m.pool.workers = m.pool.workers[:n-1]
		return k
	}
	return new(worker)
}

func (m *Machine) raceCheck(pages int) *raceCheck {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := new(raceCheck)
	if n := len(m.pool.races); n > 0 {
		r = m.pool.races[n-1]
		m.pool.races = m.pool.races[:n-1]
	}
	r.ended.grow(pages)
	r.released.grow(pages)
	return r
}

// giveBack keeps what a launch used. Pages of notes go to the workers.
func (m *Machine) giveBack(workers []*worker, r *raceCheck) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range workers {
		for _, b := range k.cluster.blocks {
			b.notes.empty(k)
			b.launch = nil
		}
		k.launch, k.last = nil, nil
	}
	if r != nil {
		r.ended.empty(workers[0])
		r.released.empty(workers[0])
		m.pool.races = append(m.pool.races, r)
	}
	m.pool.workers = append(m.pool.workers, workers...)
}

func (n *notes) grow(pages int) {
	if len(n.pages) < pages {
		n.pages = append(n.pages, make([]*pageNotes, pages-len(n.pages))...)
	}
}

// sparePages is how many pages of notes a worker keeps: 64 MB.
const sparePages = 64 << 10

func (n *notes) empty(k *worker) {
	for _, number := range n.touched {
		if p := n.pages[number]; p != nil && len(k.spare) < sparePages {
			k.spare = append(k.spare, p)
		}
		n.pages[number] = nil
	}
	n.touched = n.touched[:0]
}

// resize gives a slice n elements, of any value.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// bind makes a worker ready for the clusters of a launch.
func (k *worker) bind(l *launch) {
	k.launch, k.counters, k.last = l, Counters{}, nil
	n, e := l.entry.clusterBlocks(), l.entry
	count := (l.call.Block[0]*l.call.Block[1]*l.call.Block[2] + 31) / 32
	all := n * count
	k.words = resize(k.words, all*len(e.words))
	k.doubles = resize(k.doubles, all*len(e.doubles))
	k.masks = resize(k.masks, all*(2*e.predicates+len(e.words)+len(e.doubles)))
	words, doubles, masks := k.words, k.doubles, k.masks
	c := &k.cluster
	c.worker = k
	for len(c.blocks) < n {
		c.blocks = append(c.blocks, &block{reached: map[int]reach{}})
	}
	c.blocks = c.blocks[:n]
	for rank, b := range c.blocks {
		b.worker, b.launch, b.entry, b.size, b.cluster, b.rank = k, l, e, l.call.Block, c, rank
		if !l.alone {
			b.notes.grow(len(l.pages))
		}
		b.shared.clock = &c.clock
		b.shared.bind(l)
		for len(b.warps) < count {
			b.warps = append(b.warps, &warp{frames: []*frame{new(frame)}})
		}
		b.warps = b.warps[:count]
		for i, w := range b.warps {
			w.block, w.index, w.id, w.spare, w.localSize = b, i, rank*count+i, nil, e.deepest
			w.local = resize(w.local, 32*w.localSize)
			w.localSet = resize(w.localSet, 32*w.localSize)
			words, doubles, masks = w.entry().lay(e, words, doubles, masks)
		}
	}
}

// lay gives a frame its registers out of the given ones, with the constants in
// place, and returns the rest.
func (f *frame) lay(c *code, words []vec32, doubles []vec64, masks []uint32) ([]vec32, []vec64, []uint32) {
	nw, nd, np := len(c.words), len(c.doubles), c.predicates
	f.code, f.local = c, 0
	f.words, words = words[:nw:nw], words[nw:]
	f.doubles, doubles = doubles[:nd:nd], doubles[nd:]
	for _, slot := range c.constants32 {
		f.words[slot] = c.words[slot]
	}
	for _, slot := range c.constants64 {
		f.doubles[slot] = c.doubles[slot]
	}
	for _, list := range []struct {
		to *[]uint32
		n  int
		as uint32
	}{{&f.predicates, np, 0}, {&f.setPredicates, np, ^uint32(0)}, {&f.setWords, nw, ^uint32(0)}, {&f.setDoubles, nd, ^uint32(0)}} {
		*list.to, masks = masks[:list.n:list.n], masks[list.n:]
		for i := range *list.to {
			(*list.to)[i] = list.as
		}
	}
	return words, doubles, masks
}

// newFrame is a frame with registers of its own, for a function that is called.
func newFrame(c *code) *frame {
	f := new(frame)
	f.lay(c, make([]vec32, len(c.words)), make([]vec64, len(c.doubles)), make([]uint32, 2*c.predicates+len(c.words)+len(c.doubles)))
	return f
}
