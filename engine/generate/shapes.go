package generate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"fluxion/engine/device"
	"fluxion/engine/plan"
)

// Size of images, as data.Size has it.
type Size = struct{ Height, Width int }

// Shapes make images of several sizes: a step for each size, of the same weights and on the same
// memory. Of images of one size it is that step.
type Shapes struct {
	Steps  []*Step
	images [][]int // those of each step, by their places in a request
}

// NewShapes compiles the steps for images of these sizes, one each. Of the options a step has its
// size, and batches of as many images at most as have it.
func NewShapes(o Options, sizes []Size) (*Shapes, error) {
	s, most := &Shapes{}, o.Batch
	var all []Size
	for i, size := range sizes {
		k := slices.Index(all, size)
		if k < 0 {
			k = len(all)
			all, s.images = append(all, size), append(s.images, nil)
		}
		s.images[k] = append(s.images[k], i)
	}
	for k, size := range all {
		o.Height, o.Width, o.Batch = size.Height, size.Width, min(most, len(s.images[k]))
		if k > 0 {
			o.Weights = s.Steps[0].Weights
		}
		step, err := NewStep(o)
		if err != nil {
			return nil, fmt.Errorf("images of %d×%d: %w", size.Height, size.Width, err)
		}
		s.Steps = append(s.Steps, step)
	}
	return s, nil
}

// Sizes is the memory that all steps need.
func (s *Shapes) Sizes() plan.Sizes {
	all := plan.Sizes{}
	for _, step := range s.Steps {
		all = plan.Union(all, step.Sizes())
	}
	return all
}

// FLOPs of all images, if each takes so many calls of the network.
func (s *Shapes) FLOPs(calls int) (n float64) {
	for k, step := range s.Steps {
		n += float64(step.Plan.Cost().FLOPs) / float64(step.Batch) * float64(calls*len(s.images[k]))
	}
	return n
}

// Load binds the steps to memory.
func (s *Shapes) Load(d device.Device, m device.Memory) (*ShapesGenerator, error) {
	g := &ShapesGenerator{Shapes: s}
	for _, step := range s.Steps {
		of, err := step.Load(d, m)
		if err != nil {
			return nil, errors.Join(err, g.Free())
		}
		g.each = append(g.each, of)
	}
	return g, nil
}

// ShapesGenerator is Shapes on a device.
type ShapesGenerator struct {
	*Shapes
	each []*Generator
}

// Free gives back what it holds besides its memory.
func (g *ShapesGenerator) Free() (err error) {
	for _, of := range g.each {
		err = errors.Join(err, of.Free())
	}
	return err
}

// Run is Generator.Run, size by size.
func (g *ShapesGenerator) Run(ctx context.Context, r Request, visit func(i int, s Sample) error) error {
	if len(g.each) == 1 {
		return g.each[0].Run(ctx, r, visit)
	}
	done := 0
	for k, of := range g.each {
		images, before := g.images[k], done
		part := r.part(images)
		if r.Step != nil {
			part.Step = func(done, all int) { r.Step(before*all+done*len(images), len(r.Seeds)*all) }
		}
		err := of.Run(ctx, part, func(i int, s Sample) error { return visit(images[i], s) })
		if err != nil {
			return err
		}
		done += len(images)
	}
	return nil
}

// part is the request for some of its images.
func (r Request) part(images []int) Request {
	p := r
	p.Seeds, p.Classes, p.Told = pick(r.Seeds, images), pick(r.Classes, images), pick(r.Told, images)
	if r.Input != nil {
		p.Input = func(i int, to []float32) error { return r.Input(images[i], to) }
	}
	if r.Begin != nil {
		p.Begin = func(i int, alpha, sigma float64, z []float32) error { return r.Begin(images[i], alpha, sigma, z) }
	}
	return p
}

// pick are some of a list; nil of none.
func pick[T any](all []T, places []int) (some []T) {
	if all == nil {
		return nil
	}
	for _, i := range places {
		some = append(some, all[i])
	}
	return some
}
