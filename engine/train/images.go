package train

import (
	"fluxion/data"
	"fluxion/engine/plan"
	"fluxion/kernels/draw"
	"fluxion/kernels/row"
)

// shape of a micro-batch.
func (o StepOptions) shape() draw.Shape {
	return draw.Shape{Images: o.Batch, Pixels: o.Height * o.Width, Channels: o.Network.Spec().Channels}
}

// data is the stage that makes the images of a batch, of its own pixels or of a data set
// in a buffer.
func (o StepOptions) data(images *plan.Buffer) (plan.Stage, *draw.Batch) {
	shape := o.shape()
	batch := &draw.Batch{Images: make([]draw.Image, o.Batch)}
	d := draw.DataOptions{Shape: shape, Stored: o.stored(), Resident: o.Resident > 0, Flips: o.Resident > 0 && o.Flip, Width: o.Width}
	stage := plan.Stage{Kernel: draw.NewData(d, batch)}
	if d.Resident {
		stage.In = []plan.Ref{{Buffer: images}}
		return stage, batch
	}
	for i := range batch.Images {
		batch.Images[i].From = uint64(i * shape.Values())
	}
	return stage, batch
}

// holdPixels takes the memory of the host that a batch's pixels are put into.
func (o StepOptions) holdPixels(batch *draw.Batch) {
	if o.Resident > 0 || batch.Bytes != nil || batch.Floats != nil {
		return
	}
	if n := o.Batch * o.imageValues(); o.Floats {
		batch.Floats = make([]float32, n)
	} else {
		batch.Bytes = make([]byte, n)
	}
}

// putImages sets the images of a batch from one on: their pixels, or where they lie.
func (o StepOptions) putImages(batch *draw.Batch, from int, b *data.Batch) {
	if o.Resident > 0 {
		for i := range b.Indices {
			batch.Images[from+i] = draw.Image{From: uint64(b.Sources[i]) * uint64(o.imageValues()), Flip: row.If(b.Flips != nil && b.Flips[i])}
		}
		return
	}
	first := from * o.imageValues()
	data.Pixels{Bytes: batch.Bytes, Floats: batch.Floats}.Slice(first, first+b.Pixels.Len()).Copy(b.Pixels)
}
