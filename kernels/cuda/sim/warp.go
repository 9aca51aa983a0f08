package sim

import "math/bits"

// action is what a decoded instruction does to the active lanes of a warp.
type action func(w *warp, mask uint32)

// instruction is a statement made ready to run.
type instruction struct {
	run     action
	guard   int // slot of the predicate, −1 if none
	unless  bool
	control bool // sets the place of the next instruction itself
	leaves  bool // ret or exit without a guard
	class   Class
	line    int
	target  int   // of a branch
	join    int   // where lanes that part here meet again; −1: at the end
	flops   int64 // floating operations of a lane
	reads   []place
	writes  []place
	copied  []place // sources that may be unset: then the destination is
	watched bool    // reads or writes a register that may be unset

	// Of kernels with products of four warps: registers of 32 bits that are read, from sources on written;
	// or the two of a move.
	slots   []int
	sources int
	moves   bool
}

// place is a register.
type place struct {
	file file
	slot int
}

type warpState uint8

const (
	running warpState = iota
	waiting           // at a barrier
	finished
)

// path is a part of a warp's lanes that goes its own way until it reaches join.
type path struct {
	pc, join int
	mask     uint32
}

// frame is a function being executed by a warp.
type frame struct {
	code       *code
	predicates []uint32
	words      []vec32
	doubles    []vec64
	// Which lanes of a register hold a value.
	setPredicates, setWords, setDoubles []uint32
	paths                               []path
	local                               int               // where the frame's local memory starts
	finish                              func(done *frame) // brings results to the caller
}

// warp is 32 threads that execute one instruction at a time.
type warp struct {
	block  *block
	index  int // in the block
	id     int // in the cluster
	state  warpState
	live   uint32 // lanes that have not exited
	frame  *frame
	frames []*frame
	at     int // the instruction being executed

	synchronised uint32 // how often its lanes waited for each other
	fault        *Fault

	// The current frame's registers.
	predicates []uint32
	words      []vec32
	doubles    []vec64

	local     []byte // 32 × code.deepest
	localSet  []bool
	localSize int

	addresses vec64
	buffer    [32 * 16]byte // bytes on the way between registers and memory
	chosen    uint32        // lanes that took the first operand of selp
	scratch32 vec32
	scratch64 vec64

	copies []asyncCopy // under way
	groups [32]int     // of asynchronous copies, committed by each lane

	// Of products of four warps.
	steps                int       // instructions executed with the other three
	openGroup, overGroup uint32    // the group that is not committed; the last that was waited for
	registerFences       uint32    // executed
	reading              []reading // of groups that are not over
	flying, touched      []uint32  // by register: the group that makes it; the fences before it was last written
	registers            int       // of a thread, by setmaxnreg

	joins uint32   // the phase of the cluster's barrier at which it has arrived; 0: none
	told  uint32   // when it last executed fence.mbarrier_init
	heard []uint32 // by warp: the same of others, as that barrier told

	barrier barrierWait
	spare   map[*code]*frame // of functions called before
}

func (w *warp) top() *path { return &w.frame.paths[len(w.frame.paths)-1] }

// run executes at most n instructions.
func (w *warp) run(n int) {
	counters := &w.block.worker.counters
	for ; n > 0 && w.state == running; n-- {
		top := w.top()
		if top.pc == top.join {
			w.frame.paths = w.frame.paths[:len(w.frame.paths)-1]
			continue
		}
		w.at = top.pc
		in := &w.frame.code.instructions[top.pc]
		mask := top.mask
		if in.watched && !w.holds(in, mask) {
			return
		}
		if in.guard >= 0 {
			p := w.predicates[in.guard]
			if in.unless {
				p = ^p
			}
			mask &= p
		}
		if !in.control {
			top.pc++
			if mask == 0 {
				continue
			}
		}
		if in.slots != nil && !w.mayTouch(in, mask) {
			return
		}
		f := w.frame
		lanes := int64(bits.OnesCount32(mask))
		counters.Instructions[in.class]++
		counters.LaneInstructions += lanes
		counters.FLOPs += in.flops * lanes
		in.run(w, mask)
		if w.fault != nil {
			return
		}
		if in.watched {
			f.wrote(in, mask, w.chosen)
		}
	}
}

