package plan

import (
	"maps"
	"slices"

	"fluxion/kernels"
	"fluxion/kernels/pointwise"

	"gorgonia.org/tensor"
)

// alignment of every tensor, in floats: a cache line.
const alignment = 16

// tail is readable memory behind the last tensor of a region, in floats;
// micro-kernels may read past a row.
const tail = 64

// block is memory with a life: the launches from first to last, inclusive.
type block struct {
	size, first, last int
	offset            int
}

// pending is a launch whose operands have no addresses yet.
type pending struct {
	kernel   kernels.Kernel
	in       []operand
	out      operand
	add      *value
	perImage *value
	scratch  *block
}

// operand is a value, or a place that is known already.
type operand struct {
	value *value
	place Tensor
}

func (o operand) shape() tensor.Shape {
	if o.value != nil {
		return o.value.shape()
	}
	return o.place.Shape
}

// emit orders the launches, finds out how long memory is needed, and assigns addresses.
func (c *compiler) emit() (*Plan, error) {
	p := &Plan{Threads: c.Threads, places: map[int64]Tensor{}}
	launches := c.launches()
	blocks := c.lives(launches)
	all := make([]*block, 0, len(blocks)+len(launches))
	for _, id := range slices.Sorted(maps.Keys(c.values)) {
		if b := blocks[c.values[id]]; b != nil {
			all = append(all, b)
		}
	}
	for i := range launches {
		if s := launches[i].scratch; s != nil {
			all = append(all, s)
		}
	}
	p.Sizes[Arena] = assign(all) + tail

	place := func(v *value) Tensor {
		if v.home != nil {
			return *v.home
		}
		owner, from := v.base()
		t := Tensor{Region: Arena, Shape: v.shape(), Pitch: 1}
		if owner.home != nil {
			t.Region, t.Offset = owner.home.Region, owner.home.Offset
		} else if b := blocks[owner]; b != nil {
			t.Offset = b.offset
		}
		t.Offset += from
		if s := owner.shape(); len(s) > 0 {
			t.Pitch = s[len(s)-1]
		}
		return t
	}
	resolve := func(o operand) Tensor {
		if o.value != nil {
			return place(o.value)
		}
		return o.place
	}
	for _, w := range launches {
		l := Launch{Kernel: w.kernel, Out: resolve(w.out)}
		shapes := make([]tensor.Shape, len(w.in))
		for i, in := range w.in {
			l.In = append(l.In, resolve(in))
			shapes[i] = in.shape()
		}
		if w.add != nil {
			t := place(w.add)
			l.Add = &t
		}
		if w.perImage != nil {
			t := place(w.perImage)
			l.PerImage = &t
		}
		if w.scratch != nil {
			l.Scratch = Tensor{Region: Arena, Offset: w.scratch.offset, Shape: tensor.Shape{w.scratch.size}, Pitch: w.scratch.size}
		}
		l.Cost = w.kernel.Cost(shapes, l.Out.Shape)
		p.Launches = append(p.Launches, l)
		for _, t := range append(slices.Clone(l.In), l.Out) {
			if t.Region != Arena {
				p.Sizes[t.Region] = c.FlatSize + tail
			}
		}
	}
	for id, v := range c.values {
		p.places[id] = place(v)
	}
	return p, nil
}

// launches lists what runs, in order, with its need of scratch memory.
func (c *compiler) launches() []pending {
	var list []pending
	add := func(w pending) {
		shapes := make([]tensor.Shape, len(w.in))
		for i, in := range w.in {
			shapes[i] = in.shape()
		}
		if n := w.kernel.Scratch(shapes, w.out.shape(), c.Threads); n > 0 {
			w.scratch = &block{size: n, first: len(list), last: len(list)}
		}
		list = append(list, w)
	}
	stage := func(s Stage) {
		w := pending{kernel: s.Kernel, out: c.operand(s.Out)}
		for _, r := range s.In {
			w.in = append(w.in, c.operand(r))
		}
		add(w)
	}
	for _, s := range c.Before {
		stage(s)
	}
	for _, v := range c.order {
		if _, ok := v.kernel.(joined); ok || v.within != nil && isView(v) {
			continue
		}
		w := pending{kernel: v.kernel, out: operand{value: v}, add: v.add, perImage: v.perImage}
		for _, in := range v.in {
			w.in = append(w.in, operand{value: in})
		}
		add(w)
	}
	for _, k := range c.copies {
		copyKernel := pointwise.NewCopy(len(k.to.Shape))
		add(pending{kernel: copyKernel, in: []operand{{value: k.from}}, out: operand{place: k.to}})
	}
	for _, s := range c.After {
		stage(s)
	}
	return list
}

func (c *compiler) operand(r Ref) operand {
	if r.Node != nil {
		return operand{value: c.values[r.Node.ID()]}
	}
	return operand{place: Tensor{Region: r.Region, Shape: tensor.Shape{c.FlatSize}, Pitch: c.FlatSize}}
}

// lives finds the first and last launch that touches each owner of memory.
func (c *compiler) lives(launches []pending) map[*value]*block {
	blocks := map[*value]*block{}
	touch := func(v *value, at int) {
		owner, _ := v.base()
		if owner.home != nil {
			return
		}
		b := blocks[owner]
		if b == nil {
			b = &block{size: owner.shape().TotalSize(), first: at, last: at}
			blocks[owner] = b
		}
		b.first, b.last = min(b.first, at), max(b.last, at)
		if v.pinned {
			b.first, b.last = min(b.first, pinnedFrom(v, at)), len(launches)
		}
	}
	for i, w := range launches {
		for _, o := range append(slices.Clone(w.in), w.out) {
			if o.value != nil {
				touch(o.value, i)
			}
		}
		if w.add != nil {
			touch(w.add, i)
		}
		if w.perImage != nil {
			touch(w.perImage, i)
		}
	}
	for _, n := range c.Inputs {
		touch(c.values[n.ID()], 0)
	}
	return blocks
}

// pinnedFrom is where the life of an input or output begins: inputs are there before the first launch.
func pinnedFrom(v *value, at int) int {
	if v.kernel == nil {
		return -1
	}
	return at
}

// assign gives every block an offset such that blocks alive together do not
// overlap, the largest first, each as low as it fits; it returns the arena's size.
func assign(blocks []*block) int {
	slices.SortFunc(blocks, func(a, b *block) int {
		if a.size != b.size {
			return b.size - a.size
		}
		if a.first != b.first {
			return a.first - b.first
		}
		return a.last - b.last
	})
	var placed []*block // by offset
	end := 0
	for _, b := range blocks {
		at := 0
		for _, p := range placed {
			if p.last < b.first || b.last < p.first {
				continue
			}
			if p.offset >= at+b.size {
				break
			}
			at = max(at, roundUp(p.offset+p.size))
		}
		b.offset = at
		i, _ := slices.BinarySearchFunc(placed, b, func(p, b *block) int { return p.offset - b.offset })
		placed = slices.Insert(placed, i, b)
		end = max(end, at+b.size)
	}
	return roundUp(end)
}

func roundUp(n int) int { return (n + alignment - 1) / alignment * alignment }
