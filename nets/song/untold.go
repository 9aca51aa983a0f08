package song

import (
	"slices"

	"fluxion/nets"
)

// Untold is the network without classes: see nets.Teller. The row of a class is added before
// both maps of the time's embedding, so that its image under the first becomes part of that
// one's bias.
func (c Config) Untold(weights, told []float32) (nets.Network, []float32, bool) {
	if !(told[0] >= 0 && int(told[0]) < c.NumClassEmbeds) {
		return nil, nil, false
	}
	alone := c
	alone.NumClassEmbeds = 0
	alone.Meta = nets.WithMeta(c.Meta, nets.Augmented, false) // which only training tells
	has := nets.Params(c)
	of := func(name string) []float32 {
		p := has[slices.IndexFunc(has, func(p nets.Param) bool { return p.Name == name })]
		return weights[p.Offset:][:p.Size()]
	}
	table, first := of(nets.ClassTable), of(nets.TimeEmbedding+".linear_1.weight")
	width := len(table) / c.NumClassEmbeds
	sums := make([]float64, len(first)/width)
	for i, x := range table[int(told[0])*width:][:width] {
		for k, w := range first[i*len(sums):][:len(sums)] { // inputs × outputs
			sums[k] += float64(x) * float64(w)
		}
	}
	added := make([]float32, len(sums))
	for k, x := range sums {
		added[k] = float32(x)
	}
	return alone, nets.Folded(has, nets.Params(alone), weights, nets.TimeEmbedding+".linear_1.bias", added), true
}