// wrote notes which lanes of the destinations hold values now. Of two sources
// that were copied (selp) the first was taken by the lanes of chosen.
func (f *frame) wrote(in *instruction, mask, chosen uint32) {
	holding := ^uint32(0)
	switch len(in.copied) {
	case 1:
		holding = f.set(in.copied[0].file)[in.copied[0].slot]
	case 2:
		a, b := in.copied[0], in.copied[1]
		holding = f.set(a.file)[a.slot]&chosen | f.set(b.file)[b.slot]&^chosen
	}
	for _, r := range in.writes {
		set := f.set(r.file)
		set[r.slot] = set[r.slot]&^mask | holding&mask
	}
}

// holds checks that the lanes that execute an instruction hold values in what it reads.
func (w *warp) holds(in *instruction, mask uint32) bool {
	f := w.frame
	if in.guard >= 0 {
		if missing := mask &^ f.setPredicates[in.guard]; missing != 0 {
			w.fail(bits.TrailingZeros32(missing), "reads a predicate that was never set")
			return false
		}
		p := w.predicates[in.guard]
		if in.unless {
			p = ^p
		}
		mask &= p
	}
	for _, r := range in.reads {
		if missing := mask &^ f.set(r.file)[r.slot]; missing != 0 {
			w.fail(bits.TrailingZeros32(missing), "reads a register that was never set")
			return false
		}
	}
	return true
}

func (f *frame) set(k file) []uint32 {
	switch k {
	case words:
		return f.setWords
	case doubles:
		return f.setDoubles
	}
	return f.setPredicates
}

// enter makes f the current frame.
func (w *warp) enter(f *frame) {
	w.frame = f
	w.predicates, w.words, w.doubles = f.predicates, f.words, f.doubles
}

// branch sends the lanes of taken to target; the others go on.
func (w *warp) branch(in *instruction, taken uint32, target int) {
	top := w.top()
	rest := top.mask &^ taken
	next := top.pc + 1
	switch {
	case taken == 0:
		top.pc = next
	case rest == 0:
		top.pc = target
	default:
		w.part(in.join, path{next, in.join, rest}, path{target, in.join, taken})
	}
}

// part replaces the current path by several that meet at join. Paths that lead
// straight to the function's end go first: lanes that are gone hold up no barrier.
func (w *warp) part(join int, ways ...path) {
	f := w.frame
	top := w.top()
	if top.join == join {
		f.paths = f.paths[:len(f.paths)-1]
	} else {
		top.pc = join
	}
	var first []path
	for _, p := range ways {
		switch {
		case p.pc == join:
		case f.code.instructions[p.pc].leaves:
			first = append(first, p)
		default:
			f.paths = append(f.paths, p)
		}
	}
	f.paths = append(f.paths, first...)
}

// leave ends lanes: of the kernel if all is true, else of the current function.
func (w *warp) leave(mask uint32, all bool) {
	frames := w.frames[len(w.frames)-1:]
	if all {
		w.live &^= mask
		frames = w.frames
	}
	for _, f := range frames {
		kept := f.paths[:0]
		for _, p := range f.paths {
			if p.mask &^= mask; p.mask != 0 {
				kept = append(kept, p)
			}
		}
		f.paths = kept
	}
	for len(w.frame.paths) == 0 {
		done := w.frame
		w.frames = w.frames[:len(w.frames)-1]
		if len(w.frames) == 0 {
			w.state = finished
			return
		}
		w.enter(w.frames[len(w.frames)-1])
		done.finish(done)
	}
}
