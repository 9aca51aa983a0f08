package unet

import (
	"slices"

	"fluxion/nets"
)

// WithoutClasses returns the network without its table of classes, and its weights, flat:
// it makes of every image what the network with it makes of one class. The embedding of a
// class is added to that of the time, so that its row becomes part of the time's bias.
func (c Config) WithoutClasses(weights []float32, class int) (nets.Network, []float32, bool) {
	if !c.classTable() || c.Jumps() || class < 0 || class >= c.NumClassEmbeds {
		return nil, nil, false
	}
	alone := c.WithClasses(0)
	alone.Meta = nets.WithMeta(alone.Meta, nets.Augmented, false) // which only training tells
	has, wants := nets.Params(c), nets.Params(alone)
	of := func(name string) []float32 {
		i := slices.IndexFunc(has, func(p nets.Param) bool { return p.Name == name })
		return weights[has[i].Offset:][:has[i].Size()]
	}
	flat := make([]float32, nets.FlatSize(wants))
	for _, p := range wants {
		copy(flat[p.Offset:], of(p.Name))
		if p.Name == "time_embedding.linear_2.bias" {
			for i, e := range of(nets.ClassTable)[class*p.Size():][:p.Size()] {
				flat[p.Offset+i] += e
			}
		}
	}
	return alone, flat, true
}
