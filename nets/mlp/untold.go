package mlp

import (
	"slices"

	"fluxion/nets"
)

// Untold is the network without classes: see nets.Teller. The row of a class is added to the
// embedding of the time, so that it becomes part of the time's bias.
func (c Config) Untold(weights, told []float32) (nets.Network, []float32, bool) {
	if !(told[0] >= 0 && int(told[0]) < c.NumClassEmbeds) {
		return nil, nil, false
	}
	alone := c
	alone.NumClassEmbeds = 0
	has := nets.Params(c)
	table := has[slices.IndexFunc(has, func(p nets.Param) bool { return p.Name == nets.ClassTable })]
	row := weights[table.Offset+int(told[0])*c.HiddenSize:][:c.HiddenSize]
	return alone, nets.Folded(has, nets.Params(alone), weights, nets.TimeEmbedding+".linear_2.bias", row), true
}
