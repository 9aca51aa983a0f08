package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"fluxion/kernels/cast"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// Buffer is memory that plans address. Whoever compiles a plan declares it, and
// alone knows what it is for. Plans share a buffer by naming the same one; what is
// compiled can be loaded into as many memories as wanted.
type Buffer struct {
	Name string
	Type number.Type
	Size int // elements
	// Copy holds the same numbers in bfloat16, which products read; nil: there is none.
	Copy *Buffer
	// Transient buffers are the beginning of the arena: until a part of one is
	// written in a run, others use its place. There is at most one in a plan.
	Transient bool
}

func (b *Buffer) String() string { return b.Name }

// Working memory of every plan, as large as the largest that is loaded wants it.
var (
	Arena = &Buffer{Name: "arena", Type: number.Float32} // activations
	Table = &Buffer{Name: "table", Type: number.Uint8}   // the numbers of the kernels that change from run to run, and the counter of runs
)

// Weights declares a buffer for the parameters of a network, with a copy in
// bfloat16 if plans of that precision have one for this target.
func Weights(name string, size int, t Target, precision number.Type) *Buffer {
	b := &Buffer{Name: name, Type: number.Float32, Size: size}
	if Copies(t, precision) {
		b.Copy = &Buffer{Name: name + "_bf16", Type: number.BFloat16, Size: size}
	}
	return b
}

// Copying is the stages that bring the copies of weights up to date, of those that have
// one; a nil buffer has none.
func Copying(weights ...*Buffer) []Stage {
	var stages []Stage
	for _, b := range weights {
		if b != nil && b.Copy != nil {
			stages = append(stages, Stage{Kernel: cast.New(1), In: []Ref{{Buffer: b}}, Out: Ref{Buffer: b.Copy}})
		}
	}
	return stages
}

// Bytes that it takes: kernels may read past its last element.
func (b *Buffer) Bytes() int { return roundUp(b.Size*b.Type.Size(), alignment) + tail }

// Whole is all of it as one vector.
func (b *Buffer) Whole() Tensor { return b.part(0, b.Size) }

// part is n elements from one on, as a vector.
func (b *Buffer) part(from, n int) Tensor {
	return Tensor{Buffer: b, Type: b.Type, Offset: from * b.Type.Size(), Shape: tensor.Shape{n}, Pitch: n}
}

// slot is the place of a parameter, or of what belongs to it, from an element on.
func (b *Buffer) slot(from int, shape tensor.Shape) *Tensor {
	return &Tensor{Buffer: b, Type: b.Type, Offset: from * b.Type.Size(), Shape: shape, Pitch: shape[len(shape)-1]}
}

// Sizes are the bytes of the buffers that plans touch.
type Sizes map[*Buffer]int

// Union is the memory that several plans need when they run in turn.
func Union(all ...Sizes) Sizes {
	union := Sizes{}
	for _, sizes := range all {
		for b, n := range sizes {
			union[b] = max(union[b], n)
		}
	}
	return union
}

// UnionOf is the memory that plans need when they run in turn.
func UnionOf(plans ...*Plan) Sizes {
	union := Sizes{}
	for _, p := range plans {
		union = Union(union, p.Sizes)
	}
	return union
}

// Separate is the sizes without the transient buffers, and an arena that holds them.
func (s Sizes) Separate() Sizes {
	separate := maps.Clone(s)
	for b, n := range s {
		if b.Transient {
			separate[Arena] = max(separate[Arena], n)
			delete(separate, b)
		}
	}
	return separate
}

// Bytes of all buffers.
func (s Sizes) Bytes() int64 {
	total := int64(0)
	for _, n := range s.Separate() {
		total = Add(total, int64(n))
	}
	return total
}

// Transient is the bytes of the transient buffers.
func (s Sizes) Transient() int {
	most := 0
	for b, n := range s {
		if b.Transient {
			most = max(most, n)
		}
	}
	return most
}

// Buffers are all that have bytes, by name.
func (s Sizes) Buffers() []*Buffer {
	list := slices.Collect(maps.Keys(s))
	list = slices.DeleteFunc(list, func(b *Buffer) bool { return s[b] == 0 })
	slices.SortFunc(list, func(a, b *Buffer) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Size, b.Size)) })
	return list
}

// check says what is wrong with the buffers of a plan.
func (o Options) check() error {
	var transient *Buffer
	for _, p := range o.Parameters {
		if n := p.Node.Shape().TotalSize(); p.Buffer == nil || p.Offset < 0 || p.Offset+n > p.Buffer.Size {
			return fmt.Errorf("parameter %v: its %d elements from %d on do not lie in a buffer", p.Node, n, p.Offset)
		}
		if p.Gradient == nil {
			continue
		}
		switch {
		case o.Gradients == nil || !o.Gradients.Transient || o.Gradients.Size != p.Buffer.Size:
			return fmt.Errorf("parameter %v has a gradient, and the plan no transient buffer of its buffer's size for it", p.Node)
		case transient != nil && transient != p.Buffer:
			return fmt.Errorf("parameters %v and %v are trained, want them in one buffer", transient, p.Buffer)
		}
		transient = p.Buffer
	}
	return nil
}
