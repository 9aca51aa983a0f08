package train

import (
	"cmp"
	"slices"

	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/cast"
	"fluxion/kernels/magnitude"
	"fluxion/nets"
)

// What a step has made of the weights comes to the other processes while the next one begins,
// in the order in which its first micro-batch reads them: a launch waits for its own alone.

// mostArrivals is about how many times a micro-batch waits for weights: for so much of all of
// them each, or for one tensor.
const mostArrivals = 16

// arrival is weights that come together.
type arrival struct {
	stretches []stretch
	settle    device.Program // brings their copies up to date, and them to unit size; nil: neither has to be
}

// stretch is elements of a buffer, within a chunk.
type stretch struct {
	buffer          *plan.Buffer
	chunk, from, to int
}

// together says whether all processes take one micro-batch of a step, the last one of each:
// they begin it when all can, and gradients follow the weights.
func (s *Step) together() bool { return s.group().World == s.Accumulate }

// shared are the buffers that every process has all of, and makes a part of.
func (s *Step) shared() []*plan.Buffer {
	if s.applies {
		return []*plan.Buffer{s.Buffers.Parameters, s.Buffers.EMA}
	}
	return []*plan.Buffer{s.Buffers.Parameters}
}

// firstReads is the launch of a micro-batch that first reads each tensor of shared, of all
// those of a buffer in turn; what none reads has the number of launches.
func (s *Step) firstReads() []int {
	weights := s.Trained.Params
	first := slices.Repeat([]int{len(s.Micro.Launches)}, len(s.shared())*len(weights))
	for i, l := range s.Micro.Launches {
		operands := slices.Clone(l.In)
		for _, o := range []*plan.Tensor{l.Add, l.PerImage} {
			if o != nil {
				operands = append(operands, *o)
			}
		}
		for _, o := range operands {
			for k, b := range s.shared() {
				if o.Buffer != b && (b.Copy == nil || o.Buffer != b.Copy) {
					continue
				}
				from := o.Offset / o.Type.Size()
				for n, p := range weights {
					if at := k*len(weights) + n; from < p.End() && p.Offset < from+o.Values() {
						first[at] = min(first[at], i)
					}
				}
			}
		}
	}
	return first
}

// readOrder are the tensors of shared, in the order in which they are read.
func (s *Step) readOrder() (tensors []int) {
	first := s.firstReads()
	for n := range first {
		tensors = append(tensors, n)
	}
	slices.SortStableFunc(tensors, func(a, b int) int { return first[a] - first[b] })
	return tensors
}

// arrivals are tensors of shared, in an order, by what comes together.
func (s *Step) arrivals(order []int) (all [][]int) {
	weights := s.Trained.Params
	most, size := len(s.shared())*nets.FlatSize(weights)/mostArrivals, 0
	for _, n := range order {
		p := weights[n%len(weights)]
		if size += p.End() - p.Offset; all == nil || size > most {
			all, size = append(all, nil), p.End()-p.Offset
		}
		all[len(all)-1] = append(all[len(all)-1], n)
	}
	return all
}

// neededBy is the launch of this process that has to wait for each arrival, none earlier than
// for the one before.
func (s *Step) neededBy(arrivals [][]int) (launches []int) {
	first, soonest := s.firstReads(), len(s.Micro.Launches)
	for _, tensors := range slices.Backward(arrivals) {
		for _, n := range tensors {
			soonest = min(soonest, first[n])
		}
		launches = append(launches, soonest)
	}
	slices.Reverse(launches)
	return launches
}

// stretches are where tensors of shared lie, in as few as can be.
func (s *Step) stretches(tensors []int) (all []stretch) {
	weights := s.Trained.Params
	tensors = slices.Sorted(slices.Values(tensors))
	for _, n := range tensors {
		b, p := s.shared()[n/len(weights)], weights[n%len(weights)]
		for c := range s.parts.Chunks() {
			from, to := s.parts.Chunk(c)
			from, to = max(from, p.Offset), min(to, p.End())
			if from >= to {
				continue
			}
			if last := len(all) - 1; last >= 0 && all[last].buffer == b && all[last].chunk == c && all[last].to == from {
				all[last].to = to
				continue
			}
			all = append(all, stretch{b, c, from, to})
		}
	}
	return all
}

// parameters are those among tensors of shared.
func (s *Step) parameters(tensors []int) (all []nets.Param) {
	for _, n := range tensors {
		if n < len(s.Trained.Params) {
			all = append(all, s.Trained.Params[n])
		}
	}
	return all
}

// ofRank is what a process has made of a stretch.
func (s *Step) ofRank(x stretch, rank int) (from, to int) {
	from, to = s.parts.Piece(x.chunk, rank)
	from, to = max(from, x.from), min(to, x.to)
	return from, max(from, to)
}

