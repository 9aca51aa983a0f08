package sim

import (
	"fmt"
	"math/bits"
	"strings"
)

// decoder turns the statements of one function into instructions.
type decoder struct {
	program *program
	fn      *function
	code    *code
	st      *statement
	in      *instruction
	dummy32 int // slot read where an instruction has no such operand
	dummy64 int
	sinks   map[file]int
	special map[string]int // slots of special registers
}

// compile fills in the code of a function.
func compile(p *program, fn *function) (err error) {
	c := p.functions[fn.name]
	c.constants32, c.constants64 = map[uint32]int{}, map[uint64]int{}
	c.params, c.results, c.maxBlock, c.minBlocks, c.cluster, c.granule = fn.params, fn.results, fn.maxBlock, fn.minBlocks, fn.cluster, 16
	d := &decoder{program: p, fn: fn, code: c, sinks: map[file]int{}, special: map[string]int{}}
	defer func() {
		if e, ok := recover().(parseError); ok {
			err = fmt.Errorf("sim: module %s: function %s: %w", p.src.name, fn.name, e.err)
		}
	}()
	d.layout()
	d.dummy32, d.dummy64 = d.constant32(0), d.constant64(0)
	for _, r := range fn.registers {
		switch r.file {
		case predicates:
			r.slot = c.predicates
			c.predicates++
		case words:
			r.slot = d.word()
		case doubles:
			r.slot = d.double()
		}
	}
	successors := make([][]int, len(fn.body)+1)
	for i, st := range fn.body {
		d.st = st
		c.instructions = append(c.instructions, instruction{guard: -1, line: st.line, join: -1})
		d.in = &c.instructions[i]
		if st.guard != nil {
			d.in.guard, d.in.unless = st.guard.slot, st.unless
		}
		d.instruction()
		successors[i] = d.successors(i)
	}
	// Running off the end is a return.
	c.instructions = append(c.instructions, instruction{guard: -1, join: -1, control: true, leaves: true, line: fn.line, class: Control, run: returnLanes(c.entry)})
	successors[len(fn.body)] = []int{len(fn.body) + 1}
	if c.grouped {
		c.noteSlots(fn.registers)
	}
	c.watch(fn.registers, successors)
	for i, join := range joins(successors) {
		if join >= 0 && !c.instructions[join].leaves {
			c.instructions[i].join = join
		}
	}
	return nil
}

// noteSlots keeps which words an instruction reads and writes, for mayTouch. Products look at their own.
func (c *code) noteSlots(registers []*register) {
	declared := map[int]bool{}
	for _, r := range registers {
		if r.file == words {
			declared[r.slot] = true
		}
	}
	for i := range c.instructions {
		in := &c.instructions[i]
		if in.class == Tensor {
			continue
		}
		add := func(list []place) {
			for _, p := range list {
				if p.file == words {
					in.slots = append(in.slots, p.slot)
				}
			}
		}
		add(in.reads)
		add(in.copied)
		in.sources = len(in.slots)
		add(in.writes)
		in.moves = in.sources == 1 && len(in.slots) == 2 && len(in.copied) == 1 && declared[in.slots[0]]
	}
}

// layout gives variables of the function their offsets.
func (d *decoder) layout() {
	c := d.code
	place := func(list []*variable, at int) int {
		for _, v := range list {
			at = alignUp(at, v.align)
			v.offset = uint64(at)
			at += v.bytes
		}
		return at
	}
	if c.entry {
		c.paramBytes = place(d.fn.params, 0)
	} else {
		c.localBytes = place(d.fn.params, c.localBytes)
		c.localBytes = place(d.fn.results, alignUp(c.localBytes, 16))
	}
	c.localBytes = place(d.fn.locals, alignUp(c.localBytes, 16))
	// Static shared arrays are the module's: every function sees its own and the global ones.
	c.ownShared = d.fn.shared
	for _, v := range d.fn.shared {
		d.program.placeShared(v)
	}
}

