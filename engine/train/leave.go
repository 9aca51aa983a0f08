package train

import (
	"slices"

	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/plan"
)

// finished is the launch of a micro-batch behind which a chunk of its gradients is complete.
func (s *Step) finished(chunk int) (launch int) {
	from, to := s.parts.Chunk(chunk)
	for i, l := range s.Micro.Launches[:len(s.Micro.Launches)-s.microEnd] {
		for _, o := range append(slices.Clone(l.In), l.Out) {
			at := o.Offset / 4
			if o.Buffer == s.Buffers.Gradients && at < to && at+o.Values() > from {
				launch = max(launch, i, l.Later) // a GPU may launch it with a later one
			}
		}
	}
	return launch
}

// leaving is a chunk, and the launch of this process behind which it can leave.
type leaving struct{ chunk, ready int }

// order is that in which chunks are complete.
func (s *Step) order() (chunks []int) {
	for c := range s.parts.Chunks() {
		chunks = append(chunks, c)
	}
	slices.SortStableFunc(chunks, func(a, b int) int { return s.finished(a) - s.finished(b) })
	return chunks
}

// leaveIn is when chunks leave, one behind the other.
func (s *Step) leaveIn(order []int) (list []leaving) {
	last := 0
	for _, c := range order {
		last = max(last, s.finished(c))
		list = append(list, leaving{c, last})
	}
	return list
}

// agreeOnOrder has all processes send gradients, and weights, in the order of the first: their
// plans may differ.
func (r *run) agreeOnOrder() (err error) {
	t := r.trainer
	if !t.joins() {
		return nil
	}
	order, err := collective.BroadcastValue(r.group, t.order())
	if err != nil {
		return err
	}
	t.leaving = t.leaveIn(order)
	for _, other := range t.others {
		other.leaving = other.leaveIn(order)
	}
	t.awaits = false // what they will be, the first process says
	if order, err = collective.BroadcastValue(r.group, t.readOrder()); err != nil {
		return err
	}
	return t.arriveIn(order)
}

// runLeaving runs the last micro-batch of this process's share, while weights come that have
// not yet, and makes the sum of its
// micro-batches that of all, chunk by chunk: each owner of a part is sent it of every node of
// every process, and adds up in the order that the tree says. The sum of its part is all that
// it needs, but where the norm is of all gradients.
func (t *Trainer) runLeaving(int) error {
	if t.onDevices() {
		s := &t.leaves
		if t.awaits {
			s = &t.both
		}
		err := t.sequence(s, t.leaveOnce)
		t.awaits = t.awaits && err != nil
		return t.group().Fail(err)
	}
	if t.joint == nil {
		t.joint = t.newJoint()
	}
	leaving := t.at.leaving
	ready := make(chan int, len(leaving))
	done := make(chan error, 1)
	weights, receive := t.receiving()
	go func() {
		err := receive()
		if err == nil {
			err = t.exchangeFirst()
		}
		for c := range ready {
			if err == nil {
				t.addLast(c)
				err = t.joinChunk(c)
			}
		}
		done <- err
	}()
	next := 0
	err := t.launches(weights, func(i int) {
		for ; next < len(leaving) && leaving[next].ready <= i; next++ {
			ready <- leaving[next].chunk
		}
	})
	close(ready)
	if failed := <-done; err == nil {
		err = failed
	}
	t.awaits = t.awaits && err != nil
	if err == nil && t.jointNorm == nil {
		err = t.group().GatherFloats(t.joint.sums[0], t.parts)
	}
	return t.group().Fail(err)
}

// addLast adds a chunk of the last micro-batch's gradients to the sums, as compileSums does.
func (t *Trainer) addLast(chunk int) {
	from, to := t.parts.Chunk(chunk)
	of := func(b *plan.Buffer) []float32 { return device.Floats(t.Memory, b)[from:to] }
	all := additions(t.Accumulation, t.share())
	for _, a := range all[len(all)-1] {
		sum, x := of(t.Buffers.Sums[a.to]), of(t.Buffers.Gradients)
		switch a.source {
		case first:
			copy(sum, x)
			continue
		case above:
			x = of(t.Buffers.Sums[a.to+1])
		}
		for i, e := range x {
			sum[i] += e
		}
	}
}
