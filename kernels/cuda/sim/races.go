package sim

import "math/bits"

// Races between the blocks of a launch. Every block notes which bytes of global
// memory it read and wrote; when it ends, its notes are held against those of the
// blocks before. Whatever one wrote and another touched is a race, for blocks run
// in any order. Two things order blocks: atomic operations, which are not noted,
// and fences: what a block did before a fence may be used by a block after a
// fence of its own (that it looked at a flag between is taken on trust).

// pageNotes are a page's notes, one bit a byte.
type pageNotes struct{ read, written [pageSize / 64]uint64 }

// notes are pages by their number, and the numbers of those there are.
type notes struct {
	pages   []*pageNotes
	touched []int
}

// raceCheck is the launch's side.
type raceCheck struct {
	ended    notes // by blocks that ended, since their last fence
	released notes // before fences
}

// note records an access of n bytes by a lane and those that follow it, size bytes each.
func (b *block) note(lane int, a uint64, size, n int, write bool) {
	if b.launch.alone {
		return
	}
	if b.watched != 0 && a <= b.watched && b.watched < a+uint64(n) && (write || b.watchReads) && !b.seen {
		b.seen, b.seenBy = true, lane+int(b.watched-a)/size
	}
	a -= memoryBase
	for n > 0 {
		number := int(a >> pageShift)
		page := b.notes.pages[number]
		if page == nil {
			page = b.worker.newPage()
			b.notes.pages[number] = page
			b.notes.touched = append(b.notes.touched, number)
		}
		at := int(a & (pageSize - 1))
		here := min(n, pageSize-at)
		set := &page.read
		if write {
			set = &page.written
		}
		a, n = a+uint64(here), n-here
		for here > 0 {
			s := at & 63
			part := min(64-s, here)
			set[at>>6] |= ^uint64(0) >> (64 - part) << s
			at, here = at+part, here-part
		}
	}
}

func (k *worker) newPage() *pageNotes {
	if n := len(k.spare); n > 0 {
		p := k.spare[n-1]
		k.spare = k.spare[:n-1]
		*p = pageNotes{}
		return p
	}
	return new(pageNotes)
}

// clash is a byte that two blocks touched and one wrote.
type clash struct {
	address uint64
	reads   bool // this block only read it, or wrote what another read
}

// settle holds the notes of a block against the launch's and adds them to it:
// to released at a fence, to ended at the block's end. A block that executed a
// fence before may touch what was released.
func (b *block) settle(fence bool) (c clash, found bool) {
	l := b.launch
	if l.alone {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	into := &l.races.ended
	if fence {
		into = &l.races.released
	}
	for _, number := range b.notes.touched {
		mine := b.notes.pages[number]
		b.notes.pages[number] = nil
		for _, others := range [2]*notes{&l.races.ended, &l.races.released} {
			if theirs := others.pages[number]; theirs != nil && !found && (!b.fenced || others == &l.races.ended) {
				c, found = mine.against(theirs, memoryBase+uint64(number)<<pageShift)
			}
		}
		theirs := into.pages[number]
		if theirs == nil {
			into.pages[number] = mine
			into.touched = append(into.touched, number)
			continue
		}
		for i := range mine.read {
			theirs.read[i] |= mine.read[i]
			theirs.written[i] |= mine.written[i]
		}
		b.worker.spare = append(b.worker.spare, mine)
	}
	b.notes.touched = b.notes.touched[:0]
	return c, found
}

// against finds the first clash of two pages of notes.
func (p *pageNotes) against(o *pageNotes, base uint64) (clash, bool) {
	for i := range p.read {
		if hit := p.written[i]&(o.written[i]|o.read[i]) | p.read[i]&o.written[i]; hit != 0 {
			at := bits.TrailingZeros64(hit)
			return clash{base + uint64(64*i+at), p.written[i]>>at&1 == 0}, true
		}
	}
	return clash{}, false
}

// explain runs the block's cluster, the n-th, again to find the instruction and thread of a clash.
func (b *block) explain(n int64, c clash) error {
	b.watched, b.watchReads, b.seen = c.address, c.reads, false
	defer func() { b.watched = 0 }()
	what := "store to"
	if c.reads {
		what = "load from"
	}
	b.cluster.begin(n)
	for {
		w := b.cluster.next()
		if w == nil {
			break
		}
		w.run(1)
		switch {
		case b.seen && w.fault == nil:
			w.fail(b.seenBy, "race: %s global address %#x, which another block of the launch accesses too", what, c.address)
			return w.fault
		case w.fault != nil:
			return w.fault
		}
		if w.state != running {
			w.block.release()
			b.cluster.release()
		}
	}
	w := b.warps[0]
	w.at = 0
	w.enter(w.entry())
	w.fail(0, "race: %s global address %#x, which another block of the launch accesses too (the instruction is not known)", what, c.address)
	return w.fault
}
