package train

import (
	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/objective"
	"fluxion/engine/plan"
	"fluxion/kernels/gram"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// pairing is the plan that multiplies the images of a whole step with its noise, where
// they lie, for a coupling to choose by.
type pairing struct {
	StepOptions
	plan      *plan.Plan
	images    *pixels
	addresses []int64
	table     *gorgonia.Node

	program device.Program
	values  []float32
}

// newPairing compiles it. A data set on the device is that of the step.
func newPairing(o StepOptions, images *plan.Buffer) (*pairing, error) {
	o.Batch, o.Accumulate = o.Batch*o.Accumulate, 1
	p := &pairing{StepOptions: o}
	p.images = o.pixels(o.Network.Spec().Channels, o.Floats, images)
	b, err := objective.Ends(objective.Options{Network: o.Network, Batch: o.Batch, Height: o.Height, Width: o.Width, Noise: o.noise(), Source: o.source(), Data: p.images.stage})
	if err != nil {
		return nil, err
	}
	p.addresses = b.Addresses
	p.table = gorgonia.NewTensor(b.Graph, tensor.Float32, 2, gorgonia.WithShape(gram.Shape(o.Batch, o.Batch)...), gorgonia.WithName("products"))
	product := plan.Stage{Kernel: gram.New(), In: []plan.Ref{{Node: b.Data()}, {Node: b.Noise()}}, Out: plan.Ref{Node: p.table}}
	p.plan, err = plan.Compile(plan.Options{Inputs: append(b.Inputs, p.table), Before: append(b.Before, product), Target: o.Target, Precision: number.Float32})
	return p, err
}

// hostBytes is what it takes of the host's memory.
func (p *pairing) hostBytes() int64 {
	bytes := plan.Product(4, p.table.Shape().TotalSize())
	if p.Resident == 0 {
		bytes += p.images.bytes()
	}
	return bytes
}

// load binds it to the run's memory.
func (p *pairing) load(d device.Device, m device.Memory) (err error) {
	p.images.hold()
	p.values = make([]float32, p.table.Shape().TotalSize())
	p.program, err = d.Load(p.plan, m, p.plan.Place(p.table))
	return err
}

// multiply is the products of the images of a step's batches with their noise, valid until
// the next call.
func (p *pairing) multiply(step []*data.Batch) (gram.Table, error) {
	at := 0
	for _, b := range step {
		p.images.put(at, b.Pixels, b)
		at += copy(p.addresses[at:], b.Noise)
	}
	err := device.Run(p.program)
	if err == nil {
		err = p.program.Read(p.plan.Place(p.table), p.values)
	}
	return gram.NewTable(p.Batch, p.Batch, p.values), err
}

func (p *pairing) free() error {
	if p == nil || p.program == nil {
		return nil
	}
	return p.program.Free()
}
