package plan

import (
	"fmt"
	"testing"

	"fluxion/kernels/number"
)

// TestArena follows what lies in every cache line of the arena through plans of
// training: a launch finds what it reads as another has written it, working memory
// lies on nothing that is read later, and no gradient is overwritten. The gradients
// are the beginning of the arena, and activations do lie there.
func TestArena(t *testing.T) {
	options := []Options{
		{Precision: number.Float32, Recompute: "blocks"}, {Precision: number.Float32}, {Precision: number.BFloat16}, {Precision: number.BFloat16, Recompute: "norms"},
	}
	if testing.Short() {
		options = options[:1]
	}
	for _, o := range options {
		name := fmt.Sprint(o.Precision, " ", o.Recompute)
		p := planned(t, "small", 2, o)
		others := p.Sizes[named(p, "params")] + p.Sizes[named(p, "params_bf16")]
		if n := p.Sizes.Transient(); n == 0 || p.Sizes[Arena] < n || p.Bytes() != int64(p.Sizes[Arena]+others) {
			t.Errorf("%s: %d bytes of gradients, %d of arena, %d together", name, n, p.Sizes[Arena], p.Bytes())
		}
		if inside := follow(t, name, p); inside == 0 {
			t.Errorf("%s: no activation lies where gradients will", name)
		}
	}
}

// content is what the last launch left in a cache line.
type content struct {
	gradient bool
	junk     bool // working memory
	dtype    number.Type
	pitch    int // of the tensor
}

// follow checks a plan without joint kernels, in which launches write Out alone. It
// returns how many of them write activations where gradients will be.
func follow(t *testing.T, name string, p *Plan) (inside int) {
	t.Helper()
	lines := make([]content, p.Sizes[Arena]/alignment+1)
	written := map[int]bool{} // lines
	each := func(from, bytes int, visit func(line int)) {
		for l := from / alignment; l <= (from+bytes-1)/alignment; l++ {
			visit(l)
		}
	}
	rows := func(x Tensor, visit func(line int)) {
		if x.Buffer != Arena && !x.Buffer.Transient {
			return
		}
		size := x.Type.Size()
		for r := range x.Rows() {
			each(x.Offset+r*x.Pitch*size, x.Cols()*size, visit)
		}
	}
	for i, l := range p.Launches {
		spoil := func(s Space) {
			if s.Bytes == 0 {
				return
			}
			each(s.Offset, s.Bytes, func(line int) {
				if lines[line].gradient {
					t.Fatalf("%s: working memory of launch %d, %v, lies on a gradient", name, i, l)
				}
				lines[line], written[line] = content{junk: true}, true
			})
		}
		spoil(l.Scratch)
		in := append([]Tensor{}, l.In...)
		for _, o := range []*Tensor{l.Add, l.PerImage} {
			if o != nil {
				in = append(in, *o)
			}
		}
		for _, x := range in {
			rows(x, func(line int) {
				if c := lines[line]; written[line] && (c.junk || c.dtype != x.Type || c.pitch != x.Pitch && len(x.Shape) == 4) {
					t.Fatalf("%s: launch %d, %v, reads %v where there is %+v now", name, i, l, x, c)
				}
			})
		}
		gradient := l.Out.Buffer.Transient
		if !gradient && l.Out.Buffer == Arena && l.Out.Offset < p.Sizes.Transient() {
			inside++
		}
		rows(l.Out, func(line int) {
			if lines[line].gradient && !gradient {
				t.Fatalf("%s: launch %d, %v, overwrites a gradient", name, i, l)
			}
			lines[line], written[line] = content{gradient: gradient, dtype: l.Out.Type, pitch: l.Out.Pitch}, true
		})
	}
	return inside
}

// TestGaps: what no gradient is written to is made zero before the optimizer reads it.
func TestGaps(t *testing.T) {
	p := training(t, "tiny", 2)
	covered := make([]bool, named(p, "grads").Size)
	for _, l := range p.Launches {
		if l.Out.Buffer.Transient {
			for i := range l.Out.Values() {
				covered[l.Out.Offset/4+i] = true
			}
		}
	}
	for i, ok := range covered {
		if !ok {
			t.Fatalf("element %d of the flat gradients is never written", i)
		}
	}
}
