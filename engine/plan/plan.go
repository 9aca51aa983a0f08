// Package plan compiles a Gorgonia graph into a flat list of kernel launches
// with fixed addresses: order, fusions, element types, channel ranges instead of
// copies, and an arena in which memory is used again as soon as it is free.
// FLOPs, bytes and peak memory are known before anything runs.
package plan

import (
	"fmt"
	"io"
	"math"
	"strings"

	"fluxion/kernels"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// Tensor is a place in a buffer: rows of Shape's last axis, Pitch elements apart.
type Tensor struct {
	Buffer *Buffer
	Type   number.Type
	Offset int // bytes
	Shape  tensor.Shape
	Pitch  int // elements
}

// Cols is the length of the last axis, 1 for a scalar.
func (t Tensor) Cols() int {
	if len(t.Shape) == 0 {
		return 1
	}
	return t.Shape[len(t.Shape)-1]
}

// Rows is the number of rows of the tensor as a matrix. Vectors are one row.
func (t Tensor) Rows() int {
	if len(t.Shape) == 0 {
		return 1
	}
	return t.Shape.TotalSize() / t.Cols()
}

// Values is the number of elements.
func (t Tensor) Values() int { return t.Rows() * t.Cols() }

func (t Tensor) String() string {
	dims := make([]string, len(t.Shape))
	for i, d := range t.Shape {
		dims[i] = fmt.Sprint(d)
	}
	s := fmt.Sprintf("%s+%d[%s]", t.Buffer, t.Offset, strings.Join(dims, "x"))
	if t.Type != number.Float32 {
		s += t.Type.String()
	}
	if t.Pitch != t.Cols() {
		s += fmt.Sprintf("/%d", t.Pitch)
	}
	return s
}

// Space is a part of a buffer, mostly of the arena, without a shape.
type Space struct{ Offset, Bytes int }

// Partials are what a kernel leaves beside its result for another. Mostly they are statistics of a tensor's groups of
// channels, in chunks of each of its images: see cuda.Partials.
type Partials struct {
	Space
	Groups, Chunks int
	Instead        bool // who takes them does not read the tensor
}

// Launch is one kernel with the places of its operands.
type Launch struct {
	Kernel   kernels.Kernel
	In       []Tensor
	Out      Tensor
	Add      *Tensor // fused addend, see kernels.Launch
	PerImage *Tensor
	Partials Partials // that the kernel leaves of Out, or takes of an input; see Measurer
	Measured bool     // it takes them, and does not read its first input
	Scratch  Space    // working memory, as much as the target asked for
	Prepared Space    // of its weights, in Plan.Prepared; see Preparer
	Prepares bool     // it lays its weights out there and does nothing else
	Cost     kernels.Cost
	Layer    string // the parameter that it reads, or whose gradient it makes; empty: none
	Later    int    // the launch with which its calls from number From on run, side by side with others; 0: none. See Gatherer
	From     int
	Trains   bool // the plan makes gradients, not pictures, so that the order of sums may follow the device
	Again    bool // an earlier launch made the same, which was forgotten: see Recomputation
}

func (l Launch) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s = %v(", l.Out, l.Kernel)
	for i, t := range l.In {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(t.String())
	}
	b.WriteString(")")
	if l.PerImage != nil {
		fmt.Fprintf(&b, " + per image %s", l.PerImage)
	}
	if l.Add != nil {
		fmt.Fprintf(&b, " + %s", l.Add)
	}
	if p := l.Prepared; p.Bytes > 0 {
		fmt.Fprintf(&b, " with weights at prepared+%d", p.Offset)
	}
	if p := l.Partials; p.Chunks > 0 && p.Groups == 0 {
		fmt.Fprintf(&b, " by way of arena+%d[%d bytes]", p.Offset, p.Bytes)
	} else if p.Chunks > 0 {
		fmt.Fprintf(&b, " by way of arena+%d[%d groups in %d chunks]", p.Offset, p.Groups, p.Chunks)
	}
	if l.Later > 0 {
		fmt.Fprintf(&b, " from kernel %d on with launch %d", l.From+1, l.Later)
	}
	if l.Again {
		b.WriteString(" again")
	}
	return b.String()
}

// Target is what a plan must know of the device that it will run on. Targets are
// comparable: a plan runs on devices whose target equals its own.
type Target interface {
	// Scratch returns the bytes of working memory of a launch. Its operands have
	// types, shapes and pitches, but no places yet.
	Scratch(l Launch) int
	// Row returns the bytes of a launch's parameters in the table: 0 if they are
	// read in the memory of the host.
	Row(l Launch) int
	// Precision is the one that suits the device best.
	Precision() number.Type
}

// Measurer is a Target on which kernels can leave statistics of what they make, on
// the way, for kernels that would read it all for them.
type Measurer interface {
	// Partials returns what one launch is to leave for another, whose input of this number
	// is its result: their size, groups and chunks. It is zero if that can not be.
	Partials(maker, reader Launch, input int) Partials
}

// Plan is a compiled graph. It is a value: nothing in it is bound to a device.
type Plan struct {
	Launches  []Launch
	Sizes     Sizes   // of the buffers that the plan touches
	Prepared  *Buffer // weights as the launches lay them out; nil: see Options.Prepare
	Target    Target
	Precision number.Type
	Ahead     int   // runs whose parameters the table holds together
	Cuts      []int // launches behind which somebody waits for what is there, in their order; see device.RunCut
	Alive     []int // bytes of the arena that hold something at each launch, its working memory among them

	row    int              // bytes of a row of the table
	places map[int64]Tensor // by node
}

// TableHead is the bytes before the first row of a table: the counter, alone in
// its cache line.
const TableHead = 256

// Cost is the sum over all launches.
func (p *Plan) Cost() kernels.Cost {
	var c kernels.Cost
	for _, l := range p.Launches {
		c = c.Add(l.Cost)
	}
	return c
}

// Recomputed is the part of the cost that recomputation adds.
func (p *Plan) Recomputed() kernels.Cost {
	var c kernels.Cost
	for _, l := range p.Launches {
		if l.Again {
			c = c.Add(l.Cost)
		}
	}
	return c
}

// Bytes is the memory of all buffers, which is the peak: nothing is allocated later.
func (p *Plan) Bytes() int64 { return p.Sizes.Bytes() }

// Fullest is the launch at which most of the arena holds something.
func (p *Plan) Fullest() int {
	at := 0
	for i, n := range p.Alive {
		if n > p.Alive[at] {
			at = i
		}
	}
	return at
}

// WriteTo prints the plan, one launch a line.
func (p *Plan) WriteTo(w io.Writer) (int64, error) {
	var written int64
	for i, l := range p.Launches {
		n, err := fmt.Fprintf(w, "%4d %v\n", i, l)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// gorgoniaAdd is how Gorgonia's own addition of tensors prints itself; Grad uses
// it to sum the gradients of a tensor that was used more than once.
const gorgoniaAdd = "+ false"

// Place returns where the plan put a node. It panics for a node that is neither
// an input nor an output nor a parameter, whose memory may serve others.
func (p *Plan) Place(n interface{ ID() int64 }) Tensor {
	t, ok := p.places[n.ID()]
	if !ok {
		panic(fmt.Sprintf("plan: node %d is not part of it", n.ID()))
	}
	return t
}

// Product of sizes; one that no int64 holds is the largest that one does.
func Product(sizes ...int) int64 {
	p := int64(1)
	for _, n := range sizes {
		switch {
		case n <= 0:
			return 0
		case p > math.MaxInt64/int64(n):
			p = math.MaxInt64
		default:
			p *= int64(n)
		}
	}
	return p
}

// Add two sizes, bounded likewise.
func Add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
