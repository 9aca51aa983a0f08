package train

import (
	"errors"
	"fmt"

	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/nets"
)

// part is what a process tells the others of the micro-batches that it has taken.
type part struct {
	Losses, Squares []float64 // of each micro-batch: the loss, the square of the norm of the gradients
	Seen            []seen    // the images, where the objective wants to know
	Skipped         []string  // images that it has left out since the last step
	Failed          string    // why it has not taken all; empty: it has
	Stopped         bool      // it was told to stop
}

func (p *part) reset() {
	*p = part{Losses: p.Losses[:0], Squares: p.Squares[:0], Seen: p.Seen[:0], Skipped: p.Skipped}
}

// StoppedError is a run that ends because another of its processes was told to stop.
type StoppedError struct {
	Rank int
	Text string
}

func (e *StoppedError) Error() string {
	return fmt.Sprintf("process %d of the group: %s", e.Rank, e.Text)
}

// tell tells the others of the part of this process, and returns those of all. If one of
// them has failed, all have.
func (t *Trainer) tell(p part, failed error) ([]part, error) {
	if failed != nil {
		p.Failed, p.Stopped = failed.Error(), stopped(failed)
	}
	all, err := collective.GatherValues(t.group(), p)
	if failed != nil || err != nil {
		return nil, errors.Join(failed, err)
	}
	for r, p := range all {
		switch {
		case p.Stopped:
			return nil, &StoppedError{r, p.Failed}
		case p.Failed != "":
			return nil, &collective.PeerError{Rank: r, Text: p.Failed}
		}
	}
	return all, nil
}

// join brings the parts of all processes together, in the order of the micro-batches.
func (t *Trainer) join(failed error) error {
	all, err := t.tell(t.part, failed)
	if err != nil {
		return err
	}
	t.part.reset()
	for _, p := range all {
		t.part.Losses, t.part.Squares, t.part.Seen = append(t.part.Losses, p.Losses...), append(t.part.Squares, p.Squares...), append(t.part.Seen, p.Seen...)
		t.leftOut = append(t.leftOut, p.Skipped...)
	}
	return nil
}

// joint is memory of the host for the sums of all processes.
type joint struct {
	sums     [][]float32   // this process's nodes
	received [][][]float32 // of each process, of each of its nodes: the part that this one owns
}

// jointBytes is what it takes.
func jointBytes(s *Step) int64 {
	g := s.group()
	if !s.joins() || s.onDevices() {
		return 0
	}
	nodes := 0
	for r := range g.World {
		nodes += nodesOf(g, r, s.Accumulate)
	}
	return plan.Product(4, nodes, s.parts.Size(g.Rank))
}

// nodesOf is how many the micro-batches of a process are joined to.
func nodesOf(g collective.Group, rank, of int) int {
	first, end := g.ShareOf(rank, of)
	return len(share{first, end, of}.nodes())
}

// newJoint allocates it.
func (t *Trainer) newJoint() *joint {
	g, size, j := t.group(), nets.FlatSize(t.Trained.Params), &joint{}
	for i := range nodesOf(g, g.Rank, t.Accumulate) {
		j.sums = append(j.sums, device.Floats(t.Memory, t.Buffers.Sums[i])[:size])
	}
	for r := range g.World {
		var theirs [][]float32
		for range nodesOf(g, r, t.Accumulate) {
			theirs = append(theirs, make([]float32, t.parts.Size(g.Rank)))
		}
		j.received = append(j.received, theirs)
	}
	return j
}

// exchangeFirst sends every process what it owns of the nodes but the last, which the last
// micro-batch does not change.
func (t *Trainer) exchangeFirst() error {
	most := 0
	for _, theirs := range t.joint.received {
		most = max(most, len(theirs)-1)
	}
	for i := range most {
		for c := range t.parts.Chunks() {
			err := t.exchangeNodes(c, func(of int) (node int, ok bool) { return i, i < of-1 })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// joinChunk sends every process what it owns of a chunk of the last node, and leaves the sum
// of all nodes in this one's piece.
func (t *Trainer) joinChunk(chunk int) error {
	if err := t.exchangeNodes(chunk, func(of int) (node int, ok bool) { return of - 1, true }); err != nil {
		return err
	}
	g, j := t.group(), t.joint
	parts := make([][][]float32, g.World)
	for r, theirs := range j.received {
		for _, x := range theirs {
			parts[r] = append(parts[r], t.ownOf(x, chunk))
		}
	}
	for i, x := range parts[g.Rank] {
		copy(x, t.parts.Of(j.sums[i], chunk, g.Rank))
	}
	copy(t.parts.Of(j.sums[0], chunk, g.Rank), fold(g, t.Accumulate, parts))
	return nil
}

// ownOf is a chunk of what this process owns.
func (s *Step) ownOf(x []float32, chunk int) []float32 {
	for _, p := range s.pieces() {
		if p.chunk == chunk {
			return x[p.at:][:p.to-p.from]
		}
	}
	return nil
}

// exchangeNodes sends every process the piece that it owns of a chunk of one of this one's
// nodes, of which a process says by their number which it is.
func (t *Trainer) exchangeNodes(chunk int, which func(of int) (node int, ok bool)) error {
	g, j := t.group(), t.joint
	send, recv := make([][]byte, g.World), make([][]byte, g.World)
	for r, theirs := range j.received {
		if i, ok := which(len(j.sums)); ok {
			send[r] = collective.Bytes(t.parts.Of(j.sums[i], chunk, r))
		}
		if i, ok := which(len(theirs)); ok {
			recv[r] = collective.Bytes(t.ownOf(theirs[i], chunk))
		}
	}
	return g.Exchange(send, recv)
}

// fold adds pieces of the nodes of all processes up, which it overwrites.
func fold(g collective.Group, of int, parts [][][]float32) []float32 {
	return folded(g, of, func(rank, i int) []float32 { return parts[rank][i] }, func(left, x []float32) []float32 {
		for i, e := range x {
			left[i] += e
		}
		return left
	})
}