// placeShared gives a static shared array its place in the module's layout. Only
// arrays a kernel can reach are charged to it.
func (p *program) placeShared(v *variable) {
	at := uint64(alignUp(p.sharedEnd, max(v.align, 128)))
	v.offset = at
	p.sharedEnd = int(at) + v.bytes + sharedGap
}

func (d *decoder) fail(format string, args ...any) {
	panic(parseError{fmt.Errorf("line %d: %s: %q", d.st.line, fmt.Sprintf(format, args...), d.program.src.text(d.st.line))})
}

// successors are the instructions that may follow instruction i.
func (d *decoder) successors(i int) []int {
	in := &d.code.instructions[i]
	switch {
	case in.leaves:
		return []int{len(d.fn.body) + 1}
	case d.st.parts[0] == "ret" || d.st.parts[0] == "exit" || d.st.parts[0] == "trap":
		return []int{i + 1, len(d.fn.body) + 1}
	case d.st.parts[0] == "bra" && in.guard < 0:
		return []int{in.target}
	case d.st.parts[0] == "bra":
		return []int{i + 1, in.target}
	case d.st.parts[0] == "brx":
		return d.branchTargets()
	}
	return []int{i + 1}
}

func (d *decoder) word() int {
	d.code.words = append(d.code.words, vec32{})
	return len(d.code.words) - 1
}

func (d *decoder) double() int {
	d.code.doubles = append(d.code.doubles, vec64{})
	return len(d.code.doubles) - 1
}

func (d *decoder) constant32(v uint32) int {
	slot, ok := d.code.constants32[v]
	if !ok {
		slot = d.word()
		for i := range 32 {
			d.code.words[slot][i] = v
		}
		d.code.constants32[v] = slot
	}
	return slot
}

func (d *decoder) constant64(v uint64) int {
	slot, ok := d.code.constants64[v]
	if !ok {
		slot = d.double()
		for i := range 32 {
			d.code.doubles[slot][i] = v
		}
		d.code.constants64[v] = slot
	}
	return slot
}

func (d *decoder) sink(f file) int {
	slot, ok := d.sinks[f]
	if !ok {
		switch f {
		case predicates:
			slot = d.code.predicates
			d.code.predicates++
		case words:
			slot = d.word()
		case doubles:
			slot = d.double()
		}
		d.sinks[f] = slot
	}
	return slot
}

// operand is operand i, which must be there.
func (d *decoder) operand(i int) operand {
	if i >= len(d.st.operands) {
		d.fail("operand %d is missing", i+1)
	}
	return d.st.operands[i]
}

// count fails unless the statement has n operands.
func (d *decoder) count(n int) {
	if len(d.st.operands) != n {
		d.fail("%d operands, %s has %d", len(d.st.operands), d.st.parts[0], n)
	}
}

// immediate is the value of a constant in a type; float says it is read as such.
func (d *decoder) immediate(o operand, bits int, float bool) uint64 {
	switch {
	case o.kind == isInteger && !float:
		return o.value
	case o.kind == isFloat32 && bits == 32:
		return o.value
	case o.kind == isFloat64 && bits == 64:
		return o.value
	case o.kind == isFloat64 && bits == 32:
		return uint64(float32Bits(o.value))
	case o.kind == isFloat32 && bits == 64:
		return float64Bits(uint32(o.value))
	case o.kind == isInteger:
		if o.value == 0 {
			return 0
		}
		if bits == 16 { // inline assembly writes bit patterns
			return o.value
		}
		return d.integerAsFloat(int64(o.value), bits)
	}
	d.fail("a constant of the wrong type")
	return 0
}

