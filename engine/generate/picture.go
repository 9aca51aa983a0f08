package generate

import (
	"errors"
	"fmt"

	"fluxion/engine/plan"
	"fluxion/kernels/paint"
	"fluxion/kernels/row"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Picture is given to sampling. A run begins with it, at the noise level of the
// table's first call: image to image. Where the mask is 0, every state that
// arrives at an entry of the grid is the picture's at that noise level:
// in-painting.
type Picture struct {
	Values []float32 // NHWC of one image, from −1 to 1
	Mask   []float32 // of each value, 1 where it is made anew; nil is 1 everywhere
}

// painting is what a step needs for a picture.
type painting struct {
	picture, mask, pixels *gorgonia.Node
	start, step           paint.Row
}

// addPainting puts the picture and the stage that keeps it into the plan.
func (s *Step) addPainting(c *plan.Options) {
	vector := func(name string) *gorgonia.Node {
		n := gorgonia.NewVector(s.Graph.G, tensor.Float32, gorgonia.WithShape(s.shape.Values()), gorgonia.WithName(name))
		c.Inputs = append(c.Inputs, n)
		return n
	}
	s.paint = &painting{picture: vector("picture"), mask: vector("mask"), pixels: s.pixels}
	c.After = append(c.After, s.paint.stage(s, &s.paint.step))
}

func (p *painting) stage(s *Step, r *paint.Row) plan.Stage {
	return plan.Stage{
		Kernel: paint.New(paint.Options{Shape: s.shape, Guided: s.Guided}, r, s.images),
		In:     []plan.Ref{{Node: p.picture}, {Node: p.mask}, {Node: p.pixels}}, Out: plan.Ref{Node: s.Graph.Sample},
	}
}

// show brings the picture of a request to the device.
func (g *Generator) show(r Request) error {
	if g.paint == nil || r.Picture == nil {
		if g.paint != nil || r.Picture != nil {
			return errors.New("a step for a picture without one, or the other way round")
		}
		return nil
	}
	if r.Adaptive != nil && r.Picture.Mask != nil {
		return errors.New("an adaptive sampler has no grid on which parts of a picture could be kept; want another one, such as heun")
	}
	mask := r.Picture.Mask
	if mask == nil {
		mask = make([]float32, len(r.Picture.Values))
		for i := range mask {
			mask[i] = 1
		}
	}
	if n := g.shape.Values(); len(r.Picture.Values) != n || len(mask) != n {
		return fmt.Errorf("a picture of %d values and a mask of %d, want %d", len(r.Picture.Values), len(mask), n)
	}
	g.paint.step = paint.Row{}
	return errors.Join(g.program.Write(g.Plan.Place(g.paint.picture), r.Picture.Values), g.program.Write(g.Plan.Place(g.paint.mask), mask))
}

// begin adds α times the picture to the noise that a batch begins with.
func (g *Generator) begin(r Request, alpha float64) {
	if g.paint != nil {
		g.paint.start = paint.Row{Seed: g.head.Seed, A: float32(alpha), S: g.head.Scale, Active: 1, Everywhere: 1}
	}
}

// keep sets what is kept of the picture after a call: nothing of states between
// entries of the grid, from which a sampler works its way back.
func (g *Generator) keep(r Request, call int) {
	if g.paint == nil {
		return
	}
	rows := r.Table.Rows
	p := paint.Row{Seed: g.head.Seed, A: 1, Active: row.If(r.Picture.Mask != nil && rows[call].Arrives)}
	if call+1 < len(rows) {
		next := rows[call+1].Call
		p.A, p.S = float32(next.Alpha), float32(next.Sigma)
	} else {
		p.Pixels = 1
	}
	g.paint.step = p
}
