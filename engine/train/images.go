package train

import (
	"fluxion/engine/plan"
	"fluxion/kernels/draw"
)

// shape of a micro-batch.
func (o StepOptions) shape() draw.Shape {
	return draw.Shape{Images: o.Batch, Pixels: o.Height * o.Width, Channels: o.Network.Spec().Channels}
}

// data is the stage that makes the images of a micro-batch, of its own pixels or of a
// data set in a buffer.
func (s *Step) data(images *plan.Buffer) plan.Stage {
	shape := s.shape()
	s.batch = &draw.Batch{Images: make([]draw.Image, s.Batch)}
	o := draw.DataOptions{Shape: shape, Stored: s.stored(), Resident: s.Resident > 0, Flips: s.Resident > 0 && s.Flip, Width: s.Width}
	stage := plan.Stage{Kernel: draw.NewData(o, s.batch)}
	if o.Resident {
		stage.In = []plan.Ref{{Buffer: images}}
		return stage
	}
	for i := range s.batch.Images {
		s.batch.Images[i].From = uint64(i * shape.Values())
	}
	return stage
}
