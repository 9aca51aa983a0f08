package unet

import (
	"math"
	"slices"

	"fluxion/nets"
)

// Untold returns the network without what it is told of an image, a class or numbers, and its
// weights, flat: it makes of every image what the network makes of one that it is told this of.
// The embedding of what it is told is added to that of the time, so that it becomes part of the
// time's bias.
func (c Config) Untold(weights, told []float32) (nets.Network, []float32, bool) {
	if !c.Conditional() || c.Jumps() || c.classTable() && !(told[0] >= 0 && int(told[0]) < c.NumClassEmbeds) {
		return nil, nil, false
	}
	alone := c.WithClasses(0)
	alone.Meta = nets.WithMeta(alone.Meta, nets.Augmented, false) // which only training tells
	has, wants := nets.Params(c), nets.Params(alone)
	of := func(name string) []float32 {
		i := slices.IndexFunc(has, func(p nets.Param) bool { return p.Name == name })
		return weights[has[i].Offset:][:has[i].Size()]
	}
	added := told
	switch {
	case c.classTable():
		added = of(nets.ClassTable)[int(told[0])*c.timeDim():][:c.timeDim()]
	case c.ClassEmbedType == nets.Timestep:
		features, ok := c.TimeFeatures()
		if !ok { // rows of a table, which are numbers of their own
			return nil, nil, false
		}
		hidden := affine(of("class_embedding.linear_1.weight"), of("class_embedding.linear_1.bias"), features.Of(float64(told[0])))
		for i, x := range hidden {
			hidden[i] = x / (1 + math.Exp(-x)) // SiLU
		}
		added = make([]float32, c.timeDim())
		for i, x := range affine(of("class_embedding.linear_2.weight"), of("class_embedding.linear_2.bias"), hidden) {
			added[i] = float32(x)
		}
	}
	return alone, nets.Folded(has, wants, weights, nets.TimeEmbedding+".linear_2.bias", added), true
}

// affine is xW + b, of weights as they lie: inputs × outputs.
func affine(weights, bias []float32, x []float64) []float64 {
	y := make([]float64, len(bias))
	for i := range y {
		y[i] = float64(bias[i])
		for k, v := range x {
			y[i] += v * float64(weights[k*len(bias)+i])
		}
	}
	return y
}
