package attention

import (
	"fmt"
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
)

func TestAttention(t *testing.T) {
	for _, c := range []struct{ n, h, w, heads, dim int }{{2, 3, 3, 1, 4}, {1, 2, 5, 2, 3}, {1, 11, 10, 1, 2}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, 3*c.heads*c.dim)}
			kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Attention(in[0], c.heads) })
		})
	}
}
