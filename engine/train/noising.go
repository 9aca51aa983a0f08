package train

import (
	"fluxion/engine/plan"
	"fluxion/kernels/draw"
	"fluxion/kernels/feed"
	"fluxion/kernels/mix"
	"fluxion/kernels/philox"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// noising is the stages that begin a micro-batch: its images and their noise, what the
// network sees of both and what it is to answer.
func (s *Step) noising(shape draw.Shape, c *plan.Options) []plan.Stage {
	node := func(like *gorgonia.Node, name string) *gorgonia.Node {
		n := gorgonia.NewTensor(s.Graph.G, tensor.Float32, like.Dims(), gorgonia.WithShape(like.Shape()...), gorgonia.WithName(name))
		c.Inputs = append(c.Inputs, n)
		return n
	}
	x, noise := node(s.Graph.Sample, "x"), node(s.Graph.Sample, "noise")
	s.batch = &draw.Batch{Images: make([]draw.Image, s.Batch)}
	s.noise, s.addresses = &draw.Head{Scale: 1}, make([]int64, s.Batch)
	s.times = feed.New(s.Batch, 1)
	o := draw.DataOptions{Shape: shape, Stored: s.stored(), Resident: s.Resident > 0, Flips: s.Resident > 0 && s.Flip, Width: s.Width}
	data := plan.Stage{Kernel: draw.NewData(o, s.batch), Out: plan.Ref{Node: x}}
	if o.Resident {
		data.In = []plan.Ref{{Buffer: s.Buffers.Images}}
	} else {
		for i := range s.batch.Images {
			s.batch.Images[i].From = uint64(i * shape.Values())
		}
	}
	stages := []plan.Stage{
		data,
		{Kernel: draw.NewNoise(draw.NoiseOptions{Shape: shape, Stream: philox.Noise}, s.noise, s.addresses), Out: plan.Ref{Node: noise}},
		{Kernel: s.times, Out: plan.Ref{Node: s.Graph.Time}},
	}
	mixed := func(out *gorgonia.Node, name string) *feed.Vector {
		coefficients := gorgonia.NewMatrix(s.Graph.G, tensor.Float32, gorgonia.WithShape(s.Batch, 2), gorgonia.WithName(name))
		c.Inputs = append(c.Inputs, coefficients)
		v := feed.New(2*s.Batch, 2)
		stages = append(stages, plan.Stage{Kernel: v, Out: plan.Ref{Node: coefficients}},
			plan.Stage{Kernel: mix.New(mix.Options{}, 4, 2), In: []plan.Ref{{Node: x}, {Node: noise}, {Node: coefficients}}, Out: plan.Ref{Node: out}})
		return v
	}
	s.sample, s.answer = mixed(s.Graph.Sample, "coefficients of z"), mixed(s.target, "coefficients of the target")
	return stages
}
