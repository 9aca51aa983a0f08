package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"fluxion/kernels"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// Alignment of what lies in a buffer, in bytes: tensors begin on a cache line,
// working memory where GPUs want it.
const (
	alignment        = 64
	scratchAlignment = 256
)

// tail is readable memory behind the last tensor of a buffer, in bytes;
// micro-kernels may read past a row.
const tail = 256

// block is memory with a life: the launches from first to last, inclusive.
type block struct {
	size, first, last int // size in bytes
	align             int
	offset            int
	fixed             bool // it lies where its offset says
}

// pending is a launch whose operands have no addresses yet.
type pending struct {
	kernel   kernels.Kernel
	in       []operand
	out      operand
	add      *value
	perImage *value
	makes    []*value // of its inputs
	partials partials
	measured bool // it takes its partials and does not read its first input
	scratch  *block
	prepared Space
	again    bool
	trains   bool
	later    int // see Launch.Later
	from     int
}

// partials are Partials that two launches share, at a place that is not known yet.
type partials struct {
	block          *block // nil: there are none
	groups, chunks int
}

// operand is a value, or a place that is known already.
type operand struct {
	value *value
	place Tensor
}

// emit orders the launches, finds out how long memory is needed, and assigns addresses.
func (c *compiler) emit() (*Plan, error) {
	p := &Plan{Target: c.Target, Precision: c.Precision, Ahead: max(1, c.Ahead), Sizes: Sizes{}, places: map[int64]Tensor{}}
	launches, err := c.launches()
	if err != nil {
		return nil, err
	}
	for i, w := range launches {
		if w.scratch != nil {
			w.scratch.last = w.until(i, false)
		}
	}
	blocks := c.lives(launches)
	all := make([]*block, 0, len(blocks)+len(launches))
	for _, v := range c.all {
		if b := blocks[v]; b != nil {
			all = append(all, b)
		}
	}
	for i := range launches {
		if s := launches[i].scratch; s != nil {
			all = append(all, s)
		}
		if s := launches[i].partials.block; s != nil && s.first == i {
			all = append(all, s)
		}
	}
	all = append(all, c.slots(launches)...)
	p.Sizes[Arena] = assign(all, len(launches)) + tail
	p.Alive = alive(all, len(launches))
	if n := c.prepared; n > 0 {
		p.Prepared = &Buffer{Name: "prepared", Type: number.Uint8, Size: n}
		p.Sizes[p.Prepared] = p.Prepared.Bytes()
	}
	place := func(v *value) Tensor {
		t := v.describe()
		owner, _ := v.base()
		if b := blocks[owner]; b != nil {
			t.Offset += b.offset
		}
		return t
	}
	layers := c.layers()
	for _, w := range launches {
		l := w.launch(place)
		for _, t := range append(slices.Clone(l.In), l.Out) {
			l.Layer = cmp.Or(l.Layer, layers[site{t.Buffer, t.Offset, t.Values()}])
		}
		if w.scratch != nil {
			l.Scratch = Space{w.scratch.offset, w.scratch.size}
		}
		p.append(l)
	}
	p.Sizes[Arena] = max(p.Sizes[Arena], p.Sizes.Transient())
	for id, v := range c.values {
		p.places[id] = place(v)
	}
	return p, nil
}

// site is where a tensor begins, and how many elements it has.
type site struct {
	buffer         *Buffer
	offset, values int
}

// layers are the names of parameters by where they, their copies and their gradients lie.
func (c *compiler) layers() map[site]string {
	names := map[site]string{}
	for _, p := range c.Parameters {
		name, n := p.Node.Name(), p.Node.Shape().TotalSize()
		names[site{p.Buffer, p.Offset * p.Buffer.Type.Size(), n}] = name
		if to := p.Buffer.Copy; to != nil {
			names[site{to, p.Offset * to.Type.Size(), n}] = name
		}
		if p.Gradient != nil {
			names[site{c.Gradients, p.Offset * c.Gradients.Type.Size(), n}] = name
		}
	}
	return names
}

