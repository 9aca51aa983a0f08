package sim

import (
	"fmt"
	"sync"

	"fluxion/kernels/cuda"
)

// Windows of the generic address space. Global memory is its own address.
const (
	sharedBase = 0x0100_0000_0000
	localBase  = 0x0200_0000_0000
	paramBase  = 0x0300_0000_0000
	windowSize = 0x0100_0000_0000
)

// sharedGap lies between two static shared arrays, so that running out of one is
// seen; a multiple of 128 bytes keeps the banks.
const sharedGap = 128

// program is a module made ready to run on any machine.
type program struct {
	src       *source
	functions map[string]*code
	variables map[string]*variable // of module scope
	sharedEnd int                  // of the static shared arrays laid out so far
}

// code is a function made ready to run.
type code struct {
	name         string
	src          *source
	entry        bool
	instructions []instruction
	predicates   int
	words        []vec32 // as they are when the function starts: constants first
	doubles      []vec64
	specials     []special
	watched      []place        // registers that may be read before they are set
	constants32  map[uint32]int // slots of constants
	constants64  map[uint64]int
	params       []*variable
	results      []*variable
	paramBytes   int
	localBytes   int // of this function's frame
	deepest      int // localBytes of the longest chain of calls from here, this frame included
	calls        []*code
	ownShared    []*variable // static arrays declared in the function
	shared       []*variable // of an entry: all that it reaches
	sharedBytes  int
	granule      int // narrowest access to shared memory, bytes
	maxBlock     int
	minBlocks    int    // of a multiprocessor
	cluster      [3]int // blocks that run side by side
	grouped      bool   // has products of four warps
}

// special is a register that the hardware sets, like %tid.x.
type special struct {
	name string
	slot int
}

// compiled remembers what modules compile to: programs do not depend on the
// machine, and there is one machine for every device that tests open.
var compiled sync.Map // of {name, text} to a function that compiles once

func programOf(module *cuda.Module) (*program, error) {
	once, _ := compiled.LoadOrStore([2]string{module.Name, module.PTX()}, sync.OnceValues(func() (*program, error) { return build(module) }))
	return once.(func() (*program, error))()
}

// build parses a module and decodes its functions.
func build(module *cuda.Module) (*program, error) {
	src, err := parse(module.Name, module.PTX())
	if err != nil {
		return nil, err
	}
	p := &program{src: src, functions: map[string]*code{}, variables: map[string]*variable{}}
	for i, v := range src.variables {
		v.index = i
		p.variables[v.name] = v
		if v.extern && v.space != "shared" {
			return nil, fmt.Errorf("sim: module %s: line %d: variable %s is defined elsewhere", src.name, v.line, v.name)
		}
	}
	for _, fn := range src.functions {
		p.functions[fn.name] = &code{name: fn.name, src: src, entry: fn.entry}
	}
	// Shared arrays of functions lie first, those of each kernel behind them.
	for _, v := range src.variables {
		if v.space == "shared" && !v.extern {
			p.placeShared(v)
		}
	}
	common := p.sharedEnd
	for _, entries := range []bool{false, true} {
		for _, fn := range src.functions {
			if fn.entry != entries {
				continue
			}
			if entries {
				p.sharedEnd = common
			}
			if err := compile(p, fn); err != nil {
				return nil, err
			}
			if !entries {
				common = p.sharedEnd
			}
		}
	}
	for _, c := range p.functions {
		if _, err := c.depth(nil); err != nil {
			return nil, err
		}
		if c.entry {
			p.gather(c)
		}
	}
	return p, nil
}

// linked is a program on a machine: its variables have addresses.
type linked struct {
	program   *program
	addresses []uint64 // of .global and .const variables, by index
	err       error
}

// link gives the variables of a program memory and their initial values.
func link(mem *Memory, p *program) *linked {
	l := &linked{program: p, addresses: make([]uint64, len(p.src.variables))}
	mem.mu.Lock()
	defer mem.mu.Unlock()
	for i, v := range p.src.variables {
		if v.space != "global" && v.space != "const" {
			continue
		}
		a := mem.alloc(max(v.bytes, 1), newBitmap(max(v.bytes, 1)))
		a.name, a.constant = v.name, v.space == "const"
		copy(a.data, v.data)
		a.written.set(0, a.size) // what has no initial value is zero
		l.addresses[i] = a.base
	}
	for i, v := range p.src.variables {
		for _, r := range v.refs {
			target := p.variables[r.symbol]
			if target == nil || l.addresses[i] == 0 || l.addresses[target.index] == 0 {
				l.err = fmt.Errorf("sim: module %s: line %d: variable %s refers to %s, which has no address", p.src.name, v.line, v.name, r.symbol)
				return l
			}
			put(mem.find(l.addresses[i]).data[r.at:], 8, l.addresses[target.index]+uint64(r.add))
		}
	}
	return l
}

// depth finds how much local memory a chain of calls from here needs.
func (c *code) depth(above []*code) (int, error) {
	for _, a := range above {
		if a == c {
			return 0, fmt.Errorf("sim: module %s: function %s calls itself, which is not known", c.src.name, c.name)
		}
	}
	deepest := 0
	for _, callee := range c.calls {
		d, err := callee.depth(append(above, c))
		if err != nil {
			return 0, err
		}
		deepest = max(deepest, d)
	}
	c.deepest = alignUp(c.localBytes, 16) + deepest
	return c.deepest, nil
}

// gather brings to an entry what the functions it reaches say about shared memory.
func (p *program) gather(entry *code) {
	for _, v := range p.src.variables {
		if v.space == "shared" && !v.extern {
			entry.shared = append(entry.shared, v)
		}
	}
	seen := map[*code]bool{}
	var walk func(*code)
	walk = func(c *code) {
		if seen[c] {
			return
		}
		seen[c] = true
		entry.granule = min(entry.granule, c.granule)
		entry.shared = append(entry.shared, c.ownShared...)
		for _, callee := range c.calls {
			walk(callee)
		}
	}
	walk(entry)
	for _, v := range entry.shared {
		entry.sharedBytes = alignUp(entry.sharedBytes, v.align) + v.bytes
	}
}

func alignUp(n, align int) int { return (n + align - 1) / max(align, 1) * max(align, 1) }
