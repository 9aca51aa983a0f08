package plan

import (
	"strings"
	"testing"

	"fluxion/kernels/number"
)

// gathering lets small products and gradients of norms wait for others of their name, and second passes of sums.
type gathering struct{ floats }

func (gathering) Gathers(l Launch) (string, int, bool) {
	name, _, _ := strings.Cut(l.Kernel.String(), " ")
	switch name {
	case "linear", "linear.dw", "groupnorm.dgamma", "groupnorm.dbeta":
		return name, 0, true
	case "sum":
		return name, 1, true
	}
	return "", 0, false
}

// span is bytes of a buffer.
type span struct {
	buffer   *Buffer
	from, to int
}

func spanOf(t Tensor) span {
	size := t.Type.Size()
	return span{t.Buffer, t.Offset, t.Offset + ((t.Rows()-1)*t.Pitch+t.Cols())*size}
}

func (s span) meets(o span) bool {
	transient := func(b *Buffer) bool { return b == Arena || b.Transient } // gradients are the arena's beginning
	return (s.buffer == o.buffer || transient(s.buffer) && transient(o.buffer)) && s.from < o.to && o.from < s.to
}

// TestTogether: until a launch that waits has run, nobody reads what it makes, and nothing is written to that, to its
// working memory or to the inputs that it still needs.
func TestTogether(t *testing.T) {
	for _, recompute := range []string{"", "blocks"} {
		p := planned(t, "small", 2, Options{Target: gathering{}, Precision: number.BFloat16, Recompute: recompute})
		waiting, from := 0, map[int]bool{}
		for i, l := range p.Launches {
			if l.Later == 0 {
				continue
			}
			last := p.Launches[l.Later]
			if l.Later < i || last.Later != l.Later {
				t.Fatalf("launch %d, %v, runs with launch %d, which runs with %d", i, l, l.Later, last.Later)
			}
			waiting++
			from[l.From] = true
			mine := []span{spanOf(l.Out)}
			if l.Scratch.Bytes > 0 {
				mine = append(mine, span{Arena, l.Scratch.Offset, l.Scratch.Offset + l.Scratch.Bytes})
			}
			kept := mine
			if l.From == 0 {
				for _, in := range l.In {
					kept = append(kept, spanOf(in))
				}
			}
			for k := i + 1; k <= l.Later; k++ {
				other := p.Launches[k]
				for _, in := range other.In {
					if spanOf(in).meets(mine[0]) {
						t.Fatalf("launch %d, %v, reads what launch %d, %v, makes with launch %d", k, other, i, l, l.Later)
					}
				}
				writes := []span{spanOf(other.Out)}
				if other.Scratch.Bytes > 0 {
					writes = append(writes, span{Arena, other.Scratch.Offset, other.Scratch.Offset + other.Scratch.Bytes})
				}
				for _, w := range writes {
					for _, s := range kept {
						if w.meets(s) {
							t.Fatalf("launch %d, %v, writes where launch %d, %v, lies until launch %d", k, other, i, l, l.Later)
						}
					}
				}
			}
		}
		if waiting < 50 || len(from) != 2 {
			t.Errorf("recompute %q: %d of %d launches wait for others, from calls %v", recompute, waiting, len(p.Launches), from)
		}
	}
	without := planned(t, "small", 2, Options{Target: gathering{}, Without: []string{"together"}})
	for _, l := range without.Launches {
		if l.Later > 0 {
			t.Errorf("%v waits, though the fusion is left out", l)
		}
	}
}
