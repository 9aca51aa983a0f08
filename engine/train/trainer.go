package train

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/model"
	"fluxion/engine/objective"
	"fluxion/engine/plan"
	"fluxion/kernels/philox"
	"fluxion/nets"
)

// Hold takes the memory of the host that batches are put into, which a step has from
// Load on. Counting what kernels do needs no more.
func (s *Step) Hold() {
	s.images.hold()
	s.inputs.hold()
	for _, other := range s.shapes {
		other.Hold()
	}
}

// Load binds the step to memory.
func (s *Step) Load(d device.Device, m device.Memory) (*Trainer, error) {
	s.Hold()
	if err := s.loadFrozen(m); err != nil {
		return nil, err
	}
	t, err := s.load(d, m)
	if err != nil {
		return nil, err
	}
	for _, other := range s.shapes {
		u, err := other.load(d, m)
		if err != nil {
			return nil, errors.Join(err, t.Free())
		}
		t.others = append(t.others, u)
	}
	return t, nil
}

// load binds the plans of one shape.
func (s *Step) load(d device.Device, m device.Memory) (*Trainer, error) {
	t := &Trainer{Step: s, Memory: m, device: d, filled: make([]objective.Observation, s.Batch), perImage: make([]float32, s.Batch)}
	t.at = t
	for _, p := range s.plans() {
		var results []plan.Tensor
		if p == s.Micro {
			results = append(results, p.Place(s.loss.Value))
			if s.loss.Errors != nil {
				results = append(results, p.Place(s.loss.Errors))
			}
			if s.microNorm != nil {
				results = append(results, p.Place(s.microNorm))
			}
		}
		if p == s.last() {
			results = append(results, p.Place(s.norm))
		}
		program, err := d.Load(p, m, results...)
		if err != nil {
			return nil, errors.Join(err, t.Free())
		}
		t.programs = append(t.programs, program)
	}
	t.adds = make([]device.Program, len(s.lastSums))
	load := func(p *plan.Plan, to *device.Program) (err error) {
		if p != nil {
			*to, err = d.Load(p, m)
		}
		return err
	}
	err := errors.Join(load(s.narrow, &t.narrow), load(s.fold, &t.fold), load(s.unit, &t.unit))
	for i, p := range s.lastSums {
		err = errors.Join(err, load(p, &t.adds[i]))
	}
	if err != nil {
		return nil, errors.Join(err, t.Free())
	}
	return t, nil
}

// loadFrozen brings the weights of networks that are not trained to where they lie.
func (s *Step) loadFrozen(m device.Memory) error {
	for _, f := range s.frozen {
		flat := f.Weights
		if flat == nil {
			network, read, err := model.ReadWeights(f.Dir)
			if err == nil && string(network.JSON()) != string(f.Network.JSON()) {
				err = fmt.Errorf("%s holds another network than the objective applies as %s", f.Dir, f.Name)
			}
			if err != nil {
				return err
			}
			flat = read
		}
		if err := m.Write(f.weights, 0, flat); err != nil {
			return err
		}
		f.Weights = nil
	}
	return nil
}

// last is the plan that ends with the optimizer.
func (s *Step) last() *plan.Plan {
	if s.Accumulate == 1 {
		return s.Micro
	}
	return s.update
}

// Trainer is a step on a device.
type Trainer struct {
	*Step
	Memory   device.Memory
	programs []device.Program
	narrow   device.Program   // of Step.narrow
	adds     []device.Program // of Step.lastSums
	fold     device.Program   // of Step.fold
	unit     device.Program   // of Step.unit
	device   device.Device
	peers    device.Peers    // with the other processes of the group
	arrives  device.Sequence // the first micro-batch, and the weights that come from others
	leaves   device.Sequence // the last one, and the gradients that go to others
	both     device.Sequence // the only one, with the weights and the gradients
	ends     device.Sequence // the end of a step
	arriving []arrival       // weights, in the order in which they come
	needed   []int           // the launch that waits for each of them
	awaits   bool            // those of the last step have not come from others
	others   []*Trainer      // of micro-batches of other shapes
	at       *Trainer        // of the shape of the last micro-batch: this one, or one of others
	scalar   [1]float32

	filled   []objective.Observation // of the micro-batch
	perImage []float32               // its errors
	indices  []int64                 // of its images in the stream
	part     part                    // of the step that this process has taken; then all of it
	joint    *joint                  // with the other processes of the group
	leftOut  []string                // images that any of them has left out
}

