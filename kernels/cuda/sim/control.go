package sim

import (
	"math/bits"
)

func (d *decoder) control() {
	d.in.class, d.in.control = Control, true
}

func (d *decoder) bra() {
	d.control()
	d.count(1)
	target, ok := d.st.scope.label(d.operand(0).symbol)
	if !ok {
		d.fail("label %s is not there", d.operand(0).symbol)
	}
	in := d.in
	in.target = target
	d.in.run = func(w *warp, mask uint32) {
		in := &w.frame.code.instructions[w.at]
		w.branch(in, mask, in.target)
	}
}

func (d *decoder) branchTargets() []int {
	var targets []int
	name := d.operand(1).symbol
	for _, label := range d.st.scope.branchTargets(name) {
		t, ok := d.st.scope.label(label)
		if !ok {
			d.fail("label %s is not there", label)
		}
		targets = append(targets, t)
	}
	if len(targets) == 0 {
		d.fail("branch targets %s are not there", name)
	}
	return targets
}

// brx jumps to a place in a table.
func (d *decoder) brx() {
	d.control()
	d.count(2)
	if d.st.guard != nil {
		d.fail("an indirect branch with a guard is not known")
	}
	index := d.source32(d.operand(0), false)
	targets := d.branchTargets()
	d.in.run = func(w *warp, mask uint32) {
		in := &w.frame.code.instructions[w.at]
		groups := map[int]uint32{}
		for m := mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			k := int(w.words[index][i])
			if k >= len(targets) {
				w.fail(i, "branch %d of a table of %d", k, len(targets))
				return
			}
			groups[targets[k]] |= 1 << i
		}
		if len(groups) == 1 {
			for target := range groups {
				w.top().pc = target
			}
			return
		}
		var ways []path
		for _, target := range targets {
			if lanes := groups[target]; lanes != 0 {
				ways = append(ways, path{target, in.join, lanes})
				delete(groups, target)
			}
		}
		w.part(in.join, ways...)
	}
}

func returnLanes(all bool) action {
	return func(w *warp, mask uint32) {
		w.top().pc++
		if mask != 0 {
			w.leave(mask, all)
		}
	}
}

func (d *decoder) ret() {
	d.control()
	d.in.leaves = d.st.guard == nil
	d.in.run = returnLanes(d.code.entry || d.st.parts[0] == "exit")
}

func (d *decoder) trap() {
	d.in.class = Control
	d.in.run = func(w *warp, mask uint32) {
		w.fail(bits.TrailingZeros32(mask), "%s", "the kernel gave up (trap)")
	}
}

// call runs a device function. Arguments and results are .param variables, in
// the local memory of caller and callee.
func (d *decoder) call() {
	d.control()
	var name string
	var results, arguments []operand
	for _, o := range d.st.operands {
		switch {
		case o.kind == isSymbol:
			name = o.symbol
		case o.kind == isVector && name == "":
			results = o.list
		case o.kind == isVector:
			arguments = o.list
		default:
			d.fail("instruction %s is not known: an indirect call", d.st.opcode)
		}
	}
	callee := d.program.functions[name]
	if callee == nil || callee.entry {
		d.fail("function %s has no body in the module", name)
	}
	d.code.calls = append(d.code.calls, callee)
	variables := func(list []operand) []*variable {
		var vs []*variable
		for _, o := range list {
			v := d.st.scope.variable(o.symbol)
			if o.kind != isSymbol || v == nil {
				d.fail("an argument that is no parameter variable")
			}
			vs = append(vs, v)
		}
		return vs
	}
	in, out := variables(arguments), variables(results)
	d.in.run = func(w *warp, mask uint32) {
		w.top().pc++
		if mask == 0 {
			return
		}
		if len(in) != len(callee.params) || len(out) != len(callee.results) {
			w.fail(0, "a call of %s with %d arguments and %d results, it has %d and %d", name, len(in), len(out), len(callee.params), len(callee.results))
			return
		}
		caller := w.frame
		f := w.spare[callee]
		if f == nil {
			f = newFrame(callee)
			if w.spare == nil {
				w.spare = map[*code]*frame{}
			}
			w.spare[callee] = f
		}
		f.begin(w, mask)
		f.local = caller.local + alignUp(caller.code.localBytes, 16)
		for m := mask; m != 0; m &= m - 1 {
			at := bits.TrailingZeros32(m)*w.localSize + f.local
			clear(w.localSet[at : at+callee.localBytes])
		}
		for i, v := range in {
			w.copyLocal(mask, f.local+int(callee.params[i].offset), caller.local+int(v.offset), min(v.bytes, callee.params[i].bytes))
		}
		f.finish = func(done *frame) {
			for i, v := range out {
				w.copyLocal(mask&w.live, caller.local+int(v.offset), done.local+int(callee.results[i].offset), min(v.bytes, callee.results[i].bytes))
			}
		}
		w.frames = append(w.frames, f)
		w.enter(f)
	}
}

