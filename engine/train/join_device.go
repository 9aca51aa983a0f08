package train

import (
	"fmt"

	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/number"
	"fluxion/kernels/pointwise"
)

// onDevices says whether the processes of the step exchange the memory of their devices, and
// add up there: all but CPUs, whose memory is the host's.
func (s *Step) onDevices() bool { return s.joins() && !isHost(s.Target) }

func isHost(t plan.Target) bool {
	_, host := t.(device.CPUTarget)
	return host
}

// received are buffers for the nodes of the other processes: of each the part that this
// one owns, of so many numbers.
func received(o StepOptions, own int) [][]*plan.Buffer {
	g := o.group()
	all := make([][]*plan.Buffer, g.World)
	if g.World == 1 || isHost(o.Target) {
		return all
	}
	for r := range all {
		for i := range nodesOf(g, r, o.Accumulate) {
			if r != g.Rank && own > 0 {
				all[r] = append(all[r], &plan.Buffer{Name: fmt.Sprintf("sum%d of %d", i, r), Type: number.Float32, Size: own})
			}
		}
	}
	return all
}

// joinOnDevices makes the sum of this process's micro-batches that of all, as runLeaving does.
// All gradients go to all: their norm on a device is not one of parts.
func (t *Trainer) joinOnDevices() error {
	g := t.group()
	send, recv := make([][]device.Part, g.World), make([][]device.Part, g.World)
	for r := range g.World {
		if r == g.Rank {
			continue
		}
		for i := range nodesOf(g, g.Rank, t.Accumulate) {
			send[r] = append(send[r], t.partOf(t.Buffers.Sums[i], r)...)
		}
		for _, b := range t.Buffers.Received[r] {
			for _, p := range t.pieces() {
				recv[r] = append(recv[r], device.Part{Buffer: b, From: p.at, N: p.to - p.from})
			}
		}
	}
	if err := t.peers.Exchange(t.Memory, send, recv); err != nil {
		return err
	}
	if t.fold != nil {
		if err := device.Run(t.fold); err != nil {
			return err
		}
	}
	return t.gatherOnDevices(t.Buffers.Sums[0])
}

// gatherOnDevices is gather of onDevices.
func (t *Trainer) gatherOnDevices(b *plan.Buffer) error {
	g := t.group()
	send, recv := make([][]device.Part, g.World), make([][]device.Part, g.World)
	for r := range g.World {
		if r != g.Rank {
			send[r], recv[r] = t.partOf(b, g.Rank), t.partOf(b, r)
		}
	}
	return t.peers.Exchange(t.Memory, send, recv)
}

// partOf is what a process owns of a flat buffer that has room for all.
func (s *Step) partOf(b *plan.Buffer, rank int) (all []device.Part) {
	for c := range s.parts.Chunks() {
		if from, to := s.parts.Piece(c, rank); from < to {
			all = append(all, device.Part{Buffer: b, From: from, N: to - from})
		}
	}
	return all
}

// folding is fold of every piece that this process owns, as stages. It leaves sums where the
// optimizer takes them from.
func (s *Step) folding() (stages []plan.Stage) {
	g := s.group()
	for _, p := range s.pieces() {
		node := func(rank, i int) plan.Ref {
			if rank == g.Rank {
				return s.place(s.Buffers.Sums[i], p)
			}
			return s.place(s.Buffers.Received[rank][i], p)
		}
		sum := folded(g, s.Accumulate, node, func(left, x plan.Ref) plan.Ref {
			stages = append(stages, plan.Stage{Kernel: pointwise.NewAdd(1), In: []plan.Ref{left, x}, Out: left})
			return left
		})
		if to := s.place(s.Buffers.Sums[0], p); sum != to {
			stages = append(stages, plan.Stage{Kernel: pointwise.NewCopy(1), In: []plan.Ref{sum}, Out: to})
		}
	}
	return stages
}

// folded adds the nodes of all processes up: those of processes in their order are those of
// micro-batches in theirs, and go on the stack that one process has for all.
func folded[T any](g collective.Group, of int, node func(rank, i int) T, add func(left, x T) T) T {
	var stack tree
	var values []T
	join := func(x T) T {
		last := len(values) - 1
		left := values[last]
		values = values[:last]
		return add(left, x)
	}
	for r := range g.World {
		first, end := g.ShareOf(r, of)
		for i, n := range (share{first, end, of}).nodes() {
			x := node(r, i)
			for range stack.push(n) {
				x = join(x)
			}
			values = append(values, x)
		}
	}
	root := values[len(values)-1]
	values = values[:len(values)-1]
	for len(values) > 0 {
		root = join(root)
	}
	return root
}
