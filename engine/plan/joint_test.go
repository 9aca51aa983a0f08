package plan

import (
	"fmt"
	"strings"
	"testing"

	"fluxion/kernels/number"
)

// TestNorms: in a training plan every norm is one launch and its gradient another,
// however much is made again.
func TestNorms(t *testing.T) {
	for _, precision := range []number.Type{number.Float32, number.BFloat16} {
		for _, r := range Recomputations {
			o := Options{Target: floats{joins: true}, Precision: precision, Recompute: r.Name}
			count := func(p *Plan) map[string]int {
				n := map[string]int{}
				for _, l := range p.Launches {
					name := fmt.Sprint(l.Kernel)
					kind, _, _ := strings.Cut(name, " ")
					if strings.Contains(name, " with ") {
						kind += " joint"
					}
					if !l.Again {
						n[kind]++
					}
				}
				return n
			}
			with := count(planned(t, "small", 2, o))
			o.Without = []string{"norms"}
			apart := count(planned(t, "small", 2, o))
			norms := apart["groupnorm"]
			if norms == 0 || apart["groupnorm.stats"] != norms || apart["groupnorm.sums"] != norms || apart["groupnorm.dx"] != norms {
				t.Fatalf("%v, %s: apart %v", precision, r.Name, apart)
			}
			for kind, want := range map[string]int{
				"groupnorm joint": norms, "groupnorm.dx joint": norms, "groupnorm": 0, "groupnorm.stats": 0, "groupnorm.sums": 0, "groupnorm.dx": 0,
				"groupnorm.dgamma": norms, "conv": apart["conv"],
			} {
				if with[kind] != want {
					t.Errorf("%v, %s: %d launches of %q, want %d", precision, r.Name, with[kind], kind, want)
				}
			}
		}
	}
}

// TestSettle: what reads an input that a later value makes now waits for it, and
// nothing else moves.
func TestSettle(t *testing.T) {
	leaf := &value{}
	make := func(in ...*value) *value { return &value{kernel: joined{}, in: in} }
	a := make(leaf)
	sums := make(a)
	reader := make(sums) // was before the launch that makes the sums now
	second := make(reader, a)
	other := make(a)
	gradient := make(a, sums)
	gradient.add, gradient.makes = other, []*value{sums}
	last := make(second)
	c := &compiler{order: []*value{a, reader, second, other, gradient, last}}
	c.settle()
	for i, want := range []*value{a, other, gradient, reader, second, last} {
		if c.order[i] != want {
			t.Fatalf("place %d is another value's", i)
		}
	}
}
