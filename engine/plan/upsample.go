package plan

import (
	"slices"

	"fluxion/kernels"

	"gorgonia.org/tensor"
)

// Upsampler is a Target on which kernels do the work of those before or behind them
// (kernels.Absorber, kernels.Finisher).
type Upsampler interface{ Upsamples() bool }

// fuseUpsampling lets convolutions read images as they are before they are enlarged,
// and make gradients of these.
func (c *compiler) fuseUpsampling() {
	if t, ok := c.Target.(Upsampler); !ok || !t.Upsamples() {
		return
	}
	for _, v := range slices.Clone(c.order) {
		if k, ok := v.kernel.(kernels.Absorber); ok {
			for i, x := range v.in {
				if x.kernel == nil || len(x.in) != 1 {
					continue
				}
				if whole := k.Absorbs(i, x.kernel, v.inputs()); whole != nil {
					v.kernel = whole
					c.reads(v, i, x.in[0])
				}
			}
		}
		if len(v.in) != 1 {
			continue
		}
		x := v.in[0]
		if k, ok := x.kernel.(kernels.Finisher); ok && x.uses == 1 {
			if whole := k.Finishes(v.kernel, x.inputs()); whole != nil {
				c.absorb(v, x)
				v.kernel = whole
			}
		}
	}
}

// reads lets v read y as input i. What it read before is not made any more if nothing else reads it.
func (c *compiler) reads(v *value, i int, y *value) {
	x := v.in[i]
	v.in[i] = y
	y.uses++
	if x.uses--; x.uses == 0 {
		for _, in := range x.in {
			in.uses--
		}
		c.order = slices.DeleteFunc(c.order, func(o *value) bool { return o == x })
	}
}

// inputs are the shapes of what v reads.
func (v *value) inputs() []tensor.Shape {
	in := make([]tensor.Shape, len(v.in))
	for i, x := range v.in {
		in[i] = x.shape()
	}
	return in
}
