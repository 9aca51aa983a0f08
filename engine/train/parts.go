package train

import (
	"fmt"
	"slices"

	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/feed"
	"fluxion/kernels/gradnorm"
	"fluxion/kernels/number"
	"fluxion/kernels/optim"
	"fluxion/nets"
)

// partFloats is what the borders of parts are multiples of: kernels take blocks of as many,
// and a block has the same bits whoever takes it.
const partFloats = max(optim.Block, gradnorm.Block)

// Gradients of a chunk go to the other processes together, while those of others are not
// there yet: of so many numbers at least, and so many chunks at most, for each is a launch of
// the optimizer.
const (
	leastChunk = 4 * partFloats
	mostChunks = 8
)

// partsOf is how processes share the flat buffers. Each runs the optimizer on its own part,
// for which alone it has moments and averages, and brings its weights to the others. Tensors
// that are changed as wholes are one chunk.
func partsOf(g collective.Group, o optimizer, weights []nets.Param) collective.Parts {
	size := nets.FlatSize(weights)
	if o.work == nil || g.World == 1 {
		return g.Parts(size, partFloats, max(leastChunk, size/mostChunks))
	}
	total, done := int64(0), int64(0)
	for _, p := range weights {
		total += o.work(p)
	}
	parts := collective.Parts{World: g.World, Borders: []int{0}}
	for _, p := range weights {
		done += o.work(p)
		for n := len(parts.Borders); n < g.World && done*int64(g.World) >= total*int64(n); n++ {
			parts.Borders = append(parts.Borders, p.End())
		}
	}
	parts.Borders = append(parts.Borders, size)
	return parts
}

// piece is elements of the flat buffers that this process owns, and where they begin in
// buffers that have room for its part alone.
type piece struct{ chunk, from, to, at int }

// pieces are the part of this process, of which it has none or a whole one where it is alone.
func (s *Step) pieces() (all []piece) {
	if s.group().World == 1 {
		return []piece{{to: nets.FlatSize(s.Trained.Params)}}
	}
	at := 0
	for c := range s.parts.Chunks() {
		if from, to := s.parts.Piece(c, s.group().Rank); from < to {
			all = append(all, piece{c, from, to, at})
			at += to - from
		}
	}
	return all
}

// shares says whether each process has its own part of a buffer.
func (s *Step) shares(b *plan.Buffer) bool {
	return s.joins() && b != s.Buffers.Parameters && slices.Contains(s.Buffers.stored(), b)
}

// whole says whether a buffer has room for the parts of all processes.
func (s *Step) whole(b *plan.Buffer) bool { return b.Size == nets.FlatSize(s.Trained.Params) }

// place is a piece of a flat buffer.
func (s *Step) place(b *plan.Buffer, p piece) plan.Ref {
	if s.whole(b) {
		p.at = p.from
	}
	return plan.Ref{Buffer: b, From: p.at, N: p.to - p.from}
}

// joins says whether several processes make the step.
func (s *Step) joins() bool { return s.group().World > 1 }

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
	if t.whole(b) {
		return t.Memory.Write(b, 0, flat)
	}
	for _, p := range t.pieces() {
		if err := t.Memory.Write(b, p.at, flat[p.from:p.to]); err != nil {
			return err
		}
	}
	return nil
}

