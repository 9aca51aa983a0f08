package sim

// Which registers need watching. A register that holds a value wherever it is read,
// on every way through the function, cannot be read unset; only of the others must
// be known at run time which lanes hold a value. NVRTC's code has very few of them.

// bitset is a set of registers, by their number in the function.
type bitset []uint64

func (b bitset) has(i int) bool { return b[i>>6]>>(i&63)&1 != 0 }
func (b bitset) add(i int)      { b[i>>6] |= 1 << (i & 63) }

// meet keeps what is in both; it tells whether b changed.
func (b bitset) meet(o bitset) (changed bool) {
	for i := range b {
		v := b[i] & o[i]
		changed = changed || v != b[i]
		b[i] = v
	}
	return changed
}

// watch finds the registers that may be read unset and removes the others from
// the lists of the instructions.
func (c *code) watch(registers []*register, successors [][]int) {
	number := func(p place) int {
		switch p.file {
		case words:
			return c.predicates + p.slot
		case doubles:
			return c.predicates + len(c.words) + p.slot
		}
		return p.slot
	}
	total := c.predicates + len(c.words) + len(c.doubles)
	size := (total + 63) / 64
	start := make(bitset, size) // constants and special registers hold values from the start
	for i := range start {
		start[i] = ^uint64(0)
	}
	for _, r := range registers {
		i := number(place{r.file, r.slot})
		start[i>>6] &^= 1 << (i & 63)
	}
	// Forward: what certainly holds a value before each instruction.
	before := make([]bitset, len(c.instructions))
	before[0] = start
	work := []int{0}
	after := make(bitset, size)
	for len(work) > 0 {
		i := work[len(work)-1]
		work = work[:len(work)-1]
		in := &c.instructions[i]
		copy(after, before[i])
		if in.guard < 0 {
			certain := true
			for _, p := range in.copied {
				certain = certain && before[i].has(number(p))
			}
			if certain {
				for _, p := range in.writes {
					after.add(number(p))
				}
			}
		}
		for _, s := range successors[i] {
			if s >= len(before) {
				continue
			}
			if before[s] == nil {
				before[s] = append(bitset(nil), after...)
				work = append(work, s)
			} else if before[s].meet(after) {
				work = append(work, s)
			}
		}
	}
	watched := make(bitset, size)
	for i := range c.instructions {
		in := &c.instructions[i]
		if before[i] == nil { // never reached
			continue
		}
		reads := append(append([]place(nil), in.reads...), in.copied...)
		if in.guard >= 0 {
			reads = append(reads, place{predicates, in.guard})
		}
		for _, p := range reads {
			if !before[i].has(number(p)) {
				watched.add(number(p))
			}
		}
	}
	keep := func(list []place) (kept []place) {
		for _, p := range list {
			if watched.has(number(p)) {
				kept = append(kept, p)
			}
		}
		return kept
	}
	for i := range c.instructions {
		in := &c.instructions[i]
		in.reads, in.writes = keep(in.reads), keep(in.writes)
		in.watched = len(in.reads)+len(in.writes) > 0 || in.guard >= 0 && watched.has(number(place{predicates, in.guard}))
	}
	for _, r := range registers {
		if p := (place{r.file, r.slot}); watched.has(number(p)) {
			c.watched = append(c.watched, p)
		}
	}
}
