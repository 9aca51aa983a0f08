package train

import (
	"fluxion/data"
	"fluxion/engine/plan"
	"fluxion/kernels/draw"
	"fluxion/kernels/number"
	"fluxion/kernels/row"
)

// pixels are images of a batch, on their way from a data set to the network.
type pixels struct {
	draw.Shape
	stored   number.Type  // of a value in a batch or in a data set
	batch    *draw.Batch  // what changes from step to step
	stage    plan.Stage   // that makes the images
	resident *plan.Buffer // a data set that lies on the device; of no size: images come with every batch
}

// stored is the type of pixels in a data set or a batch.
func stored(floats bool) number.Type {
	if floats {
		return number.Float32
	}
	return number.Uint8
}

// resident declares the data set that lies on the device, if it does: images of so many
// channels.
func (o StepOptions) resident(name string, channels int, floats bool) *plan.Buffer {
	return &plan.Buffer{Name: name, Type: stored(floats), Size: o.Resident * o.Height * o.Width * channels}
}

// pixels are images of so many channels, none of 0, perhaps of a data set on the device.
func (o StepOptions) pixels(channels int, floats bool, resident *plan.Buffer) *pixels {
	p := &pixels{
		Shape: draw.Shape{Images: o.Batch, Pixels: o.Height * o.Width, Channels: channels}, stored: stored(floats),
		batch: &draw.Batch{Images: make([]draw.Image, o.Batch)}, resident: resident,
	}
	d := draw.DataOptions{Shape: p.Shape, Stored: p.stored, Resident: o.Resident > 0, Flips: o.Resident > 0 && o.Flip, Width: o.Width}
	p.stage = plan.Stage{Kernel: draw.NewData(d, p.batch)}
	if d.Resident {
		p.stage.In = []plan.Ref{{Buffer: resident}}
		return p
	}
	for i := range p.batch.Images {
		p.batch.Images[i].From = uint64(i * p.Values())
	}
	return p
}

// bytes are those of a batch, on the host.
func (p *pixels) bytes() int64 { return plan.Product(p.Images, p.Values(), p.stored.Size()) }

// hold takes the memory of the host that a batch's pixels are put into.
func (p *pixels) hold() {
	switch b := p.batch; {
	case p.resident.Size > 0 || b.Bytes != nil || b.Floats != nil:
	case p.stored == number.Float32:
		b.Floats = make([]float32, p.Images*p.Values())
	default:
		b.Bytes = make([]byte, p.Images*p.Values())
	}
}

// put sets the images of a batch from one on: their pixels, or where they lie.
func (p *pixels) put(from int, images data.Pixels, b *data.Batch) {
	if p.resident.Size > 0 {
		for i := range b.Indices {
			p.batch.Images[from+i] = draw.Image{From: uint64(b.Sources[i]) * uint64(p.Values()), Flip: row.If(b.Flips != nil && b.Flips[i])}
		}
		return
	}
	first := from * p.Values()
	data.Pixels{Bytes: p.batch.Bytes, Floats: p.batch.Floats}.Slice(first, first+images.Len()).Copy(images)
}
