package train

import (
	"fmt"
	"slices"

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

// sequence does what is a graph from the second time on. Of several shapes it is none: processes
// have other shapes at the same time.
func (t *Trainer) sequence(s *device.Sequence, do func() error) error {
	if t.others != nil {
		return do()
	}
	return s.Run(t.peers, do)
}

// leaveOnce is runLeaving of onDevices: what goes to others, and comes from them, does so in a
// stream beside that of the micro-batch.
func (t *Trainer) leaveOnce() error {
	c := &coming{trainer: t}
	var err error
	if t.awaits {
		c, err = t.beginArrivals()
	}
	if err == nil {
		err = t.beginFirst()
	}
	leaving, next := t.at.leaving, 0
	if err == nil {
		err = t.runCut(c, func(launch int) error {
			for ; next < len(leaving) && leaving[next].ready <= launch; next++ {
				if err := t.beginChunk(leaving[next].chunk); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err == nil {
		err = t.peers.Finish()
	}
	if err == nil && t.fold != nil {
		err = device.Run(t.fold)
	}
	if err == nil && t.jointNorm == nil {
		err = t.gather(t.Buffers.Sums[0])
	}
	return err
}

// arriveOnce is arriveMeanwhile of onDevices.
func (t *Trainer) arriveOnce() error {
	c, err := t.beginArrivals()
	if err == nil {
		err = t.runCut(c, func(int) error { return nil })
	}
	if err == nil {
		err = t.peers.Finish()
	}
	return err
}

// beginArrivals has all weights come, one behind the other.
func (t *Trainer) beginArrivals() (*coming, error) {
	g := t.group()
	for _, a := range t.arriving {
		send, recv := make([][]device.Part, g.World), make([][]device.Part, g.World)
		for _, x := range a.stretches {
			for r := range g.World {
				from, to := t.ofRank(x, r)
				part := device.Part{Buffer: x.buffer, From: from, N: to - from}
				switch {
				case from == to:
				case r != g.Rank:
					recv[r] = append(recv[r], part)
				default:
					for q := range g.World {
						if q != r {
							send[q] = append(send[q], part)
						}
					}
				}
			}
		}
		if err := t.peers.Begin(t.Memory, send, recv); err != nil {
			return nil, err
		}
		if err := t.peers.Mark(); err != nil {
			return nil, err
		}
	}
	return &coming{trainer: t, all: t.arriving, wait: t.peers.Reach}, nil
}

// runCut runs a micro-batch, section by section, each when the weights are here that it reads.
func (t *Trainer) runCut(c *coming, behind func(launch int) error) error {
	section := 0
	arrived := func() error {
		end := len(t.at.Micro.Launches)
		if section < len(t.at.Micro.Cuts) {
			end = t.at.Micro.Cuts[section]
		}
		section++
		return c.before(end)
	}
	if err := arrived(); err != nil {
		return err
	}
	return device.RunCut(t.at.programs[0], func(launch int) error {
		if err := behind(launch); err != nil {
			return err
		}
		return arrived()
	})
}

// beginFirst sends every process what it owns of the nodes but the last, which the last
// micro-batch does not change.
func (t *Trainer) beginFirst() error {
	g := t.group()
	send, recv := make([][]device.Part, g.World), make([][]device.Part, g.World)
	for r := range g.World {
		if r == g.Rank {
			continue
		}
		for i := range nodesOf(g, g.Rank, t.Accumulate) - 1 {
			send[r] = append(send[r], t.partOf(t.Buffers.Sums[i], r)...)
		}
		for i := range nodesOf(g, r, t.Accumulate) - 1 {
			for _, p := range t.pieces() {
				recv[r] = append(recv[r], t.receivedPart(r, i, p))
			}
		}
	}
	return t.peers.Begin(t.Memory, send, recv)
}

// beginChunk adds a chunk of the last micro-batch's gradients to the sums, and sends every
// process the piece that it owns of the last node.
func (t *Trainer) beginChunk(chunk int) error {
	if err := device.Run(t.adds[chunk]); err != nil {
		return err
	}
	g := t.group()
	send, recv := make([][]device.Part, g.World), make([][]device.Part, g.World)
	for r := range g.World {
		if r == g.Rank {
			continue
		}
		if from, to := t.parts.Piece(chunk, r); from < to {
			send[r] = []device.Part{{Buffer: t.Buffers.Sums[nodesOf(g, g.Rank, t.Accumulate)-1], From: from, N: to - from}}
		}
		for _, p := range t.pieces() {
			if p.chunk == chunk {
				recv[r] = []device.Part{t.receivedPart(r, nodesOf(g, r, t.Accumulate)-1, p)}
			}
		}
	}
	return t.peers.Begin(t.Memory, send, recv)
}

// receivedPart is where a piece of another process's node comes to.
func (t *Trainer) receivedPart(rank, node int, p piece) device.Part {
	return device.Part{Buffer: t.Buffers.Received[rank][node], From: p.at, N: p.to - p.from}
}

// gatherOnDevices brings what each process has, by rank, to all.
func (t *Trainer) gatherOnDevices(of func(rank int) []device.Part) error {
	g := t.group()
	send, recv := make([][]device.Part, g.World), make([][]device.Part, g.World)
	for r := range g.World {
		if r != g.Rank {
			send[r], recv[r] = of(g.Rank), of(r)
		}
	}
	return device.Exchange(t.peers, t.Memory, send, recv)
}

// compileLast makes the plans that add a chunk of the last micro-batch's gradients to the
// sums.
func (s *Step) compileLast(flat plan.Options) error {
	all := additions(s.Accumulation, s.share())
	for c := range s.parts.Chunks() {
		from, to := s.parts.Chunk(c)
		flat.After = nil
		for _, a := range all[len(all)-1] {
			flat.After = append(flat.After, s.adding(a, from, to-from))
		}
		p, err := plan.Compile(flat)
		if err != nil {
			return err
		}
		s.lastSums = append(s.lastSums, p)
	}
	return nil
}

// cut has the plan of a micro-batch cut before launches that wait for weights, and behind those
// that complete chunks of gradients.
func (s *Step) cut() {
	for c := range s.parts.Chunks() {
		s.Micro.Cuts = append(s.Micro.Cuts, s.finished(c))
	}
	for _, launch := range s.neededBy(s.arrivals(s.readOrder())) {
		if launch > 0 && launch < len(s.Micro.Launches) {
			s.Micro.Cuts = append(s.Micro.Cuts, launch-1)
		}
	}
	slices.Sort(s.Micro.Cuts)
	s.Micro.Cuts = slices.Compact(s.Micro.Cuts)
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
