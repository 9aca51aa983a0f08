package unet

import (
	"maps"
	"slices"
	"strings"

	"fluxion/kernels/gelu"
	"fluxion/kernels/mish"
	"fluxion/kernels/pointwise"
	"fluxion/kernels/relu"

	"gorgonia.org/gorgonia"
)

// activations are those of get_activation of diffusers, which residual blocks have behind
// their norms and on the embedding of time. Embeddings and the last norm always have SiLU.
var activations = map[string]activation{
	"silu":  {},
	"swish": {},
	"gelu":  {gelu.GELU},
	"mish":  {mish.Mish},
	"relu":  {relu.ReLU},
}

// activation is one of them; without an operator of its own it is SiLU, which a norm does in
// the same pass.
type activation struct {
	of func(x *gorgonia.Node) *gorgonia.Node
}

// activationNames are their names.
func activationNames() []string { return slices.Sorted(maps.Keys(activations)) }

func (c Config) activation() activation { return activations[strings.ToLower(c.ActFn)] }

// fused says whether the norm before it does it.
func (a activation) fused() bool { return a.of == nil }

func (a activation) apply(x *gorgonia.Node) *gorgonia.Node {
	if a.fused() {
		return pointwise.SiLU(x)
	}
	return a.of(x)
}

// behind is the activation of what a norm gives, if that has not done it.
func (a activation) behind(x *gorgonia.Node) *gorgonia.Node {
	if a.fused() {
		return x
	}
	return a.of(x)
}
