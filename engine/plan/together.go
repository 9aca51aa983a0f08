package plan

import "slices"

// Gatherer is a Target that runs small calls of several launches side by side.
type Gatherer interface {
	// Gathers says with which others a launch can run, by a name that they share, and from
	// which of its calls on: 0 is all of it, which then needs its inputs until then.
	Gathers(l Launch) (name string, from int, ok bool)
}

// What waits for others may keep so much memory: it ought to be in the second cache still.
const (
	mostWaiting  = 10 << 20 // bytes of a launch
	mostGathered = 16 << 20 // bytes of all that wait for the same
)

// hoist puts launches that can run together behind the first of them, where they need nothing that is
// made later: the products of a time embedding, say, which every block has one of.
func (c *compiler) hoist() {
	target, ok := c.Target.(Gatherer)
	if !ok {
		return
	}
	name := func(v *value) string {
		if _, ok := v.kernel.(joined); ok || v.within != nil || v.add != nil || v.perImage != nil {
			return ""
		}
		w := pending{kernel: v.kernel, out: operand{value: v}}
		for _, in := range v.in {
			w.in = append(w.in, operand{value: in})
		}
		name, from, ok := target.Gathers(w.launch((*value).describe))
		if !ok || from > 0 || 4*v.shape().TotalSize() > mostWaiting {
			return ""
		}
		return name
	}
	made := map[*value]bool{}
	for i := 0; i < len(c.order); i++ {
		first := c.order[i]
		made[first] = true
		group := name(first)
		if group == "" {
			continue
		}
		for j := i + 1; j < len(c.order); j++ {
			v := c.order[j]
			if slices.ContainsFunc(v.in, func(x *value) bool { return x.kernel != nil && !made[x] || x == first }) || name(v) != group {
				continue
			}
			copy(c.order[i+2:j+1], c.order[i+1:j])
			i++
			c.order[i], made[v] = v, true
		}
	}
}

// group is launches that wait for each other.
type group struct {
	members []int
	bytes   int
}

// earlyGroups is the part of a plan's launches that one waits at most, where gradients are to
// be complete early: most of them nobody in the plan reads.
const earlyGroups = 16

// gather lets launches wait for others that they can run together with, until somebody reads what they make.
func (c *compiler) gather(launches []pending, from, to int) {
	target, ok := c.Target.(Gatherer)
	if !ok {
		return
	}
	var names []string // in order of appearance
	waiting := map[string]*group{}
	waitsFor := map[*value]string{}
	run := func(name string) {
		g := waiting[name]
		delete(waiting, name)
		for _, i := range g.members {
			for _, v := range launches[i].results() {
				owner, _ := v.base()
				delete(waitsFor, owner)
			}
			if len(g.members) > 1 {
				launches[i].later = g.members[len(g.members)-1]
			}
		}
	}
	for i := from; i < to; i++ {
		w := &launches[i]
		read := slices.Clone(w.in)
		for _, v := range []*value{w.add, w.perImage} {
			if v != nil {
				read = append(read, operand{value: v})
			}
		}
		for _, o := range append(read, w.out) {
			if o.value == nil {
				continue
			}
			owner, _ := o.value.base()
			if name := waitsFor[owner]; name != "" {
				run(name)
			}
		}
		if c.Early {
			for _, name := range names {
				if g := waiting[name]; g != nil && i-g.members[0] > (to-from)/earlyGroups {
					run(name)
				}
			}
		}
		l := w.launch((*value).describe)
		name, first, ok := target.Gathers(l)
		bytes := 0
		if w.scratch != nil {
			bytes = w.scratch.size
		}
		if first == 0 {
			for _, t := range l.In {
				bytes += t.Values() * t.Type.Size()
			}
		}
		if !ok || w.out.value == nil || bytes > mostWaiting {
			continue
		}
		if g := waiting[name]; g != nil && g.bytes+bytes > mostGathered {
			run(name)
		}
		if waiting[name] == nil {
			waiting[name] = &group{}
			names = append(names, name)
		}
		w.from = first
		waiting[name].members = append(waiting[name].members, i)
		waiting[name].bytes += bytes
		for _, v := range w.results() {
			owner, _ := v.base()
			waitsFor[owner] = name
		}
	}
	for _, name := range names {
		if waiting[name] != nil {
			run(name)
		}
	}
}

// results are what a launch makes.
func (w pending) results() []*value {
	if w.out.value == nil {
		return w.makes
	}
	return append([]*value{w.out.value}, w.makes...)
}

// until is the last launch at which the operands of launch i are in use: whether they are its inputs, or what it
// makes and what it hands to itself.
func (w pending) until(i int, inputs bool) int {
	if w.later == 0 || inputs && w.from > 0 {
		return i
	}
	return w.later
}
