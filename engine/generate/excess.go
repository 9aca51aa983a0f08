package generate

import (
	"errors"

	"fluxion/engine/plan"
	"fluxion/kernels/update"
)

// Where x̂ is limited, the update goes on with the output that agrees with the
// limited x̂. Some samplers hold on to what the network said of the noise instead,
// as diffusers' DDIM does. With x̂' and y' after the limit, a row then adds
//
//	E (x̂' − x̂) = E X.Y (y' − y)
//
// to z'. y is kept in a slot of history before it is limited: an update whose
// state is the slot, z' = 0 z + 1 y, guided like the other.

// keepUnlimited puts the update that keeps y into the plan, before all that limit it.
func (s *Step) keepUnlimited(c *plan.Options, slot plan.Ref) {
	s.before = &update.Row{}
	k := update.New(update.Options{Shape: s.shape, Guided: s.Guided, Alone: true}, s.before, s.images)
	c.After = append(c.After, plan.Stage{Kernel: k, In: []plan.Ref{{Node: s.Graph.Output}, {Node: s.pixels}}, Out: slot})
}

// checkLimit reports a request whose limits the step cannot compute.
func (g *Generator) checkLimit(r Request) error {
	switch {
	case !g.Network.Spec().Jump && r.Table.Leads():
		return errors.New("a table for flow maps and a network that is none")
	case (r.Excess != nil) != g.Unlimited:
		return errors.New("a step for an excess without one, or the other way round")
	case r.Excess != nil && (g.Reduced || g.Guide != nil):
		return errors.New("what was before a limit is not kept of outputs that are rescaled, or guided away from a second network")
	case r.Range != 0 && r.Range != 1 && g.estimate != nil:
		return errors.New("a network that is given its estimate has it in ±1; want no other range of x̂")
	}
	return nil
}

// folded is the excess for the rows of the folded table: z' is in the units that the
// network sees then, x̂ as it was.
func (r Request) folded() []float64 {
	if r.Excess == nil {
		return nil
	}
	folded := make([]float64, len(r.Excess))
	for i, e := range r.Excess {
		if i+1 < len(r.Excess) {
			next := r.Table.Rows[i+1]
			e *= next.Call.Input
			if next.Before.A != 0 {
				e *= next.Before.A
			}
		}
		folded[i] = e
	}
	return folded
}

// addExcess adds the excess of a call to the parameters, which are set.
func (g *Generator) addExcess(r Request, call int) {
	if g.before == nil {
		return
	}
	u := g.update
	*g.before = update.Row{B: 1, Store: -1, Guidance: u.Guidance}
	if !r.Clip {
		return
	}
	by := float32(r.Excess[call] * r.Table.Rows[call].X.Y)
	u.B += by
	u.History[g.Slots] = -by
}
