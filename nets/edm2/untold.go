package edm2

import (
	"math"
	"slices"

	"fluxion/kernels/magnitude"
	"fluxion/nets"
)

// Untold is the network without classes: see nets.Teller. The vector of a class becomes one of
// the network's own, of the size that it has in the graph.
func (c Config) Untold(weights, told []float32) (nets.Network, []float32, bool) {
	if !(told[0] >= 0 && int(told[0]) < c.NumClassEmbeds) {
		return nil, nil, false
	}
	alone := c
	alone.NumClassEmbeds, alone.ConstantClass = 0, true
	alone.Meta = nets.WithMeta(c.Meta, nets.Augmented, false) // which only training tells
	byName := map[string]nets.Param{}
	for _, p := range nets.Params(c) {
		byName[p.Name] = p
	}
	wants := nets.Params(alone)
	flat := make([]float32, nets.FlatSize(wants))
	for _, p := range wants {
		copy(flat[p.Offset:], weights[byName[p.Name].Offset:][:byName[p.Name].Size()])
	}
	table, to := byName[nets.ClassTable], wants[slices.IndexFunc(wants, func(p nets.Param) bool { return p.Name == constantClass })]
	rows, width := weights[table.Offset:][:table.Size()], c.embedding()
	for k := range width {
		squares := 0.
		for r := range table.Unit {
			squares += float64(rows[r*width+k]) * float64(rows[r*width+k])
		}
		flat[to.Offset+k] = float32(float64(rows[int(told[0])*width+k]) / (magnitude.Epsilon + math.Sqrt(squares/float64(table.Unit))))
	}
	return alone, flat, true
}