// get reads this process's part of a flat buffer to its place among all.
func (t *Trainer) get(b *plan.Buffer, flat []float32) error {
	for _, p := range t.pieces() {
		if err := t.Memory.Read(b, t.place(b, p).From, flat[p.from:p.to]); err != nil {
			return err
		}
	}
	return nil
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
// gradients of. Where parts end within blocks, all processes need all gradients for its bits.
func (s *Step) sharesNorm() bool { return s.joins() && s.optimizer.work == nil }

// jointNorm is the norm of gradients of which each process has a part.
type jointNorm struct {
	squares *plan.Plan   // of this one's; nil: it has none
	sums    *plan.Buffer // that the plan leaves them in: between those of others on devices, else alone
	norm    plan.Stage   // what all come to
	value   *feed.Vector // the norm of a stage that is told it; else it takes the sums
}

func (s *Step) newJointNorm() (j *jointNorm, err error) {
	j = &jointNorm{sums: &plan.Buffer{Name: "squares", Type: number.Float32}}
	if s.onDevices() {
		j.sums.Size = sumsBefore(nets.FlatSize(s.Trained.Params))
		j.norm = plan.Stage{Kernel: gradnorm.NewRoot(), In: []plan.Ref{{Buffer: j.sums}}}
	} else {
		j.value = feed.New(1, 0)
		j.norm = plan.Stage{Kernel: j.value}
	}
	o := plan.Options{Target: s.Target, Precision: s.Precision}
	for _, p := range s.pieces() {
		to := plan.Ref{Buffer: j.sums, From: sumsBefore(p.from), N: sumsBefore(p.to - p.from)}
		if j.value != nil {
			to.From = j.sums.Size
			j.sums.Size += to.N
		}
		o.After = append(o.After, plan.Stage{Kernel: gradnorm.NewSquares(), In: []plan.Ref{s.place(s.gradients(), p)}, Out: to})
	}
	if o.After != nil {
		j.squares, err = plan.Compile(o)
	}
	return j, err
}

// sumsBefore is how many numbers the sums of so many gradients take, or lie before theirs.
func sumsBefore(gradients int) int { return gradnorm.SumFloats * gradnorm.Blocks(gradients) }

// sumsOf is where the sums of a process lie on devices.
func (s *Step) sumsOf(rank int) (all []device.Part) {
	for _, p := range s.partOf(s.jointNorm.sums, rank) {
		from := sumsBefore(p.From)
		all = append(all, device.Part{Buffer: p.Buffer, From: from, N: sumsBefore(p.From+p.N) - from})
	}
	return all
}

// joinNorm brings the norm of all gradients to all processes.
func (t *Trainer) joinNorm() error {
	j, g := t.jointNorm, t.group()
	if j == nil {
		return nil
	}
	if j.squares != nil {
		if err := device.Run(t.programs[len(t.programs)-2]); err != nil {
			return err
		}
	}
	if t.onDevices() {
		return t.gatherOnDevices(t.sumsOf)
	}
	all := make([][]float32, g.World)
	recv := make([][]byte, g.World)
	for r := range all {
		n := 0
		for c := range t.parts.Chunks() {
			from, to := t.parts.Piece(c, r)
			n += sumsBefore(to - from)
		}
		all[r] = make([]float32, n)
		recv[r] = collective.Bytes(all[r])
	}
	if j.squares != nil {
		if err := t.Memory.Read(j.sums, 0, all[g.Rank]); err != nil {
			return err
		}
	}
	if err := g.Exchange(slices.Repeat([][]byte{recv[g.Rank]}, g.World), recv); err != nil {
		return err
	}
	var bits []float32
	for c := range t.parts.Chunks() {
		for r := range all {
			from, to := t.parts.Piece(c, r)
			n := sumsBefore(to - from)
			bits, all[r] = append(bits, all[r][:n]...), all[r][n:]
		}
	}
	j.value.Values[0] = gradnorm.Norm(bits)
	return nil
}

// joinWeights brings to all processes what each has made of its part: the weights, and
// their average where the objective applies it.
func (t *Trainer) joinWeights() error {
	for _, b := range t.shared() {
		if err := t.gather(b); err != nil {
			return err
		}
	}
	return t.Refresh()
}

// gather brings the parts of a buffer that has room for them to all processes.
func (t *Trainer) gather(b *plan.Buffer) error {
	if t.onDevices() {
		return t.gatherOnDevices(func(rank int) []device.Part { return t.partOf(b, rank) })
	}
	return t.group().GatherFloats(device.Floats(t.Memory, b)[:nets.FlatSize(t.Trained.Params)], t.parts)
}