// describe is the place of a value but for where its memory lies in the arena.
func (v *value) describe() Tensor {
	if v.home != nil {
		return *v.home
	}
	owner, from := v.base()
	t := Tensor{Buffer: Arena, Type: v.dtype, Shape: v.shape(), Pitch: v.pitch()}
	if owner.home != nil {
		t.Buffer, t.Offset = owner.home.Buffer, owner.home.Offset
	}
	t.Offset += from * v.dtype.Size()
	return t
}

// launch is the launch with its operands where place says.
func (w pending) launch(place func(*value) Tensor) Launch {
	resolve := func(o operand) Tensor {
		if o.value != nil {
			return place(o.value)
		}
		return o.place
	}
	l := Launch{Kernel: w.kernel, Out: resolve(w.out), Prepared: w.prepared, Again: w.again, Trains: w.trains, Later: w.later, From: w.from}
	for _, in := range w.in {
		l.In = append(l.In, resolve(in))
	}
	if w.add != nil {
		t := place(w.add)
		l.Add = &t
	}
	if w.perImage != nil {
		t := place(w.perImage)
		l.PerImage = &t
	}
	if p := w.partials; p.block != nil {
		l.Partials = Partials{Space: Space{p.block.offset, p.block.size}, Groups: p.groups, Chunks: p.chunks}
		l.Measured = w.measured
	}
	return l
}

// append adds a launch with its cost and makes room for what it touches.
func (p *Plan) append(l Launch) {
	l.Cost = cost(l)
	p.Launches = append(p.Launches, l)
	for _, t := range append(slices.Clone(l.In), l.Out) {
		if t.Buffer != Arena {
			p.Sizes[t.Buffer] = t.Buffer.Bytes()
		}
	}
	if p.row += p.Target.Row(l); p.row > 0 {
		p.Sizes[Table] = max(p.Sizes[Table], TableHead+p.Ahead*p.row)
	}
}

// cost asks the kernel and corrects its traffic, counted in float32, for the
// types of the operands.
func cost(l Launch) kernels.Cost {
	shapes := make([]tensor.Shape, len(l.In))
	single, stored := 4*l.Out.Values(), l.Out.Type.Size()*l.Out.Values()
	for i, t := range l.In {
		shapes[i] = t.Shape
		single += 4 * t.Values()
		stored += t.Type.Size() * t.Values()
	}
	c := l.Kernel.Cost(shapes, l.Out.Shape)
	if _, mixed := l.Kernel.(kernels.Mixed); !mixed && stored != single && l.uses(number.BFloat16) {
		c.Bytes = int64(float64(c.Bytes) * float64(stored) / float64(single))
	}
	if l.Measured {
		c.Bytes -= int64(l.In[0].Type.Size() * l.In[0].Values())
	}
	c.Bytes += int64(l.Partials.Bytes)
	return c
}

// uses says whether an operand is of a type.
func (l Launch) uses(dtype number.Type) bool {
	return l.Out.Type == dtype || slices.ContainsFunc(l.In, func(t Tensor) bool { return t.Type == dtype })
}

// launches lists what runs, in order, with its need of scratch memory.
func (c *compiler) launches() ([]pending, error) {
	var list []pending
	add := func(w pending) {
		w.trains = c.Gradients != nil
		c.measure(list, &w)
		c.prepare(&w)
		if n := c.Target.Scratch(w.launch((*value).describe)); n > 0 {
			w.scratch = &block{size: n, first: len(list), last: len(list), align: scratchAlignment}
		}
		list = append(list, w)
	}
	stages := func(stages []Stage) error {
		for _, s := range stages {
			w := pending{kernel: s.Kernel}
			var err error
			if w.out, err = c.operand(s, s.Out); err != nil {
				return err
			}
			for _, r := range s.In {
				in, err := c.operand(s, r)
				if err != nil {
					return err
				}
				w.in = append(w.in, in)
			}
			add(w)
		}
		return nil
	}
	if err := stages(c.Before); err != nil {
		return nil, err
	}
	first, rest := len(list), c.completion()
	for _, v := range c.order {
		if _, ok := v.kernel.(joined); ok || v.within != nil && isView(v) {
			continue
		}
		w := pending{kernel: v.kernel, out: operand{value: v}, add: v.add, perImage: v.perImage, makes: v.makes, again: v.again}
		for _, in := range v.in {
			w.in = append(w.in, operand{value: in})
		}
		add(w)
		if c.Early {
			for _, w := range rest.behind(v) {
				add(w)
			}
		}
	}
	if c.fuses("together") {
		c.gather(list, first, len(list))
	}
	for _, w := range rest.all() {
		add(w)
	}
	return list, stages(c.After)
}

