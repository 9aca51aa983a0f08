package plan

import (
	"fmt"
	"testing"

	"fluxion/kernels/number"
)

// TestStack: in a training plan queries, keys and values of every attention are one product, and so are the gradient
// of what they are made of, over the same weights side by side, and those of the weights, whatever is made again.
func TestStack(t *testing.T) {
	for _, precision := range []number.Type{number.Float32, number.BFloat16} {
		for _, r := range Recomputations {
			count := func(without ...string) map[string]int {
				n := map[string]int{}
				for _, l := range planned(t, "small", 2, Options{Target: floats{joins: true}, Precision: precision, Recompute: r.Name, Without: append(without, "chain")}).Launches {
					kind := fmt.Sprint(l.Kernel)
					switch w := len(l.In) > 1 && len(l.In[1].Shape) == 2; {
					case l.Again || len(l.Out.Shape) == 4 && kind == "concat":
						continue
					case (kind == "linear" || kind == "linear.dx") && len(l.Out.Shape) == 4 && w && l.In[1].Shape[1] == 3*l.In[1].Shape[0]:
						kind += " of three"
					}
					n[kind]++
				}
				return n
			}
			with, apart := count(), count("products")
			n := apart["attention 1 heads"] + apart["attention 2 heads"] + apart["attention 4 heads"]
			if n == 0 {
				t.Fatalf("%v, %s: no attention in %v", precision, r.Name, apart)
			}
			for kind, want := range map[string]int{
				"linear of three": n, "linear": apart["linear"] - 3*n, "linear.dx of three": n, "linear.dx": apart["linear.dx"] - 3*n, "concat": 2 * n, "linear.dw": apart["linear.dw"],
				"linear.dw with bias of 3": n, "linear.dw with bias": apart["linear.dw with bias"] - 3*n,
			} {
				if with[kind] != want {
					t.Errorf("%v, %s: %d launches of %q, want %d", precision, r.Name, with[kind], kind, want)
				}
			}
			if apart["linear of three"] != 0 || apart["concat"] != 0 {
				t.Errorf("%v, %s: without the fusion %v", precision, r.Name, apart)
			}
		}
	}
}
