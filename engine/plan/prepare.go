package plan

import (
	"slices"

	"fluxion/kernels"
)

// Preparer is a Target whose launches lay weights out before they multiply, and
// can find them so: where weights stay, that need not be done in every run.
type Preparer interface {
	// Prepared returns the bytes of a launch's weights laid out; 0: there are none.
	// Scratch of a launch whose Prepared has bytes leaves them out.
	Prepared(l Launch) int
}

// prepare gives the weights of w, the next launch, a place of their own.
func (c *compiler) prepare(w *pending) {
	target, ok := c.Target.(Preparer)
	if !ok || !c.Prepare || !w.keepsWeights() {
		return
	}
	if n := target.Prepared(w.launch((*value).describe)); n > 0 {
		w.prepared = Space{c.prepared, n}
		c.prepared += roundUp(n, scratchAlignment)
	}
}

// keepsWeights says whether the weights of a product are parameters, which stay; those that are
// made of parameters are made in every run.
func (w *pending) keepsWeights() bool {
	k, ok := w.kernel.(kernels.Weighted)
	return !ok || !slices.ContainsFunc(k.Weights(), func(i int) bool {
		v := w.in[i].value
		return v != nil && v.home == nil
	})
}

// Preparation is the plan that must run before this one whenever the weights have
// changed; nil if it was not compiled with Options.Prepare for a target that prepares.
func (p *Plan) Preparation() *Plan {
	q := &Plan{Target: p.Target, Precision: p.Precision, Ahead: 1, Sizes: p.Sizes, Prepared: p.Prepared, places: p.places}
	for _, l := range p.Launches {
		if l.Prepared.Bytes == 0 {
			continue
		}
		l.Prepares = true
		l.Cost = kernels.Cost{Bytes: int64(l.Prepared.Bytes)}
		for _, t := range l.In {
			if t.Buffer != Arena { // a weight
				l.Cost.Bytes += int64(t.Values() * t.Type.Size())
			}
		}
		q.Launches = append(q.Launches, l)
	}
	if len(q.Launches) == 0 {
		return nil
	}
	return q
}
