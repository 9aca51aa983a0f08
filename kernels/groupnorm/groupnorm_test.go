package groupnorm

import (
	"fmt"
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
)

func TestGroupNorm(t *testing.T) {
	for _, c := range []struct {
		n, h, w, channels int
		o                 Options
	}{
		{2, 3, 4, 6, Options{3, 1e-5, true}},
		{1, 5, 7, 8, Options{2, 1e-6, false}},
		{2, 2, 3, 34, Options{17, 1e-5, true}},
	} {
		x, vector := kerneltest.Shape(c.n, c.h, c.w, c.channels), kerneltest.Shape(c.channels)
		t.Run(fmt.Sprint("plain", c), func(t *testing.T) {
			kerneltest.Check(t, []kerneltest.Input{x, vector, vector}, func(in []*gorgonia.Node) *gorgonia.Node {
				return GroupNorm(in[0], in[1], in[2], c.o)
			})
		})
		t.Run(fmt.Sprint("scaleshift", c), func(t *testing.T) {
			in := []kerneltest.Input{x, vector, vector, kerneltest.Shape(c.n, 2*c.channels)}
			kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node {
				return GroupNormScaleShift(in[0], in[1], in[2], in[3], c.o)
			})
		})
	}
}
