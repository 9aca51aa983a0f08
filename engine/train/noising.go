package train

import (
	"fluxion/engine/plan"
	"fluxion/kernels/draw"
)

// noising is the stage that begins a micro-batch.
func (s *Step) noising(shape draw.Shape) plan.Stage {
	s.batch = &draw.Batch{Images: make([]draw.Image, s.Batch)}
	o := draw.PairOptions{Shape: shape, Resident: s.Resident > 0, Flips: s.Resident > 0 && s.Flip, Width: s.Width}
	stage := plan.Stage{
		Kernel: draw.NewPair(o, s.batch),
		In:     []plan.Ref{{Node: s.target}, {Node: s.Graph.Time}}, Out: plan.Ref{Node: s.Graph.Sample},
	}
	if o.Resident {
		stage.In = append(stage.In, plan.Ref{Buffer: s.Buffers.Images})
		return stage
	}
	for i := range s.batch.Images {
		s.batch.Images[i].Pixels = uint64(i * shape.Values())
	}
	return stage
}
