package train

import (
	"slices"

	"fluxion/engine/collective"
	"fluxion/engine/plan"
	"fluxion/nets"
)

// keep writes a buffer of the state that the run goes on from, and keeps it for the processes
// that have a part of it, until share brings it there. It copies what it keeps.
func (r *run) keep(b *plan.Buffer, flat []float32) error {
	if r.trainer.shares(b) {
		if r.kept == nil {
			r.kept = map[*plan.Buffer][]float32{}
		}
		r.kept[b] = slices.Clone(flat)
	}
	return r.trainer.Put(b, flat)
}

// keepFirst has averages begin with the weights, and moments with nothing, where several
// processes have parts of them.
func (r *run) keepFirst() error {
	t := r.trainer
	if !t.joins() {
		return nil
	}
	flat := make([]float32, nets.FlatSize(t.Trained.Params))
	if err := r.memory.Read(t.Buffers.Parameters, 0, flat); err != nil {
		return err
	}
	for _, b := range t.Buffers.weights()[1:] {
		if err := r.keep(b, flat); err != nil {
			return err
		}
	}
	clear(flat)
	for _, b := range t.Buffers.States {
		if err := r.keep(b, flat); err != nil {
			return err
		}
	}
	return nil
}

// exchangeState brings the buffers of the first process to the others, or the parts that are
// theirs.
func (r *run) exchangeState() error {
	t := r.trainer
	if err := r.agreeOnOrder(); err != nil {
		return err
	}
	flat := make([]float32, nets.FlatSize(t.Trained.Params))
	for _, b := range t.Buffers.stored() {
		exchange := r.group.BroadcastFloats
		if t.shares(b) {
			if r.group.Rank == 0 {
				copy(flat, r.kept[b])
			}
			if b != t.Buffers.EMA || !t.applies {
				exchange = func(x []float32) error { return r.group.ScatterFloats(x, t.parts) }
			}
		} else if r.group.Rank == 0 {
			if err := r.memory.Read(b, 0, flat); err != nil {
				return err
			}
		}
		if err := exchange(flat); err != nil {
			return err
		}
		if r.group.Rank > 0 {
			if err := t.Put(b, flat); err != nil {
				return err
			}
		}
	}
	r.kept, r.averaged = nil, r.state.Images
	return t.Refresh()
}

// gives are the buffers that the first process may ask the others for.
func (t *Trainer) gives() []*plan.Buffer { return append(t.Buffers.stored(), t.gradients()) }

// has says whether this process has all of a buffer as it is now.
func (r *run) has(b *plan.Buffer) bool {
	t := r.trainer
	switch {
	case !t.joins():
		return true
	case slices.Contains(t.shared(), b):
		return !t.awaits
	case b == t.Buffers.EMA:
		return r.averaged == r.state.Images
	}
	return !t.shares(b) && t.jointNorm == nil
}

// collect returns a flat buffer with the parts of all processes.
func (r *run) collect(b *plan.Buffer) ([]float32, error) {
	if flat, ok := r.kept[b]; ok {
		return flat, nil
	}
	if r.trainer.awaits {
		if err := r.pause(); err != nil {
			return nil, err
		}
	}
	flat := make([]float32, nets.FlatSize(r.trainer.Trained.Params))
	if r.has(b) {
		return flat, r.memory.Read(b, 0, flat)
	}
	if err := r.order(order{Kind: gives, Buffer: slices.Index(r.trainer.gives(), b)}); err != nil {
		return nil, err
	}
	return flat, r.give(b, flat)
}

// give brings the parts of a buffer to the first process.
func (r *run) give(b *plan.Buffer, flat []float32) error {
	err := r.trainer.get(b, flat)
	if err == nil {
		err = r.group.CollectFloats(flat, r.trainer.parts)
	}
	return r.group.Fail(err)
}

// bring has all of a buffer come to where it lies on the device of the first process.
func (r *run) bring(b *plan.Buffer) error {
	if r.has(b) {
		return nil
	}
	flat, err := r.collect(b)
	if err == nil {
		err = r.memory.Write(b, 0, flat)
	}
	if err == nil && b == r.trainer.Buffers.EMA {
		r.averaged = r.state.Images
	}
	return err
}

// nextOrder is what the first process wants of the next step: what it asks for before that is done.
func (r *run) nextOrder() (order, error) {
	for {
		r.group.SetLimit(r.pace.limit(r.warn))
		if r.paused {
			r.group.SetLimit(collective.Limit{})
		}
		next, err := collective.BroadcastValue(r.group, order{})
		switch {
		case err != nil:
			return next, err
		case next.Kind == waits:
			r.paused = true
			if err := r.trainer.Arrive(); err != nil {
				return next, err
			}
		case next.Kind == gives:
			flat := make([]float32, nets.FlatSize(r.trainer.Trained.Params))
			if err := r.give(r.trainer.gives()[next.Buffer], flat); err != nil {
				return next, err
			}
		default:
			r.paused = false
			return next, nil
		}
	}
}