// source32 is the slot of operand o read as up to 32 bits.
func (d *decoder) source32(o operand, float bool) int {
	switch o.kind {
	case isRegister:
		if o.reg.file != words {
			d.fail("%s has the wrong size", o.reg.name)
		}
		return d.read(words, o.reg.slot)
	case isInteger, isFloat32, isFloat64:
		return d.constant32(uint32(d.immediate(o, 32, float)))
	case isSpecial:
		return d.specialSlot(o.symbol)
	}
	d.fail("an operand that is no value of 32 bits")
	return 0
}

// source16 is the same for 16 bits: constants are cut to size.
func (d *decoder) source16(o operand) int {
	if o.kind == isInteger {
		return d.constant32(uint32(o.value) & 0xffff)
	}
	return d.source32(o, false)
}

func (d *decoder) source64(o operand, float bool) int {
	switch o.kind {
	case isRegister:
		if o.reg.file != doubles {
			d.fail("%s has the wrong size", o.reg.name)
		}
		return d.read(doubles, o.reg.slot)
	case isInteger, isFloat32, isFloat64:
		return d.constant64(d.immediate(o, 64, float))
	}
	d.fail("an operand that is no value of 64 bits")
	return 0
}

func (d *decoder) predicate(o operand) int {
	if o.kind != isRegister || o.reg.file != predicates {
		d.fail("an operand that is no predicate")
	}
	return d.read(predicates, o.reg.slot)
}

// read notes that the instruction reads a register.
func (d *decoder) read(f file, slot int) int {
	d.in.reads = append(d.in.reads, place{f, slot})
	return slot
}

// destination is the slot that operand o is written to.
func (d *decoder) destination(o operand, f file) int {
	slot := 0
	switch {
	case o.kind == isSink:
		slot = d.sink(f)
	case o.kind == isRegister && o.reg.file == f:
		slot = o.reg.slot
	default:
		d.fail("a destination of the wrong size")
	}
	d.in.writes = append(d.in.writes, place{f, slot})
	return slot
}

// specialSlot is the register that holds a special register's value.
func (d *decoder) specialSlot(name string) int {
	slot, ok := d.special[name]
	if !ok {
		switch name {
		case "%cluster_ctarank", "%cluster_nctarank", "%laneid", "%warpid", "%nwarpid", "%smid", "%nsmid", "%gridid", "%dynamic_smem_size", "%total_smem_size",
			"%lanemask_eq", "%lanemask_lt", "%lanemask_le", "%lanemask_gt", "%lanemask_ge":
		default:
			family, axis, _ := strings.Cut(name, ".")
			known := family == "%tid" || family == "%ntid" || family == "%ctaid" || family == "%nctaid" ||
				family == "%cluster_ctaid" || family == "%cluster_nctaid" || family == "%clusterid" || family == "%nclusterid"
			if !known || axis != "x" && axis != "y" && axis != "z" {
				d.fail("special register %s is not known", name)
			}
		}
		slot = d.word()
		d.special[name] = slot
		d.code.specials = append(d.code.specials, special{name, slot})
	}
	return slot
}

// typeOf is the last modifier that is a type, and its size in bits.
func (d *decoder) typeOf() (string, int) {
	for i := len(d.st.parts) - 1; i > 0; i-- {
		if n, ok := typeBytes("." + d.st.parts[i]); ok {
			return d.st.parts[i], 8 * n
		}
		if d.st.parts[i] == "pred" {
			return "pred", 1
		}
	}
	d.fail("%s without a type", d.st.parts[0])
	return "", 0
}

func fileOf(bits int) file {
	if bits == 64 {
		return doubles
	}
	return words
}

func isFloat(t string) bool { return strings.HasPrefix(t, "f") || strings.HasPrefix(t, "bf") }

// merge32 keeps the lanes of d that are not active.
func merge32(d, s *vec32, mask uint32) {
	for m := mask; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m)
		d[i] = s[i]
	}
}

func merge64(d, s *vec64, mask uint32) {
	for m := mask; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m)
		d[i] = s[i]
	}
}
