package train

import (
	"fmt"
	"slices"

	"fluxion/data"
	"fluxion/engine/augment"
	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/objective"
	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/kernels"
	"fluxion/kernels/ema"
	"fluxion/kernels/feed"
	"fluxion/kernels/gradnorm"
	"fluxion/kernels/number"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// StepOptions say what a training step computes.
type StepOptions struct {
	Network       nets.Network
	Objective     objective.Objective // nil: one for this network, whatever it learns
	Height, Width int
	Shapes        []data.Size // further ones, of which a micro-batch may be as well (see data.BucketsOf)
	Batch         int         // images of a micro-batch
	Accumulate    int         // micro-batches of a step
	NoiseScale    bool        // norms of the gradients of micro-batches are taken, too
	Accumulation  string      // order in which their gradients are added; empty: tree
	Optimizer     string      // empty: AdamW
	DecayOf       string      // weights that decay; empty: all
	MoreEMAs      []string    // names of further EMAs
	Target        plan.Target
	Precision     number.Type
	Resident      int                   // images of a data set that lies on the device; 0: pixels come with every batch
	Floats        bool                  // pixels are float32, taken as they are; else bytes
	InputFloats   bool                  // those of the images that a network is given beside the noisy ones (nets.Spec.Concat)
	Augment       *augment.Augmentation // what was done to the images that come with a batch; nil: nothing
	Flip          bool                  // images are mirrored there; else pixels come as they are to be
	Seed          uint64                // of noise, and of which labels are dropped
	Noise         objective.Noise       // the zero value: that of Seed
	LabelDrop     float64               // share of images whose labels are
	NullClass     int                   // the class of an image without its label
	Labels        *labels               // instead of classes; nil: classes, or none
	Without       []string              // names of plan.Fusions to leave out
	Recompute     string                // name of one of plan.Recomputations; empty: none
	Group         collective.Group      // that shares the micro-batches; the zero value: this process alone
}

func (o StepOptions) group() collective.Group {
	if o.Group.World == 0 {
		return collective.Alone
	}
	return o.Group
}

func (o StepOptions) noise() objective.Noise {
	if o.Noise == (objective.Noise{}) {
		return objective.Noise{Seed: o.Seed}
	}
	return o.Noise
}

// source is that of the objective's noise.
func (o StepOptions) source() process.Source {
	if o.Objective == nil {
		return process.Source{}
	}
	return o.Objective.Process().Source
}

// imageNumbers is at least what a step keeps of each image of a batch besides its
// pixels, in bytes.
const imageNumbers = 128

// Step is a training step as plans: noise, forward, loss, backward for each
// micro-batch, then clipping, optimizer and average.
type Step struct {
	StepOptions
	Graph   *nets.Graph
	Buffers Buffers
	// Plans of one micro-batch and of the end of the step. Without accumulation
	// the micro-batch's holds everything.
	Micro  *plan.Plan
	sums   []*plan.Plan // each is one addition of gradients
	update *plan.Plan
	// additions are those of sums that follow each micro-batch.
	additions [][]int
	// narrow brings the bf16 copy of the weights that products read up to date, when they
	// were written from outside; nil without a copy.
	narrow *plan.Plan
	unit   *plan.Plan // see unit.go; nil: no weights are of unit size

	Trained   *nets.Placed // the network
	loss      objective.Loss
	norm      *gorgonia.Node
	microEnd  int              // launches of a micro-batch behind its gradients
	leaving   []leaving        // how they go to other processes
	applies   bool             // the objective applies the first average
	parts     collective.Parts // of the flat buffers, by process
	lastSums  []*plan.Plan     // of onDevices: of each chunk of the gradients, the last additions
	fold      *plan.Plan       // and those of the nodes of all processes; nil: this one has no part
	jointNorm *jointNorm       // nil: the norm is that of gradients which this process has all of
	// microNorm is that of a micro-batch's gradients; nil: nobody wants it.
	microNorm *gorgonia.Node

	images    *pixels
	inputs    *pixels      // that the network is given beside noisy images; of no values without
	addresses []int64      // of the noise of each image
	classes   *feed.Vector // of each image; nil without
	augmented *feed.Vector // how each was transformed; nil: the network is not told
	frozen    []frozen     // networks that are not trained
	optimizer optimizer
	emas      []ema.Hyper   // of Buffers.MoreEMAs
	setHyper  []func(Hyper) // for the optimizer's kernels

	shapes []*Step // of micro-batches of StepOptions.Shapes, on the same buffers
	beside *Step   // that this one is of shapes of; nil: it is none
}

// NewStep builds the loss, differentiates it, and compiles the plans.
func NewStep(o StepOptions) (*Step, error) {
	s, err := newStep(o, nil)
	if err != nil {
		return nil, err
	}
	for _, size := range o.Shapes {
		o.Height, o.Width, o.Shapes = size.Height, size.Width, nil
		other, err := newStep(o, s)
		if err != nil {
			return nil, fmt.Errorf("a step of images of %v: %w", size, err)
		}
		s.shapes = append(s.shapes, other)
	}
	return s, nil
}

// newStep makes a step, or, beside another, the micro-batch of another shape on its buffers.
func newStep(o StepOptions, beside *Step) (*Step, error) {
	if err := nets.CheckDenoiser(o.Network); err != nil {
		return nil, err
	}
	if err := device.CheckMemory(device.Need{What: "what is known of each image", Bytes: plan.Product(o.Batch, imageNumbers)}); err != nil {
		return nil, err
	}
	s := &Step{StepOptions: o, beside: beside}
	var err error
	if s.optimizer, err = findOptimizer(o.Optimizer); err != nil {
		return nil, err
	}
	if s.Objective == nil {
		if s.Objective, err = objectiveFor(o); err != nil {
			return nil, err
		}
	}
	channels, inputs := o.Network.Spec().Channels, s.inputChannels()
	s.images = o.pixels(channels, o.Floats, o.resident("images", channels, o.Floats))
	s.inputs = o.pixels(inputs, o.InputFloats, o.resident("inputs", inputs, o.InputFloats))
	b, l, err := objective.Build(s.Objective, objective.Options{
		Network: o.Network, Batch: o.Batch, Height: o.Height, Width: o.Width, Augmented: o.Augment != nil, Noise: o.noise(), Data: s.images.stage, Inputs: s.inputs.stage,
	})
	if err != nil {
		return nil, err
	}
	s.loss, s.Trained, s.addresses, s.classes, s.augmented = l, b.Uses[0].Placed, b.Addresses, b.Classes, b.Augment
	grads, err := gorgonia.Grad(l.Value, s.Trained.Nodes...)
	if err != nil {
		return nil, fmt.Errorf("differentiating the network: %w", err)
	}
	s.norm = gorgonia.NewScalar(b.Graph, tensor.Float32, gorgonia.WithName("gradient norm"))
	if o.NoiseScale && o.Accumulate > 1 {
		s.microNorm = gorgonia.NewScalar(b.Graph, tensor.Float32, gorgonia.WithName("gradient norm of a micro-batch"))
	}
	s.parts = partsOf(o.group(), s.optimizer, s.Trained.Params)
	s.applies = slices.ContainsFunc(b.Uses, func(u objective.Use) bool { return u.EMA })
	if beside != nil {
		s.Buffers = beside.Buffers
	} else {
		s.Buffers = newBuffers(nets.FlatSize(s.Trained.Params), s.parts.Size(o.group().Rank), s.applies || o.group().Rank == 0, s.optimizer.states, o)
		s.Buffers.Images, s.Buffers.Inputs = s.images.resident, s.inputs.resident
	}
	c := plan.Options{
		Inputs: b.Inputs, Outputs: []*gorgonia.Node{l.Value}, Before: b.Before, Forward: plan.Forward{Loss: l.Value, Blocks: b.Blocks},
		Gradients: s.Buffers.Gradients, Target: o.Target, Precision: o.Precision, Without: o.Without, Recompute: o.Recompute,
	}
	if l.Errors != nil {
		c.Outputs = append(c.Outputs, l.Errors)
	}
	applied := map[*plan.Buffer]bool{}
	for _, u := range b.Uses {
		weights := s.weightsOf(u)
		applied[weights] = true
		for i, p := range u.Params {
			q := plan.Parameter{Node: u.Nodes[i], Buffer: weights, Offset: p.Offset}
			if weights == s.Buffers.Parameters {
				q.Gradient = grads[i]
			}
			c.Parameters = append(c.Parameters, q)
		}
	}
	return s, s.compile(c, applied)
}

// inputChannels are those of what images are to be made of, where a network is given that
// or begins with it.
func (s *Step) inputChannels() int {
	n := s.Network.Spec()
	if s.Objective.Process().Source.Kind() == process.Images {
		return n.Channels
	}
	return n.Concat
}

// frozen is a network that is not trained, and the buffer of its weights.
type frozen struct {
	*objective.Frozen
	weights *plan.Buffer
}

// weightsOf is the buffer of the weights of a network that the objective applies.
func (s *Step) weightsOf(u objective.Use) *plan.Buffer {
	switch {
	case u.EMA:
		return s.Buffers.EMA
	case u.Frozen != nil:
		b := plan.Weights(u.Frozen.Name, nets.FlatSize(u.Params), s.Target, s.Precision)
		if s.beside != nil {
			b = s.beside.frozen[len(s.frozen)].weights
		}
		s.frozen = append(s.frozen, frozen{u.Frozen, b})
		return b
	}
	return s.Buffers.Parameters
}

// compile makes one plan of the step, or several if gradients are accumulated.
// Copies of the weights that it applies are kept up to date.
func (s *Step) compile(c plan.Options, applied map[*plan.Buffer]bool) error {
	b := s.Buffers
	var end []plan.Stage
	var err error
	if s.Accumulate == 1 || s.beside == nil { // else another step ends it
		if end, err = s.ending(); err != nil {
			return err
		}
		end = append(end, s.averaging()...)
	}
	copyOf := func(b *plan.Buffer) []plan.Stage {
		if !applied[b] {
			return nil
		}
		return plan.Copying(b)
	}
	if !s.joins() { // or other processes have to bring theirs first
		end = append(end, copyOf(b.EMA)...)
	}
	copies := append(copyOf(b.Parameters), copyOf(b.EMA)...)
	for _, f := range s.frozen {
		copies = append(copies, copyOf(f.weights)...)
	}
	flat := plan.Options{Target: c.Target, Precision: c.Precision}
	compile := func(to **plan.Plan, o plan.Options, after ...plan.Stage) {
		if o.After = after; err == nil {
			*to, err = plan.Compile(o)
		}
	}
	if copies != nil && s.beside == nil {
		compile(&s.narrow, flat, copies...)
	}
	if err == nil {
		err = s.compileUnit(flat)
	}
	if s.Accumulate == 1 {
		c.Inputs = append(c.Inputs, s.norm)
		compile(&s.Micro, c, end...)
		return err
	}
	var micro []plan.Stage
	if s.microNorm != nil {
		c.Inputs = append(c.Inputs, s.microNorm)
		micro = []plan.Stage{{Kernel: gradnorm.New(), In: []plan.Ref{{Buffer: b.Gradients}}, Out: plan.Ref{Node: s.microNorm}}}
	}
	c.Early, s.microEnd = s.joins(), len(micro)
	compile(&s.Micro, c, micro...)
	if err == nil && s.onDevices() {
		s.cut()
	}
	if s.beside != nil {
		return err
	}
	if err == nil {
		err = s.compileSums(flat)
	}
	if s.onDevices() && err == nil {
		err = s.compileLast(flat)
	}
	if s.onDevices() && s.pieces() != nil {
		compile(&s.fold, flat, s.folding()...)
	}
	flat.Inputs = []*gorgonia.Node{s.norm}
	compile(&s.update, flat, end...)
	return err
}

// gradients are those of the whole step in its end.
func (s *Step) gradients() *plan.Buffer {
	if s.Accumulate > 1 {
		return s.Buffers.Sums[0]
	}
	return s.Buffers.Gradients
}

// ending is what follows the sum of all gradients: their norm and the optimizer.
func (s *Step) ending() ([]plan.Stage, error) {
	b, weights, gradients := s.Buffers, s.Trained.Params, s.gradients()
	norm := plan.Stage{Kernel: gradnorm.New(), In: []plan.Ref{{Buffer: gradients}}, Out: plan.Ref{Node: s.norm}}
	if s.sharesNorm() {
		var err error
		if s.jointNorm, err = s.newJointNorm(); err != nil {
			return nil, err
		}
		norm = s.jointNorm.norm
		norm.Out = plan.Ref{Node: s.norm}
	}
	all := []plan.Stage{norm}
	left := undecayed(s.DecayOf, weights)
	for _, p := range s.pieces() {
		optimizer := plan.Stage{Out: s.place(b.Parameters, p), In: []plan.Ref{s.place(gradients, p)}}
		var set func(Hyper)
		optimizer.Kernel, set = s.optimizer.kernel(within(weights, p.from, p.to), left.Part(p.from, p.to))
		s.setHyper = append(s.setHyper, set)
		for _, state := range b.States {
			optimizer.In = append(optimizer.In, s.place(state, p))
		}
		optimizer.In = append(optimizer.In, s.place(b.EMA, p), plan.Ref{Node: s.norm})
		if b.Parameters.Copy != nil && !s.joins() {
			optimizer.In = append(optimizer.In, plan.Ref{Buffer: b.Parameters.Copy})
		}
		all = append(all, optimizer)
	}
	return all, nil
}

// plans of the step, in the order of their first run; without those of other shapes.
func (s *Step) plans() []*plan.Plan {
	if s.Accumulate == 1 || s.beside != nil {
		return []*plan.Plan{s.Micro}
	}
	all := append([]*plan.Plan{s.Micro}, s.sums...)
	if s.jointNorm != nil && s.jointNorm.squares != nil {
		all = append(all, s.jointNorm.squares)
	}
	return append(all, s.update)
}

// Sizes is the memory that the step needs.
func (s *Step) Sizes() plan.Sizes {
	all := s.plans()
	for _, p := range slices.Concat(s.lastSums, []*plan.Plan{s.narrow, s.fold, s.unit}) {
		if p != nil {
			all = append(all, p)
		}
	}
	for _, other := range s.shapes {
		all = append(all, other.Micro)
	}
	sizes := plan.UnionOf(all...)
	for _, b := range s.Buffers.stored() { // of which an optimizer without a part touches none
		if b.Size > 0 {
			sizes[b] = b.Bytes()
		}
	}
	return sizes
}

// Recomputed is the part of Cost that recomputation adds.
func (s *Step) Recomputed() kernels.Cost {
	c := s.Micro.Recomputed()
	n := int64(s.Accumulate)
	return kernels.Cost{FLOPs: n * c.FLOPs, Bytes: n * c.Bytes}
}

// Cost of a step.
func (s *Step) Cost() kernels.Cost {
	cost, total := s.Micro.Cost(), kernels.Cost{}
	if s.unit != nil {
		total = s.unit.Cost()
	}
	if s.Accumulate == 1 {
		return total.Add(cost)
	}
	total = total.Add(s.update.Cost())
	if s.jointNorm != nil && s.jointNorm.squares != nil {
		total = total.Add(s.jointNorm.squares.Cost())
	}
	for range s.Accumulate {
		total = total.Add(cost)
	}
	for _, after := range s.additions {
		for _, i := range after {
			total = total.Add(s.sums[i].Cost())
		}
	}
	return total
}
