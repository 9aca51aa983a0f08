package generate

import (
	"errors"

	"fluxion/engine/process"
)

// checkInput says that a network is given a second image, or is not, against what it takes.
func (g *Generator) checkInput(r Request) error {
	if g.Source.Kind() == process.Images && r.Begin == nil {
		return errors.New("a model that begins with images is given none")
	}
	if takes := g.Graph.Concat != nil; takes != (r.Input != nil) {
		return errors.New("a network that takes a second image without one, or the other way round")
	}
	return nil
}

// given gives every place of the batch the second image of its image, with the class and
// without.
func (g *Generator) given(r Request, at func(i int) int) error {
	if g.Graph.Concat == nil {
		return nil
	}
	values := make([]float32, g.Graph.Concat.Shape().TotalSize())
	size := g.shape.Pixels * g.Network.Spec().Concat
	for i := range g.Batch {
		to := values[i*size:][:size]
		if i > 0 && at(i) == at(i-1) {
			copy(to, values[(i-1)*size:])
		} else if err := r.Input(at(i), to); err != nil {
			return err
		}
		if g.Guided {
			copy(values[(g.Batch+i)*size:], to)
		}
	}
	return g.program.Write(g.Plan.Place(g.Graph.Concat), values)
}

// change lets the request change the states that a batch begins with.
func (g *Generator) change(r Request, alpha, sigma float64, at func(i int) int) error {
	if r.Begin == nil {
		return nil
	}
	sample := g.Plan.Place(g.Graph.Sample)
	if err := g.program.Read(sample, g.last); err != nil {
		return err
	}
	size := g.shape.Values()
	for i := range g.Batch {
		z := g.last[i*size:][:size]
		if i > 0 && at(i) == at(i-1) {
			copy(z, g.last[(i-1)*size:])
		} else if err := r.Begin(at(i), alpha, sigma, z); err != nil {
			return err
		}
		if g.Guided {
			copy(g.last[(g.Batch+i)*size:], z)
		}
	}
	return g.program.Write(sample, g.last)
}
