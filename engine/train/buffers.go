package train

import (
	"fmt"

	"fluxion/engine/plan"
	"fluxion/kernels/number"
)

// Buffers are the memory of a training step that outlives it. The flat ones have a
// slot for each parameter of the network, at the same element in each. Where several
// processes train, states and averages have this one's part alone: see partsOf.
type Buffers struct {
	Parameters, Gradients *plan.Buffer
	States                []*plan.Buffer   // of the optimizer
	EMA                   *plan.Buffer     // of the parameters: their exponential moving average
	MoreEMAs              []*plan.Buffer   // further ones, with other half-lives
	Sums                  []*plan.Buffer   // of the gradients of several micro-batches; the first is the step's in the end
	Received              [][]*plan.Buffer // of each other process, of each of its sums: this one's part
	Images                *plan.Buffer     // the data set, if it lies on the device
	Inputs                *plan.Buffer     // what its images are to be made of, if it says
}

// newBuffers declares those of a network of so many parameters, of which the optimizer of
// this process changes its own ones. The whole first average is there to be applied.
func newBuffers(parameters, own int, applied bool, states []state, o StepOptions) Buffers {
	flat := func(name string, size int) *plan.Buffer {
		return &plan.Buffer{Name: name, Type: number.Float32, Size: size}
	}
	b := Buffers{
		Parameters: plan.Weights("params", parameters, o.Target, o.Precision), EMA: flat("average", own),
		Gradients: flat("grads", parameters),
	}
	if applied {
		b.EMA = plan.Weights("average", parameters, o.Target, o.Precision)
	}
	b.Gradients.Transient = true
	for _, n := range o.MoreEMAs {
		b.MoreEMAs = append(b.MoreEMAs, flat(fmt.Sprint("average_", n), own))
	}
	for _, s := range states {
		b.States = append(b.States, flat(s.name, own))
	}
	for i := range sumBuffers(o.Accumulation, shareOf(o.group(), o.Accumulate)) {
		b.Sums = append(b.Sums, flat(fmt.Sprint("sum", i), parameters))
	}
	b.Received = received(o, own)
	return b
}

// weights are the parameters and all their averages.
func (b Buffers) weights() []*plan.Buffer {
	return append([]*plan.Buffer{b.Parameters, b.EMA}, b.MoreEMAs...)
}
