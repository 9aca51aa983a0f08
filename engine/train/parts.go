package train

import (
	"fmt"
	"slices"

	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/feed"
	"fluxion/kernels/gradnorm"
	"fluxion/kernels/optim"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// partFloats is what the borders of parts are multiples of: kernels take blocks of as many,
// and a block has the same bits whoever takes it.
const partFloats = max(optim.Block, gradnorm.Block)

// partsOf is how processes share the flat buffers. Each runs the optimizer on its own part,
// for which alone it has moments and averages, and brings its weights to the others. nil:
// this process has all.
func partsOf(g collective.Group, o optimizer, weights []nets.Param) collective.Parts {
	size := nets.FlatSize(weights)
	switch {
	case g.World == 1:
		return nil
	case o.work == nil:
		return g.Parts(size, partFloats)
	}
	total, done := int64(0), int64(0)
	for _, p := range weights {
		total += o.work(p)
	}
	parts := collective.Parts{0}
	for _, p := range weights {
		done += o.work(p)
		for len(parts) < g.World && done*int64(g.World) >= total*int64(len(parts)) {
			parts = append(parts, p.End())
		}
	}
	return append(parts, size)
}

// own is the part of this process.
func (s *Step) own() (from, to int) {
	if s.parts == nil {
		return 0, nets.FlatSize(s.Trained.Params)
	}
	rank := s.group().Rank
	return s.parts[rank], s.parts[rank+1]
}

// shares says whether each process has its own part of a buffer.
func (s *Step) shares(b *plan.Buffer) bool {
	return s.parts != nil && b != s.Buffers.Parameters && slices.Contains(s.Buffers.stored(), b)
}

// whole says whether a buffer has room for the parts of all processes.
func (s *Step) whole(b *plan.Buffer) bool { return b.Size == nets.FlatSize(s.Trained.Params) }

// part is this process's of a flat buffer.
func (s *Step) part(b *plan.Buffer) plan.Ref {
	from, to := s.own()
	if !s.whole(b) {
		return plan.Ref{Buffer: b}
	}
	return plan.Ref{Buffer: b, From: from, N: to - from}
}

// within are the weights that lie in a part, from whose beginning their places are counted.
func within(weights []nets.Param, from, to int) (all []nets.Param) {
	for _, p := range weights {
		if p.Offset >= from && p.Offset < to {
			p.Offset -= from
			all = append(all, p)
		}
	}
	return all
}

// Put writes numbers for all of a flat buffer: what this process has of it.
func (t *Trainer) Put(b *plan.Buffer, flat []float32) error {
	if from, to := t.own(); !t.whole(b) {
		return t.put(b, 0, flat[from:to])
	}
	return t.Memory.Write(b, 0, flat)
}

func (t *Trainer) put(b *plan.Buffer, at int, x []float32) error {
	if len(x) == 0 {
		return nil
	}
	return t.Memory.Write(b, at, x)
}

// get reads this process's part of a flat buffer to its place among all.
func (t *Trainer) get(b *plan.Buffer, flat []float32) error {
	from, to := t.own()
	switch {
	case from == to:
		return nil
	case t.whole(b):
		return t.Memory.Read(b, from, flat[from:to])
	}
	return t.Memory.Read(b, 0, flat[from:to])
}

// aboutParts is what a user is told of the memory that they save.
func (s *Step) aboutParts() string {
	here, alone := 0, 0
	for _, b := range s.Buffers.stored()[1:] {
		here, alone = here+4*b.Size, alone+4*nets.FlatSize(s.Trained.Params)
	}
	return fmt.Sprintf("each process has moments and averages of its part of the weights: %.3g MB in this one, of %.3g MB", float64(here)/1e6, float64(alone)/1e6)
}

// sharesNorm says whether the norm is that of parts, each of which a process has the
// gradients of. On other devices than CPUs, and where parts end within blocks, all
// processes need all gradients for its bits.
func (s *Step) sharesNorm() bool {
	_, host := s.Target.(device.CPUTarget)
	return s.parts != nil && host && s.optimizer.work == nil
}

// jointNorm is the norm of gradients of which each process has a part.
type jointNorm struct {
	squares *plan.Plan     // of this one's; nil: it has none
	sums    *gorgonia.Node // that the plan leaves
	norm    *feed.Vector   // what they come to
	all     []float32
	parts   collective.Parts // of all
}

func (s *Step) newJointNorm(gradients *plan.Buffer) (*jointNorm, error) {
	j := &jointNorm{norm: feed.New(1, 0)}
	for _, at := range s.parts {
		j.parts = append(j.parts, gradnorm.SumFloats*gradnorm.Blocks(at))
	}
	j.all = make([]float32, j.parts[len(j.parts)-1])
	n := len(j.parts.Of(j.all, s.group().Rank))
	if n == 0 {
		return j, nil
	}
	j.sums = gorgonia.NewVector(gorgonia.NewGraph(), tensor.Float32, gorgonia.WithShape(n), gorgonia.WithName("squares of gradients"))
	var err error
	j.squares, err = plan.Compile(plan.Options{
		Target: s.Target, Precision: s.Precision, Outputs: []*gorgonia.Node{j.sums}, Inputs: []*gorgonia.Node{j.sums},
		After: []plan.Stage{{Kernel: gradnorm.NewSquares(), In: []plan.Ref{s.part(gradients)}, Out: plan.Ref{Node: j.sums}}},
	})
	return j, err
}

// joinNorm brings the norm of all gradients to all processes.
func (t *Trainer) joinNorm() error {
	j := t.jointNorm
	if j == nil {
		return nil
	}
	if j.squares != nil {
		program := t.programs[len(t.programs)-2]
		if err := device.Run(program); err != nil {
			return err
		}
		if err := program.Read(j.squares.Place(j.sums), j.parts.Of(j.all, t.group().Rank)); err != nil {
			return err
		}
	}
	if err := t.group().GatherFloats(j.all, j.parts); err != nil {
		return err
	}
	j.norm.Values[0] = gradnorm.Norm(j.all)
	return nil
}

// joinWeights brings to all processes what each has made of its part: the weights, and
// their average where the objective applies it.
func (t *Trainer) joinWeights() error {
	if t.parts == nil {
		return nil
	}
	changed := []*plan.Buffer{t.Buffers.Parameters}
	if t.applies {
		changed = append(changed, t.Buffers.EMA)
	}
	for _, b := range changed {
		if err := t.gather(b); err != nil {
			return err
		}
	}
	return t.Refresh()
}

// gather brings the parts of a buffer that has room for them to all processes.
func (t *Trainer) gather(b *plan.Buffer) error {
	size := nets.FlatSize(t.Trained.Params)
	if x := device.Floats(t.Memory, b); x != nil {
		return t.group().GatherFloats(x[:size], t.parts)
	}
	flat := t.joint.own[0]
	if err := t.get(b, flat); err != nil {
		return err
	}
	if err := t.group().GatherFloats(flat, t.parts); err != nil {
		return err
	}
	return t.Memory.Write(b, 0, flat)
}