// arriveIn has weights come in an order, which is that of all processes.
func (t *Trainer) arriveIn(order []int) error {
	if err := t.freeArrivals(); err != nil {
		return err
	}
	all := t.Step.arrivals(order)
	for _, of := range append([]*Trainer{t}, t.others...) {
		of.needed = of.neededBy(all)
	}
	for _, tensors := range all {
		a := arrival{stretches: t.stretches(tensors)}
		o := plan.Options{Target: t.Target, Precision: t.Precision}
		for _, x := range a.stretches {
			if to := x.buffer.Copy; to != nil {
				n := x.to - x.from
				o.After = append(o.After, plan.Stage{Kernel: cast.New(1), In: []plan.Ref{{Buffer: x.buffer, From: x.from, N: n}}, Out: plan.Ref{Buffer: to, From: x.from, N: n}})
			}
		}
		if matrices := unitWeights(t.parameters(tensors)); matrices != nil {
			o.After = append(o.After, plan.Stage{Kernel: magnitude.Forced(matrices), Out: plan.Ref{Buffer: t.Buffers.Parameters}})
		}
		if o.After != nil {
			p, err := plan.Compile(o)
			if err != nil {
				return err
			}
			if a.settle, err = t.device.Load(p, t.Memory); err != nil {
				return err
			}
		}
		t.arriving = append(t.arriving, a)
	}
	return nil
}

func (t *Trainer) freeArrivals() error {
	var err error
	for _, a := range t.arriving {
		if a.settle != nil {
			err = cmp.Or(err, a.settle.Free())
		}
	}
	t.arriving = nil
	return err
}

// Arrive has the weights of the last step come at once, where they have not: behind it those of
// all processes are here. All of them call it.
func (t *Trainer) Arrive() error {
	if !t.awaits {
		return nil
	}
	err := t.joinWeights()
	if err == nil {
		err = t.forceUnit()
	}
	t.awaits = err != nil
	return t.group().Fail(err)
}

// receive has an arrival come through the memory of the host.
func (t *Trainer) receive(a arrival) error {
	g := t.group()
	for _, x := range a.stretches {
		all, recv := device.Floats(t.Memory, x.buffer), make([][]byte, g.World)
		for r := range recv {
			from, to := t.ofRank(x, r)
			recv[r] = collective.Bytes(all[from:to])
		}
		if err := g.Exchange(slices.Repeat([][]byte{recv[g.Rank]}, g.World), recv); err != nil {
			return err
		}
	}
	return nil
}

// coming is weights on their way, of which launches wait for their own.
type coming struct {
	trainer *Trainer
	all     []arrival         // none: all weights are here
	wait    func(i int) error // until one is here
	next    int
}

// before waits for all that launches read up to one.
func (c *coming) before(launch int) error {
	for ; c.next < len(c.all) && c.trainer.at.needed[c.next] <= launch; c.next++ {
		if err := c.wait(c.next); err != nil {
			return err
		}
		if p := c.all[c.next].settle; p != nil {
			if err := device.Run(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// receiving is weights that come through the memory of the host while receive runs; where
// they are here, none.
func (t *Trainer) receiving() (c *coming, receive func() error) {
	c = &coming{trainer: t}
	if t.awaits {
		c.all = t.arriving
	}
	here := make(chan error, len(c.all))
	c.wait = func(int) error { return <-here }
	return c, func() (err error) {
		for _, a := range c.all {
			err = t.receive(a)
			if here <- err; err != nil {
				break
			}
		}
		return err
	}
}

// launches runs a micro-batch launch by launch while weights come.
func (t *Trainer) launches(c *coming, behind func(launch int)) error {
	err := c.before(0)
	if err != nil {
		return err
	}
	return t.at.programs[0].Launches(func(i int) error {
		behind(i)
		return c.before(i + 1)
	})
}

// runArriving runs a micro-batch that is not the last of this process while weights come.
func (t *Trainer) runArriving(i int) error {
	if err := t.arriveMeanwhile(); err != nil {
		return t.group().Fail(err)
	}
	t.awaits = false
	return t.add(i)
}

func (t *Trainer) arriveMeanwhile() error {
	if t.onDevices() {
		return t.sequence(&t.arrives, t.arriveOnce)
	}
	c, receive := t.receiving()
	done := make(chan error, 1)
	go func() { done <- receive() }()
	err := t.launches(c, func(int) {})
	if failed := <-done; err == nil {
		err = failed
	}
	return err
}

// arriveFirst has weights come where others compute meanwhile, and this process has its only
// micro-batch before it, which is its last one.
func (t *Trainer) arriveFirst() error {
	var err error
	all := len(t.at.Micro.Launches)
	if t.onDevices() {
		err = t.sequence(&t.arrives, func() error {
			c, err := t.beginArrivals()
			if err == nil {
				err = c.before(all)
			}
			if err == nil {
				err = t.peers.Finish()
			}
			return err
		})
	} else {
		c, receive := t.receiving()
		if err = receive(); err == nil {
			err = c.before(all)
		}
	}
	t.awaits = err != nil
	return t.group().Fail(err)
}
