package generate

import (
	"fmt"

	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/kernels/guide"
	"fluxion/kernels/row"
	"fluxion/kernels/update"
	"fluxion/nets"

	"gorgonia.org/tensor"
)

// Guidance says how a network's outputs become one. The zero value is none but
// for Scale, which is 1 where there is none. A network that is told the scale makes of
// itself what its teacher did in two passes.
type Guidance struct {
	Scale      float64          // y_u + Scale (y − y_u), with y_u of no class, or of a second network
	Interval   process.Interval // within which is guided
	Rescale    float64          // φ of Lin et al. (2024), equation 16; 0: none
	Percentile float64          // dynamic thresholding (Imagen), a share in (0, 1]; 0: none
}

// Reduces reports whether a step must look at whole images: see Options.Reduced.
func (g Guidance) Reduces() bool { return g.Rescale != 0 || g.Percentile != 0 }

// at is the guidance at a noise level; outside the interval it is 1.
func (g Guidance) at(q process.Point) float64 {
	if g.Interval.Holds(q) {
		return g.Scale
	}
	return 1
}

// Check refuses a scale that a network was not taught, where it is told it.
func (g Guidance) Check(n nets.Network) error {
	s := n.Spec()
	if !s.Told() {
		return nil
	}
	switch {
	case g.Scale < s.Guidance[0] || g.Scale > s.Guidance[1]:
		return fmt.Errorf("guidance %g: the model is told its guidance, and learnt it from %g to %g; want a scale of these", g.Scale, s.Guidance[0], s.Guidance[1])
	case g.Interval != (process.Interval{}) && s.Guidance[0] > 1:
		return fmt.Errorf("the model is told its guidance, and learnt it from %g on: it cannot be without any outside of an interval; want all noise levels", s.Guidance[0])
	}
	return nil
}

// addGuide puts the second network into the plan, and the stage that guides and
// keeps x̂ for networks that are given their last one. That is one for all: the
// guided x̂, limited as the sampler has it. With the class and without, the network
// is asked about the same image then, and so is a second one, so that what sets
// their outputs apart is the class, or the weakness, alone; Imagen's public
// implementation (imagen-pytorch) does the same.
func (s *Step) addGuide(c *plan.Options) error {
	switch {
	case s.Guided && s.Guide != nil:
		return fmt.Errorf("guided away from no class and from a second network, want one of the two")
	case s.Network.Spec().Told() && (s.Guided || s.Guide != nil), s.Guide != nil && s.Guide.Spec().Told():
		return fmt.Errorf("a network that is told its guidance is guided in one pass, want no second one")
	}
	in := []plan.Ref{{Node: s.Graph.Sample}}
	s.estimate = s.Graph.Estimate
	if s.Guide != nil {
		g, err := s.placeGuide()
		if err != nil {
			return err
		}
		s.GuideWeights = plan.Weights("guide", nets.FlatSize(g.Params), s.Target, s.Precision)
		for i, p := range g.Params {
			c.Parameters = append(c.Parameters, plan.Parameter{Node: g.Nodes[i], Buffer: s.GuideWeights, Offset: p.Offset})
		}
		c.Outputs = append(c.Outputs, g.Output)
		in = append(in, plan.Ref{Node: g.Output})
		if s.estimate == nil {
			s.estimate = g.Estimate
		}
	}
	if s.estimate != nil {
		c.Inputs = append(c.Inputs, s.estimate)
		in = append(in, plan.Ref{Node: s.estimate})
	}
	if s.Guide == nil && !s.Reduced && s.estimate == nil {
		return nil
	}
	s.guide = &guide.Row{}
	o := guide.Options{Shape: s.shape, Guided: s.Guided, Second: s.Guide != nil, Keep: s.estimate != nil}
	c.After = append(c.After, plan.Stage{Kernel: guide.New(o, s.guide), In: in, Out: plan.Ref{Node: s.Graph.Output}})
	return nil
}

// placeGuide puts the second network beside the first, to look at the same inputs.
func (s *Step) placeGuide() (*nets.Graph, error) {
	if s.Guide.Spec().Jump {
		s.Graph.Inputs = s.Graph.WithJump()
	}
	g := &nets.Graph{G: s.Graph.G, Inputs: s.Graph.Inputs}
	if s.Guide.Spec().Estimate {
		g.Inputs = g.WithEstimate()
	} else {
		g.Estimate = nil
	}
	var err error
	if g.Placed, err = nets.Place(g.G, s.Guide, tensor.Float32, "guide."); err != nil {
		return nil, err
	}
	g.Result, err = g.Apply(g.Inputs)
	return g, err
}

// call makes the parameters those of a call at a point, where x̂ = x.Z z + x.Y y
// with z as the network sees it, and the output leads over a jump; u is the rest of the update.
func (g *Generator) call(u update.Row, r Request, q process.Point, x process.Linear, jump float64) {
	u.Seed, u.XZ, u.XY = g.head.Seed, float32(x.Z), float32(x.Y)
	u.Guidance, u.Clip = float32(r.Guidance.at(q)), row.If(r.Clip && u.XY != 0)
	if g.guide != nil {
		*g.guide = guide.Row{
			Guidance: u.Guidance, Rescale: float32(r.Guidance.Rescale), Percentile: float32(r.Guidance.Percentile),
			XZ: u.XZ, XY: u.XY, Clip: u.Clip,
		}
		if u.Guidance == 1 {
			g.guide.Rescale = 0
		}
		u.Clip = 0
	}
	*g.update = u
	g.times.Set(float32(q.NetworkTime))
	if g.jumps != nil {
		g.jumps.Set(float32(jump))
	}
	if g.scales != nil {
		g.scales.Set(u.Guidance)
	}
}
