package pointwise

import (
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
)

func TestPointwise(t *testing.T) {
	image, vectors := kerneltest.Shape(2, 3, 4, 5), kerneltest.Shape(3, 37)
	for name, c := range map[string]struct {
		in    []kerneltest.Input
		build func(in []*gorgonia.Node) *gorgonia.Node
	}{
		"add":           {[]kerneltest.Input{image, image}, func(in []*gorgonia.Node) *gorgonia.Node { return Add(in[0], in[1]) }},
		"add per image": {[]kerneltest.Input{image, kerneltest.Shape(2, 5)}, func(in []*gorgonia.Node) *gorgonia.Node { return AddPerImage(in[0], in[1]) }},
		"affine":        {[]kerneltest.Input{image}, func(in []*gorgonia.Node) *gorgonia.Node { return Affine(in[0], 2, -1) }},
		"silu":          {[]kerneltest.Input{vectors}, func(in []*gorgonia.Node) *gorgonia.Node { return SiLU(in[0]) }},
		"reused":        {[]kerneltest.Input{image}, func(in []*gorgonia.Node) *gorgonia.Node { return Add(in[0], Affine(in[0], 3, 0)) }},
	} {
		t.Run(name, func(t *testing.T) { kerneltest.Check(t, c.in, c.build) })
	}
}
