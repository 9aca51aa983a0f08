package plan

import (
	"fmt"
	"slices"
	"strings"

	"fluxion/kernels"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Recomputation says which activations a plan drops after the forward pass and computes
// again in the backward pass, to save memory: Chen et al., "Training Deep Nets with
// Sublinear Memory Cost" (2016). The same launches compute them again from the same
// operands, so that no bit of a result depends on it.
type Recomputation struct{ Name, Does string }

// Recomputations are all there are, the most memory first.
var Recomputations = []Recomputation{
	{"none", "every activation is kept for the backward pass"},
	{"norms", "what costs a few operations a value, such as norms and SiLU, is made again: nearly free"},
	{"blocks", "only what residual and attention blocks begin with is kept"},
}

// RecomputationNames lists the names of Recomputations.
func RecomputationNames() []string {
	names := make([]string, len(Recomputations))
	for i, r := range Recomputations {
		names[i] = r.Name
	}
	return names
}

// CheckRecomputation says whether a name is none of a recomputation.
func CheckRecomputation(name string) error {
	if known := RecomputationNames(); !slices.Contains(known, name) {
		return fmt.Errorf("no recomputation is called %q, want one of %s", name, strings.Join(known, ", "))
	}
	return nil
}

// Forward is what recomputation must know of a graph.
type Forward struct {
	Loss   *gorgonia.Node   // what was made after it is the backward pass
	Blocks []*gorgonia.Node // what blocks begin with, and the network's output
}

// check says what a recomputation lacks.
func (f Forward) check(name string) error {
	if name == "" || name == "none" {
		return nil
	}
	if err := CheckRecomputation(name); err != nil {
		return err
	}
	if f.Loss == nil {
		return fmt.Errorf("recomputation %q of a graph without a loss", name)
	}
	return nil
}

// cheap is the operations a value, of which a kernel with fewer is made again by "norms".
const cheap = 32

// recompute ends the lives of activations with the forward pass and makes them
// again before the first launch of the backward pass that reads them.
func (c *compiler) recompute() {
	r := recomputation{compiler: c, forgotten: map[*value]bool{}, again: map[*value]*value{}}
	forward := c.order[:1+slices.Index(c.order, c.values[c.Forward.Loss.ID()])]
	backward := c.order[len(forward):]
	r.forget(forward)
	c.order = slices.Clone(forward)
	for _, v := range backward {
		r.redirect(v)
		c.order = append(c.order, v)
	}
}

type recomputation struct {
	*compiler
	forgotten map[*value]bool
	again     map[*value]*value // what was made again, by what it equals
}

// forget decides on every value of the forward pass. Those that share memory are
// kept or forgotten together.
func (r *recomputation) forget(forward []*value) {
	kept := map[*value]bool{}
	for _, n := range r.Forward.Blocks {
		kept[r.values[n.ID()]] = true
	}
	for _, v := range forward {
		switch k := v.kernel.(type) {
		case joined: // it is as its parts are
			r.forgotten[v] = true
		default:
			r.forgotten[v] = v.role == kernels.Activation && !kept[v] && (r.Recompute == "blocks" || r.costs(k, v) < cheap)
		}
		r.forgotten[v] = r.forgotten[v] && !v.pinned && v.home == nil
	}
	for settled := false; !settled; {
		settled = true
		for _, v := range forward {
			if o := v.within; o != nil && r.forgotten[v] != r.forgotten[o] {
				r.forgotten[v], r.forgotten[o], settled = false, false, false
			}
		}
	}
}

// costs is the operations that a kernel does for a value of its result.
func (r *recomputation) costs(k kernels.Kernel, v *value) float64 {
	in := make([]tensor.Shape, len(v.in))
	for i, x := range v.in {
		in[i] = x.shape()
	}
	return float64(k.Cost(in, v.shape()).FLOPs) / float64(v.shape().TotalSize())
}

// redirect lets v read what is there in the backward pass.
func (r *recomputation) redirect(v *value) {
	v.in = slices.Clone(v.in)
	for i, x := range v.in {
		v.in[i] = r.of(x)
	}
	v.add, v.perImage = r.of(v.add), r.of(v.perImage)
}

// of returns x if it was kept, else what equals it, made again before the launch
// that comes next.
func (r *recomputation) of(x *value) *value {
	if !r.forgotten[x] {
		return x
	}
	if made := r.again[x]; made != nil {
		return made
	}
	made := *x
	made.again = true
	r.again[x] = &made
	r.redirect(&made) // the parts of a concatenation come with the whole
	r.order = append(r.order, &made)
	r.all = append(r.all, &made)
	made.within = r.of(x.within) // and the whole with a part
	return &made
}