// copyLocal copies within the local memory of lanes, with what is known of it.
func (w *warp) copyLocal(mask uint32, to, from, n int) {
	for m := mask; m != 0; m &= m - 1 {
		base := bits.TrailingZeros32(m) * w.localSize
		copy(w.local[base+to:][:n], w.local[base+from:])
		copy(w.localSet[base+to:][:n], w.localSet[base+from:])
	}
}

// bar decodes the barriers of a block and of a warp.
func (d *decoder) bar() {
	parts := d.st.parts
	if len(parts) > 1 && parts[1] == "warp" {
		d.warpBarrier()
		return
	}
	d.control()
	if len(parts) > 2 && parts[0] == "barrier" && parts[1] == "cluster" {
		d.clusterBarrier()
		return
	}
	var rest []string
	for _, p := range parts[1:] {
		if p != "cta" && p != "aligned" {
			rest = append(rest, p)
		}
	}
	if len(rest) == 0 {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	number := func(i int) func(w *warp, lane int) int {
		if i >= len(d.st.operands) {
			return func(*warp, int) int { return 0 }
		}
		s := d.source32(d.operand(i), false)
		return func(w *warp, lane int) int { return int(int32(w.words[s][lane])) }
	}
	switch rest[0] {
	case "sync", "arrive":
		arrive := rest[0] == "arrive"
		id, count := number(0), number(1)
		d.in.run = func(w *warp, mask uint32) {
			w.top().pc++
			if mask == 0 {
				return
			}
			lane := bits.TrailingZeros32(mask)
			w.sync(barrierWait{id: id(w, lane), count: count(w, lane), lanes: mask}, arrive)
		}
	case "red":
		d.reducingBarrier(rest[1], number)
	default:
		d.fail("instruction %s is not known", d.st.opcode)
	}
}

// reducingBarrier is bar.red: a barrier that also counts or combines a predicate.
func (d *decoder) reducingBarrier(op string, number func(i int) func(w *warp, lane int) int) {
	last := len(d.st.operands) - 1
	id, count := number(1), func(*warp, int) int { return 0 }
	if last == 3 {
		count = number(2)
	}
	value := d.truth(d.operand(last))
	f := predicates
	if op == "popc" {
		f = words
	}
	out := d.destination(d.operand(0), f)
	d.in.run = func(w *warp, mask uint32) {
		w.top().pc++
		if mask == 0 {
			return
		}
		lane := bits.TrailingZeros32(mask)
		wait := barrierWait{id: id(w, lane), count: count(w, lane), lanes: mask, value: value(w) & mask}
		wait.resume = func(yes, of int) {
			switch {
			case op == "popc":
				for m := mask; m != 0; m &= m - 1 {
					w.words[out][bits.TrailingZeros32(m)] = uint32(yes)
				}
			case op == "and" && yes == of || op == "or" && yes > 0:
				w.predicates[out] |= mask
			default:
				w.predicates[out] &^= mask
			}
		}
		w.sync(wait, false)
	}
}

// warpBarrier is bar.warp.sync.
func (d *decoder) warpBarrier() {
	d.in.class = Control
	d.count(1)
	members := d.source32(d.operand(0), false)
	d.in.run = func(w *warp, mask uint32) {
		if w.gathered(mask, members) {
			w.synchronised++
		}
	}
}
