package train

import "fluxion/engine/collective"

// Outcome is what a step came to.
type Outcome struct {
	Loss     float64 // mean over the step
	GradNorm float64 // before clipping
	// MicroSquares is the mean of the squares of the norms of the micro-batches' gradients, 0
	// unless StepOptions.NoiseScale.
	MicroSquares float64
	Changed      bool // the memory may hold other weights than before the step
}

// Train makes a step: it lets fill bring each of the micro-batches that this process
// takes (Fill), adds their gradients, and lets the optimizer take its step. Where fill
// fails, nothing has changed.
func (t *Trainer) Train(h Hyper, g collective.Group, fill func(micro int) error) (o Outcome, err error) {
	t.Hyper(h)
	first, end := g.Share(t.Accumulate)
	for i := first; i < end; i++ {
		if err := fill(i); err != nil {
			return o, err
		}
		o.Changed = true
		loss, err := t.runMicro(i)
		if err != nil {
			return o, err
		}
		if t.microNorm != nil {
			norm, err := t.read(0, t.Micro.Place(t.microNorm))
			if err != nil {
				return o, err
			}
			o.MicroSquares += norm * norm / float64(end-first)
		}
		o.Changed = i == end-1 // only the last one changes weights
		o.Loss += loss / float64(t.Accumulate)
	}
	o.GradNorm, err = t.finish()
	return o, err
}
