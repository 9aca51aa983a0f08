package generate

import (
	"errors"
	"fmt"

	"fluxion/engine/plan"
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/draw"
	"fluxion/kernels/paint"

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
	start, step           paint.Step
}

// addPainting puts the picture and the stage that keeps it into the plan.
func (s *Step) addPainting(c *plan.Options) {
	vector := func(name string) *gorgonia.Node {
		n := gorgonia.NewVector(s.Graph.G, tensor.Float32, gorgonia.WithShape(s.shape.Values()), gorgonia.WithName(name))
		c.Inputs = append(c.Inputs, n)
		return n
	}
	s.paint = &painting{picture: vector("picture"), mask: vector("mask"), pixels: s.pixels}
	s.paint.start.Seeds, s.paint.step.Seeds = s.seeds(), s.seeds()
	c.After = append(c.After, s.paint.stage(s, &s.paint.step))
}

func (p *painting) stage(s *Step, values *paint.Step) plan.Stage {
	return plan.Stage{
		Kernel: paintStage{step: s, values: values},
		In:     []plan.Ref{{Node: p.picture}, {Node: p.mask}, {Node: p.pixels}}, Out: plan.Ref{Node: s.Graph.Sample},
	}
}

func (s *Step) seeds() draw.Seeds { return draw.Seeds{Seed: s.head.Seed, Images: s.images} }

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
	g.paint.step = paint.Step{Seeds: g.seeds()}
	return errors.Join(g.program.Write(g.Plan.Place(g.paint.picture), r.Picture.Values), g.program.Write(g.Plan.Place(g.paint.mask), mask))
}

// begin adds α times the picture to the noise that a batch begins with.
func (g *Generator) begin(r Request, alpha float64) {
	if g.paint != nil {
		g.paint.start = paint.Step{A: float32(alpha), S: g.head.Scale, Active: true, Everywhere: true, Seeds: g.seeds()}
	}
}

// keep sets what is kept of the picture after a call: nothing of states between
// entries of the grid, from which a sampler works its way back.
func (g *Generator) keep(r Request, call int) {
	if g.paint == nil {
		return
	}
	rows := r.Table.Rows
	p := paint.Step{A: 1, Active: r.Picture.Mask != nil && rows[call].Arrives, Seeds: g.seeds()}
	if call+1 < len(rows) {
		next := rows[call+1].Call
		p.A, p.S = float32(next.Alpha), float32(next.Sigma)
	} else {
		p.Pixels = true
	}
	g.paint.step = p
}

// paintStage paints in place. Inputs are the picture, its mask, and the pixels.
type paintStage struct {
	kernels.Signature
	step   *Step
	values *paint.Step
}

func (u paintStage) kernel() paint.Kernel { return paint.Kernel{Shape: u.step.shape} }

func (u paintStage) String() string { return u.kernel().String() }

func (u paintStage) Cost([]tensor.Shape, tensor.Shape) kernels.Cost {
	c := u.kernel().Cost()
	c.Bytes += u.step.again() + 8*int64(u.step.shape.Values()) // the picture and its mask
	return c
}

func (u paintStage) CPU(l kernels.Launch) func(*cpu.Pool) {
	s, n := u.step, u.step.shape.Values()
	return s.repeated(l.Out.Matrix, u.kernel().CPU(u.values, paint.Operands{
		Z: s.half(l.Out.Matrix, 0), Picture: l.In[0].Data[:n], Mask: l.In[1].Data[:n], Pixels: l.In[2].Bytes[:l.In[2].Cols],
	}))
}

func (paintStage) CUDAScratch(cuda.Launch) int { return 0 }

func (u paintStage) CUDA(l cuda.Launch) []cuda.Call {
	s := u.step
	return u.kernel().CUDA(paint.CUDAOperands{
		Z: s.part(l.Out, 0), Second: s.part(l.Out, 1), Picture: l.In[0].Address, Mask: l.In[1].Address, Pixels: l.In[2].Address,
	}, l.Parameters)
}

func (u paintStage) ParameterBytes() int { return u.kernel().ParameterBytes() }

func (u paintStage) PutParameters(row []byte) { u.kernel().PutParameters(u.values, row) }
