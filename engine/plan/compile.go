package plan

import (
	"fmt"
	"slices"

	"fluxion/kernels"
	"fluxion/kernels/concat"
	"fluxion/kernels/number"
	"fluxion/kernels/pointwise"
	"fluxion/kernels/reshape"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Parameter is a weight of a network: the buffer it lies in, from which element on,
// and, where it is trained, the node of its gradient.
type Parameter struct {
	Node     *gorgonia.Node
	Buffer   *Buffer
	Offset   int
	Gradient *gorgonia.Node // nil: not trained
}

// Ref names an operand of a Stage: a node of the graph, or a buffer, whole or a part.
type Ref struct {
	Node    *gorgonia.Node
	Buffer  *Buffer
	From, N int // the elements of the part; N = 0: all
}

// place is that of a buffer.
func (r Ref) place() Tensor {
	if r.N == 0 {
		return r.Buffer.Whole()
	}
	return r.Buffer.part(r.From, r.N)
}

// Stage is a kernel that is not part of the graph: the noising of a batch, the
// optimizer, the sampler's update.
type Stage struct {
	Kernel kernels.Kernel
	In     []Ref
	Out    Ref
}

// Options of Compile.
type Options struct {
	Inputs     []*gorgonia.Node // written from outside, kept for the whole run
	Outputs    []*gorgonia.Node // kept until the end of the run
	Parameters []Parameter
	Gradients  *Buffer // transient: the gradient of each trained parameter, at the parameter's own element; nil: nothing is trained
	Before     []Stage
	After      []Stage
	Target     Target
	Precision  number.Type // of activations and products; see kernels.TypesOf
	Ahead      int         // runs whose parameters are set together where the device wants them so; 0: 1
	Prepare    bool        // weights stay for many runs: what launches make of them has memory of its own, filled by Plan.Preparation
	Early      bool        // gradients are complete as soon as they can be, for who sends them while the plan runs
	Without    []string    // names of Fusions to leave out
	Recompute  string      // name of one of Recomputations; empty: none
	Forward    Forward     // which part of the graph it is about
}

// value is a node on its way to a launch.
type value struct {
	at       int // place in the order of creation
	node     *gorgonia.Node
	dtype    number.Type // that it is stored in
	role     kernels.Role
	kernel   kernels.Kernel // nil: a leaf
	in       []*value
	add      *value
	perImage *value
	makes    []*value // inputs that its kernel makes itself: see join
	uses     int
	pinned   bool // an input or output of the plan
	home     *Tensor
	within   *value // the value whose memory this one is a range of
	from     int    // first channel within it
	again    bool   // made for the second time: see Recomputation
}

func (v *value) shape() tensor.Shape { return v.node.Shape() }

// pitch is the elements from one row of v to the next.
func (v *value) pitch() int {
	for v.within != nil && !isReshaped(v) {
		v = v.within
	}
	if s := v.shape(); len(s) > 0 {
		return s[len(s)-1]
	}
	return 1
}

// base returns the value that owns the memory of v, and v's first channel in it.
func (v *value) base() (*value, int) {
	from := 0
	for v.within != nil {
		from += v.from
		v = v.within
	}
	return v, from
}

type compiler struct {
	Options
	values map[int64]*value // by node
	all    []*value         // leaves, then order as it was before anything was fused
	order  []*value         // in order of execution
	copies []copyOf         // gradients that two parameters share

	prepared int // bytes of weights laid out so far
}

type copyOf struct {
	from *value
	to   Tensor
}

// Compile turns the part of the graph that its outputs and gradients need into a plan.
func Compile(o Options) (*Plan, error) {
	if err := CheckFusions(o.Without); err != nil {
		return nil, err
	}
	if err := o.Forward.check(o.Recompute); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	c := &compiler{Options: o, values: map[int64]*value{}}
	if err := c.collect(); err != nil {
		return nil, err
	}
	if c.fuses("upsample") {
		c.fuseUpsampling()
	}
	c.settleTypes()
	c.settleParameters()
	if c.fuses("per-image") {
		c.fusePerImage()
	}
	if c.fuses("add") {
		c.fuseAdds()
	}
	if c.fuses("products") {
		c.stack()
	}
	if c.fuses("chain") {
		c.chainAdds()
	}
	if c.fuses("slice") {
		c.placeSlices()
	}
	if c.fuses("concat") {
		c.placeConcats()
	}
	if c.fuses("reshape") {
		c.placeReshaped()
	}
	if c.Recompute != "" && c.Recompute != "none" {
		c.recompute()
	}
	if c.fuses("norms") {
		c.join()
	}
	if c.fuses("bias") {
		c.joinSums()
	}
	if c.fuses("products") {
		c.widenGradients()
	}
	if c.fuses("together") {
		c.hoist()
	}
	return c.emit()
}

// collect makes a value of every node that is needed, in order of creation: a
// node is made after its inputs, and a gradient where it is first possible.
func (c *compiler) collect() error {
	var visit func(n *gorgonia.Node) (*value, error)
	visit = func(n *gorgonia.Node) (*value, error) {
		if v, ok := c.values[n.ID()]; ok {
			return v, nil
		}
		v := &value{node: n}
		if n.Dtype() == tensor.Uint8 {
			v.dtype = number.Uint8
		}
		c.values[n.ID()] = v
		if n.Op() == nil {
			c.all = append(c.all, v)
			return v, nil
		}
		var err error
		if v.kernel, err = kernelOf(n); err != nil {
			return nil, err
		}
		for _, child := range children(n) {
			in, err := visit(child)
			if err != nil {
				return nil, err
			}
			in.uses++
			v.in = append(v.in, in)
		}
		c.order = append(c.order, v)
		return v, nil
	}
	roots := append(slices.Clone(c.Inputs), c.Outputs...)
	for _, p := range c.Parameters {
		roots = append(roots, p.Node)
		if p.Gradient != nil {
			roots = append(roots, p.Gradient)
		}
	}
	for _, n := range roots {
		v, err := visit(n)
		if err != nil {
			return err
		}
		v.uses++
	}
	for _, n := range append(slices.Clone(c.Inputs), c.Outputs...) {
		c.values[n.ID()].pinned = true
	}
	slices.SortFunc(c.order, func(a, b *value) int { return int(a.node.ID() - b.node.ID()) })
	return nil
}

func children(n *gorgonia.Node) gorgonia.Nodes {
	var in gorgonia.Nodes
	it := n.Graph().From(n.ID())
	for it.Next() {
		in = append(in, it.Node().(*gorgonia.Node))
	}
	return in
}

func kernelOf(n *gorgonia.Node) (kernels.Kernel, error) {
	if k, ok := n.Op().(kernels.Kernel); ok {
		return k, nil
	}
	if n.Op().String() == gorgoniaAdd {
		return pointwise.NewAdd(n.Dims()), nil
	}
	return nil, fmt.Errorf("node %v: no kernel for operation %v", n, n.Op())
}

// settleParameters gives parameters and their gradients their places.
func (c *compiler) settleParameters() {
	for _, p := range c.Parameters {
		c.values[p.Node.ID()].home = p.Buffer.slot(p.Offset, p.Node.Shape())
		if p.Gradient == nil {
			continue
		}
		g, to := c.values[p.Gradient.ID()], c.Gradients.slot(p.Offset, p.Node.Shape())
		if g.home != nil || g.kernel == nil || g.pinned || isView(g) {
			c.copies = append(c.copies, copyOf{g, *to})
			continue
		}
		g.home = to
	}
}

// isView says whether v is what another value holds, or a part of it.
func isView(v *value) bool {
	_, ok := v.kernel.(concat.SliceOp)
	return ok || isReshaped(v)
}

func isReshaped(v *value) bool {
	_, ok := v.kernel.(reshape.Op)
	return ok
}

// epilogue of the kernel that makes v, if nothing but one addition reads v.
func epilogue(v *value) kernels.Epilogue {
	f, ok := v.kernel.(kernels.Fuser)
	if !ok || v.uses != 1 || v.pinned || v.home != nil {
		return kernels.Epilogue{}
	}
	return f.Fuses()
}

// absorb lets v do the work of one of its operands as well.
func (c *compiler) absorb(v, operand *value) {
	v.kernel, v.in = operand.kernel, operand.in
	v.perImage, v.add = operand.perImage, operand.add
	c.order = slices.DeleteFunc(c.order, func(o *value) bool { return o == operand })
}

// fusePerImage joins the addition of a time embedding to the convolution before it.
func (c *compiler) fusePerImage() {
	for _, v := range slices.Clone(c.order) {
		if _, ok := v.kernel.(pointwise.PerImageOp); !ok {
			continue
		}
		if x, t := v.in[0], v.in[1]; epilogue(x).PerImage {
			c.absorb(v, x)
			v.perImage = t
		}
	}
}

// fuseAdds joins an addition to the kernel that makes one of its operands, the later one if it can.
func (c *compiler) fuseAdds() {
	for _, v := range slices.Clone(c.order) {
		if _, ok := v.kernel.(pointwise.AddOp); !ok {
			continue
		}
		first, last := v.in[0], v.in[1]
		if first.at > last.at {
			first, last = last, first
		}
		for _, pair := range [][2]*value{{last, first}, {first, last}} {
			if x := pair[0]; epilogue(x).Add && x.add == nil && pair[1] != x {
				c.absorb(v, x)
				v.add = pair[1]
				break
			}
		}
	}
}

// placeSlices makes ranges of channels views of the tensor they are taken from.
func (c *compiler) placeSlices() {
	for _, v := range c.order {
		if s, ok := v.kernel.(concat.SliceOp); ok && v.home == nil && !v.pinned && v.in[0].home == nil && v.dtype == v.in[0].dtype {
			v.within, v.from = v.in[0], s.From
		}
	}
}

// placeConcats lets the parts of a concatenation be made where they will be read.
func (c *compiler) placeConcats() {
	for _, v := range c.order {
		if _, ok := v.kernel.(concat.Op); !ok || v.home != nil || v.pinned {
			continue
		}
		free := true
		for i, part := range v.in {
			free = free && part.kernel != nil && !isView(part) && part.within == nil && part.home == nil && !part.pinned && part.dtype == v.dtype &&
				len(part.shape()) >= 2 && !slices.Contains(v.in[:i], part)
		}
		if !free {
			continue
		}
		from := 0
		for _, part := range v.in {
			part.within, part.from = v, from
			from += part.shape()[len(part.shape())-1]
		}
		v.kernel = joined{}
	}
}

// placeReshaped lets tensors of other axes be the memory of what they are read from,
// where that has no gaps between its rows.
func (c *compiler) placeReshaped() {
	for _, v := range c.order {
		if !isReshaped(v) {
			continue
		}
		if x := v.in[0]; v.within == nil && v.home == nil && !v.pinned && x.within == nil && x.home == nil && v.dtype == x.dtype {
			v.within = x
		}
	}
}

// joined marks a concatenation whose parts are in place already.
type joined struct{ kernels.Kernel }