// measure lets the kernel that made an input of w, the next launch, leave what w is after beside it.
func (c *compiler) measure(before []pending, w *pending) {
	target, ok := c.Target.(Measurer)
	if !ok || !c.fuses("statistics") {
		return
	}
	for i, in := range w.in {
		if in.value == nil || in.value.kernel == nil {
			continue
		}
		made := slices.IndexFunc(before, func(m pending) bool { return m.out.value == in.value })
		if made < 0 || before[made].partials.block != nil {
			continue
		}
		p := target.Partials(before[made].launch((*value).describe), w.launch((*value).describe), i)
		if p.Chunks == 0 {
			continue
		}
		w.measured, w.partials = p.Instead, partials{&block{size: p.Bytes, first: made, last: len(before), align: alignment}, p.Groups, p.Chunks}
		before[made].partials = w.partials
		return
	}
}

// operand of a stage. Only what is kept for the whole run is where a stage looks for it.
func (c *compiler) operand(s Stage, r Ref) (operand, error) {
	if r.Node == nil {
		return operand{place: r.place()}, nil
	}
	v := c.values[r.Node.ID()]
	if v == nil || !v.pinned {
		return operand{}, fmt.Errorf("stage %v: node %v is no input or output of the plan", s.Kernel, r.Node)
	}
	return operand{value: v}, nil
}

// Then returns a plan of other stages over the memory of this one: their nodes
// are its inputs and outputs, which stay where they are.
func (p *Plan) Then(stages ...Stage) (*Plan, error) {
	q := &Plan{Target: p.Target, Precision: p.Precision, Ahead: 1, Sizes: maps.Clone(p.Sizes), places: p.places}
	for _, s := range stages {
		place := func(r Ref) Tensor {
			if r.Node == nil {
				return r.place()
			}
			return p.Place(r.Node)
		}
		l := Launch{Kernel: s.Kernel, Out: place(s.Out)}
		for _, r := range s.In {
			l.In = append(l.In, place(r))
		}
		if n := p.Target.Scratch(l); n > 0 { // behind everything: the arena is not searched for a gap
			l.Scratch = Space{roundUp(p.Sizes[Arena], scratchAlignment), n}
			q.Sizes[Arena] = max(q.Sizes[Arena], l.Scratch.Offset+roundUp(n, alignment)+tail)
		}
		q.append(l)
	}
	return q, nil
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
			b = &block{size: owner.dtype.Size() * owner.shape().TotalSize(), first: at, last: at, align: alignment}
			blocks[owner] = b
		}
		b.first, b.last = min(b.first, at), max(b.last, at)
		if v.pinned {
			b.first, b.last = min(b.first, pinnedFrom(v, at)), len(launches)
		}
	}
	for i, w := range launches {
		read := slices.Clone(w.in)
		for _, v := range []*value{w.add, w.perImage} {
			if v != nil {
				read = append(read, operand{value: v})
			}
		}
		for _, o := range read {
			if o.value != nil {
				touch(o.value, i)
				touch(o.value, w.until(i, true))
			}
		}
		if w.out.value != nil {
			touch(w.out.value, i)
			touch(w.out.value, w.until(i, false))
		}
		for _, v := range w.makes {
			touch(v, w.until(i, false))
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

func roundUp(n, to int) int { return (n + to - 1) / to * to }