// Free gives back what the trainer holds besides its memory.
func (t *Trainer) Free() error {
	var err error
	if t.peers != nil {
		err = errors.Join(t.arrives.Free(), t.leaves.Free(), t.both.Free(), t.ends.Free(), t.peers.Close())
	}
	err = errors.Join(err, t.freeArrivals())
	for _, p := range slices.Concat(t.programs, t.adds, []device.Program{t.narrow, t.fold, t.unit}) {
		if p != nil {
			err = errors.Join(err, p.Free())
		}
	}
	for _, other := range t.others {
		err = errors.Join(err, other.Free())
	}
	return err
}

// begin are the buffers that the first weights are written to: the averages begin with them.
// Those that several processes share are made of them later.
func (t *Trainer) begin() []*plan.Buffer {
	if t.joins() {
		return []*plan.Buffer{t.Buffers.Parameters}
	}
	return t.Buffers.weights()
}

// Initialise draws the first weights, where they lie if that can be.
func (t *Trainer) Initialise(seed uint64) error {
	params := t.Trained.Params
	draw := func(flats ...[]float32) { nets.Initialise(params, seed, flats...) }
	return errors.Join(device.Fill(t.Memory, nets.FlatSize(params), draw, t.begin()...), t.Refresh())
}

// Fill sets the parameters of a micro-batch: pixels, and for each image the numbers and
// the class that its position in the stream decides.
func (t *Trainer) Fill(b *data.Batch) {
	t.Bring(b)
	t.Feed()
}

// Bring sets those of them that the objective does not decide, which the last micro-batch that was launched
// has no need of any more.
func (t *Trainer) Bring(b *data.Batch) {
	t.at = t
	for _, other := range t.others {
		if b.Size == (data.Size{Height: other.Height, Width: other.Width}) {
			t.at = other
		}
	}
	t.at.put(b)
}

// Feed sets those that it decides, perhaps by what it has learnt of all steps before.
func (t *Trainer) Feed() {
	for i, at := range t.at.indices {
		t.at.filled[i] = t.at.loss.Feed(i, at)
	}
}

// put sets the parameters of a micro-batch of the trainer's own shape.
func (t *Trainer) put(b *data.Batch) {
	t.images.put(0, b.Pixels, b)
	if t.inputs.Channels > 0 {
		t.inputs.put(0, b.Inputs, b)
	}
	noise := b.Noise
	if noise == nil {
		noise = b.Indices
	}
	copy(t.addresses, noise)
	t.indices = append(t.indices[:0], b.Indices...)
	for i, at := range b.Indices {
		if t.loss.Expect != nil {
			t.loss.Expect(at)
		}
		if t.augmented != nil && t.Augment != nil {
			_, labels := t.Augment.Draw(at)
			for k, x := range labels {
				t.augmented.Values[i*len(labels)+k] = float32(x)
			}
		}
		if t.classes == nil {
			continue
		}
		if t.Labels != nil {
			width := len(t.classes.Values) / t.Batch
			t.Labels.put(t.Network.Spec(), b, i, philox.Uniform64(t.Seed, philox.Drop, uint64(at), 0) < t.LabelDrop, t.classes.Values[i*width:][:width])
			continue
		}
		class := int(b.Classes[i])
		if class < 0 || philox.Uniform64(t.Seed, philox.Drop, uint64(at), 0) < t.LabelDrop {
			class = t.NullClass
		}
		t.classes.Values[i] = float32(class)
	}
}

// Refresh must be called after parameters were written from outside.
func (t *Trainer) Refresh() error {
	if t.narrow == nil {
		return nil
	}
	return device.Run(t.narrow)
}

// runMicro launches micro-batch i of a step. Without accumulation this is the whole step.
func (t *Trainer) runMicro(i int) error {
	switch share := t.share(); {
	case t.joins() && i == share.end-1:
		return t.runLeaving(i)
	case i == share.first && t.awaits:
		return t.runArriving(i)
	}
	return t.runAlone(i)
}

// runAlone adds the gradients of a micro-batch when all are there.
func (t *Trainer) runAlone(i int) error {
	if err := device.Run(t.at.programs[0]); err != nil || t.Accumulate == 1 {
		return err
	}
	return t.add(i)
}

