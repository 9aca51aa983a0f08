package generate

import (
	"errors"
	"fmt"

	"fluxion/engine/plan"
	"fluxion/kernels/inpaint"
	"fluxion/kernels/row"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Picture is given to sampling. A run begins with it, at the noise level of the
// table's first call: image to image. With a mask it is inpainting: where the mask is
// 0, every state that arrives at an entry of the grid is set to the picture at that
// noise level.
type Picture struct {
	Values []float32 // NHWC of one image, from −1 to 1
	Mask   []float32 // of each value, 1 where it is made anew; nil is 1 everywhere
	Unseen bool      // the run begins with noise alone: only the mask shows it the picture
}

// inpainting is what a step needs for a picture.
type inpainting struct {
	picture, mask, pixels *gorgonia.Node
	start, step           inpaint.Row
}

// addInpainting adds the picture, its mask and the kernel that keeps it to the plan.
func (s *Step) addInpainting(c *plan.Options) {
	vector := func(name string) *gorgonia.Node {
		n := gorgonia.NewVector(s.Graph.G, tensor.Float32, gorgonia.WithShape(s.shape.Values()), gorgonia.WithName(name))
		c.Inputs = append(c.Inputs, n)
		return n
	}
	s.inpaint = &inpainting{picture: vector("picture"), mask: vector("mask"), pixels: s.pixels}
	c.After = append(c.After, s.inpaint.stage(s, &s.inpaint.step))
}

func (p *inpainting) stage(s *Step, r *inpaint.Row) plan.Stage {
	return plan.Stage{
		Kernel: inpaint.New(inpaint.Options{Shape: s.shape, Guided: s.Guided}, r, s.images),
		In:     []plan.Ref{{Node: p.picture}, {Node: p.mask}, {Node: p.pixels}}, Out: plan.Ref{Node: s.Graph.Sample},
	}
}

// show brings the picture of a request to the device.
func (g *Generator) show(r Request) error {
	if g.inpaint == nil || r.Picture == nil {
		if g.inpaint != nil || r.Picture != nil {
			return errors.New("a step for a picture without one, or the other way round")
		}
		return nil
	}
	if r.Adaptive != nil && r.Picture.Mask != nil {
		return errors.New("an adaptive sampler has no grid on which parts of a picture could be kept; want another one, such as heun")
	}
	mask := r.Picture.Mask
	if mask != nil && !g.Source.White() {
		return fmt.Errorf("parts of a picture are kept in white normal noise, and the source is %v; want no mask", g.Source)
	}
	if mask == nil {
		mask = make([]float32, len(r.Picture.Values))
		for i := range mask {
			mask[i] = 1
		}
	}
	if n := g.shape.Values(); len(r.Picture.Values) != n || len(mask) != n {
		return fmt.Errorf("a picture of %d values and a mask of %d, want %d", len(r.Picture.Values), len(mask), n)
	}
	g.inpaint.step = inpaint.Row{}
	return errors.Join(g.program.Write(g.Plan.Place(g.inpaint.picture), r.Picture.Values), g.program.Write(g.Plan.Place(g.inpaint.mask), mask))
}

// begin adds α times the picture to the noise that a batch begins with.
func (g *Generator) begin(r Request, alpha float64) {
	if g.inpaint != nil {
		if r.Picture.Unseen {
			alpha = 0
		}
		g.inpaint.start = inpaint.Row{Seed: g.head.Seed, A: float32(alpha), S: g.head.Scale, Active: 1, Everywhere: 1}
	}
}

// keep sets what is kept of the picture after a call: nothing of states between
// entries of the grid, from which a sampler works its way back.
func (g *Generator) keep(r Request, call int) {
	if g.inpaint == nil {
		return
	}
	rows := r.Table.Rows
	p := inpaint.Row{Seed: g.head.Seed, A: 1, Active: row.If(r.Picture.Mask != nil && rows[call].Arrives)}
	if call+1 < len(rows) {
		next := rows[call+1].Call
		p.A, p.S = float32(next.Alpha), float32(next.Sigma)
	} else {
		p.Pixels = 1
	}
	g.inpaint.step = p
}
