package train

import (
	"errors"
	"fmt"
	"slices"

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

// join brings the parts of all processes together, in the order of the micro-batches. If
// one of them has failed, all have.
func (t *Trainer) join(failed error) error {
	if failed != nil {
		t.part.Failed = failed.Error()
		t.part.Stopped = stopped(failed)
	}
	all, err := collective.GatherValues(t.group(), t.part)
	if failed != nil || err != nil {
		return errors.Join(failed, err)
	}
	for r, p := range all {
		switch {
		case p.Stopped:
			return &StoppedError{r, p.Failed}
		case p.Failed != "":
			return &collective.PeerError{Rank: r, Text: p.Failed}
		}
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
	own      [][]float32   // this process's nodes
	received [][][]float32 // of each process, of each of its nodes: the part that this one owns
}

// jointBytes is what it takes.
func jointBytes(d device.Device, o StepOptions, parts collective.Parts, size int) int64 {
	g := o.group()
	if g.World == 1 {
		return 0
	}
	from, to := parts[g.Rank], parts[g.Rank+1]
	nodes := 0
	for r := range g.World {
		first, end := g.ShareOf(r, o.Accumulate)
		nodes += len(share{first, end, o.Accumulate}.nodes())
	}
	bytes := plan.Product(4, nodes, to-from)
	if _, host := d.(*device.CPU); !host {
		bytes = plan.Add(bytes, plan.Product(4, len(shareOf(g, o.Accumulate).nodes()), size))
	}
	return bytes
}

// take allocates it.
func (j *joint) take(g collective.Group, parts collective.Parts, of, nodes, size int) {
	for range nodes {
		j.own = append(j.own, make([]float32, size))
	}
	from, to := parts[g.Rank], parts[g.Rank+1]
	for r := range g.World {
		first, end := g.ShareOf(r, of)
		var theirs [][]float32
		for range (share{first, end, of}).nodes() {
			theirs = append(theirs, make([]float32, to-from))
		}
		j.received = append(j.received, theirs)
	}
}

// joinSums makes the sum of this process's micro-batches that of all: each owner of a
// part is sent it of every node of every process, and adds up in the order that the tree
// says. The sum of its part is all that it needs, but where the norm is of all gradients.
func (t *Trainer) joinSums() error {
	g, size := t.group(), nets.FlatSize(t.Trained.Params)
	nodes := t.share().nodes()
	j := &t.joint
	sums := make([][]float32, len(nodes))
	for i := range nodes {
		if sums[i] = device.Floats(t.Memory, t.Buffers.Sums[i]); sums[i] != nil {
			sums[i] = sums[i][:size]
		}
	}
	onHost := sums[0] != nil
	if j.received == nil {
		copies := len(nodes)
		if onHost {
			copies = 0
		}
		j.take(g, t.parts, t.Accumulate, copies, size)
	}
	if !onHost {
		copy(sums, j.own)
		for i, to := range sums {
			if err := t.Memory.Read(t.Buffers.Sums[i], 0, to); err != nil {
				return err
			}
		}
	}
	if err := t.exchangeNodes(sums); err != nil {
		return err
	}
	for i := range sums {
		copy(j.received[g.Rank][i], t.parts.Of(sums[i], g.Rank))
	}
	copy(t.parts.Of(sums[0], g.Rank), fold(g, t.Accumulate, j.received))
	if t.jointNorm == nil {
		if err := g.GatherFloats(sums[0], t.parts); err != nil {
			return err
		}
	}
	if onHost {
		return nil
	}
	return t.Memory.Write(t.Buffers.Sums[0], 0, sums[0])
}

// exchangeNodes sends every process the part that it owns of this one's nodes, a node at
// a time.
func (t *Trainer) exchangeNodes(sums [][]float32) error {
	g := t.group()
	most := 0
	for _, theirs := range t.joint.received {
		most = max(most, len(theirs))
	}
	for i := range most {
		send, recv := make([][]byte, g.World), make([][]byte, g.World)
		for r, theirs := range t.joint.received {
			if i < len(sums) {
				send[r] = collective.Bytes(t.parts.Of(sums[i], r))
			}
			if i < len(theirs) {
				recv[r] = collective.Bytes(theirs[i])
			}
		}
		if err := g.Exchange(send, recv); err != nil {
			return err
		}
	}
	return nil
}

// fold adds the nodes of all processes up, which it overwrites: those of processes in
// their order are those of micro-batches in theirs, and go on the stack that one process
// has for all.
func fold(g collective.Group, of int, parts [][][]float32) []float32 {
	var stack tree
	var values [][]float32
	join := func(x []float32) []float32 {
		last := len(values) - 1
		left := values[last]
		for i, e := range x {
			left[i] += e
		}
		values = values[:last]
		return left
	}
	for r, nodes := range parts {
		first, end := g.ShareOf(r, of)
		for i, n := range (share{first, end, of}).nodes() {
			x := nodes[i]
			for range stack.push(n) {
				x = join(x)
			}
			values = append(values, x)
		}
	}
	root := values[len(values)-1]
	values = values[:len(values)-1]
	for range slices.Clone(values) {
		root = join(root)
	}
	return root
}