// add adds the gradients of a micro-batch to those before.
func (t *Trainer) add(i int) error {
	for _, sum := range t.additions[i-t.share().first] {
		if err := device.Run(t.programs[1+sum]); err != nil {
			return err
		}
	}
	return nil
}

// seen is an image of a step, with its error.
type seen struct {
	objective.Observation
	Err float64
}

// Observe lets the objective learn from the images of a whole step.
func (t *Trainer) Observe() {
	for _, s := range t.part.Seen {
		t.Objective.Observe(s.Observation, s.Err)
	}
}

func (t *Trainer) read(program int, place plan.Tensor) (float64, error) {
	err := t.programs[program].Read(place, t.scalar[:])
	return float64(t.scalar[0]), err
}

// finish ends a step of accumulated gradients and returns the norm of its
// gradients. A norm that is not finite has changed nothing.
func (t *Trainer) finish() (float64, error) {
	of, last := t, len(t.programs)-1
	var err error
	switch {
	case t.onDevices():
		err = t.ends.Run(t.peers, t.optimise)
	case t.Accumulate > 1:
		err = t.optimise()
	default:
		of, last = t.at, 0
	}
	if err != nil {
		return 0, err
	}
	norm, err := of.read(last, of.last().Place(of.norm))
	switch {
	case err != nil || !finite([]float32{float32(norm)}): // which has changed nothing
	case t.joins():
		t.awaits = true
	default:
		err = t.forceUnit()
	}
	return norm * t.gradScale(), err
}

// optimise takes the optimizer's step with the sum of all gradients. What it has changed goes to all processes
// with the next step.
func (t *Trainer) optimise() error {
	err := t.joinNorm()
	if err == nil {
		err = device.Run(t.programs[len(t.programs)-1])
	}
	return err
}

// Hyper sets what changes from step to step.
func (s *Step) Hyper(h Hyper) {
	h.gradScale = s.gradScale()
	for _, set := range s.setHyper {
		set(h)
	}
	for i := range s.emas {
		s.emas[i].Decay = h.EMADecays[1+i]
	}
	for _, other := range s.shapes {
		if s.Accumulate == 1 { // else the end of the step is of no shape
			other.Hyper(h)
		}
	}
}

// gradScale makes the mean of the sum of the micro-batches' gradients.
func (s *Step) gradScale() float64 { return 1 / float64(s.Accumulate) }

// Launches runs the plan of the last micro-batch once more and calls visit after
// each of its launches, for timing.
func (t *Trainer) Launches(visit func(i int) error) error { return t.at.programs[0].Launches(visit) }

// FirstBad runs the last micro-batch again and names the first tensor that is
// not finite: a parameter, or the result of a launch.
func (t *Trainer) FirstBad() (string, error) {
	for _, p := range t.Trained.Params {
		values := make([]float32, p.Size())
		if err := t.Memory.Read(t.Buffers.Parameters, p.Offset, values); err != nil {
			return "", err
		}
		if !finite(values) {
			return "parameter " + p.Name, nil
		}
	}
	bad := ""
	err := t.at.programs[0].Launches(func(i int) error {
		l := t.at.Micro.Launches[i]
		if bad != "" || l.Out.Buffer == t.Buffers.Parameters {
			return nil
		}
		values := make([]float32, l.Out.Values())
		if err := t.at.programs[0].Read(l.Out, values); err != nil {
			return err
		}
		if !finite(values) {
			bad = fmt.Sprintf("result %v of launch %d, %v%s", l.Out.Shape, i, l.Kernel, t.where(l))
		}
		return nil
	})
	return bad, err
}

// where names the layer of a launch by the parameter it reads or trains.
func (t *Trainer) where(l plan.Launch) string {
	for _, o := range append(l.In, l.Out) {
		if b := t.Buffers; o.Buffer != b.Parameters && o.Buffer != b.Parameters.Copy && o.Buffer != b.Gradients {
			continue
		}
		for _, p := range t.Trained.Params {
			if p.Offset*o.Type.Size() == o.Offset && p.Size() == o.Shape.TotalSize() {
				return " (" + p.Name + ")"
			}
		}
	}
	return ""
}

func finite(x []float32) bool {
	for _, e := range x {
		if math.IsNaN(float64(e)) || math.IsInf(float64(e), 0) {
			return false
		}
	}
	return true
}
