package main

import (
	"fmt"
	"slices"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/data"
	"fluxion/data/stable"
	"fluxion/nets"
)

// several are the shapes of the images that samples are made of; nil: all have that of the job.
func (j job) several() *data.Buckets {
	if j.images == nil {
		return nil
	}
	return j.images.shapes
}

// ofShape is the job for samples that are made of images of a shape.
func (j job) ofShape(s data.Size) job {
	stands, made := j.seen[0]/j.size[0], j.made[0]/j.size[0] // pixels along a side of what is seen, and made, for one of a network's
	if !j.images.latents {
		s.Height, s.Width = s.Height/stands, s.Width/stands
	}
	sides := func(of *[3]int, times int) { of[0], of[1] = s.Height*times, s.Width*times }
	sides(&j.size, 1)
	sides(&j.seen, stands)
	sides(&j.made, made)
	return j
}

// madeOf is the height, width and channels of a sample.
func (j job) madeOf(seed int64) [3]int {
	if j.several() == nil {
		return j.made
	}
	return j.ofShape(data.SizeOf(j.images.set, int(seed))).made
}

// shapeJob is a job, and the places in a list of the samples that are of it.
type shapeJob struct {
	job
	places []int
}

// shapes are the jobs of samples by their shapes, the largest first.
func (j job) shapes(seeds []int64) (all []shapeJob) {
	b := j.several()
	if b == nil {
		all = []shapeJob{{job: j}}
		for i := range seeds {
			all[0].places = append(all[0].places, i)
		}
		return all
	}
	sizes := slices.Clone(b.Sizes)
	stable.Sort(sizes, func(a, b data.Size) int { return b.Height*b.Width - a.Height*a.Width })
	for _, s := range sizes {
		of := shapeJob{job: j.ofShape(s)}
		for i, seed := range seeds {
			if data.SizeOf(j.images.set, int(seed)) == s {
				of.places = append(of.places, i)
			}
		}
		if of.places != nil {
			all = append(all, of)
		}
	}
	return all
}

// checkShapes says what does not go with images of several shapes.
func (o *sampleOptions) checkShapes(j job) error {
	b := j.several()
	switch {
	case b == nil:
		return nil
	case samples.IsArray(o.out):
		return fault.Usagef("--out %s holds samples of one shape, and %s has images of %d; want a folder or a tar, or --size, which brings all to one", o.out, j.images.flag, len(b.Sizes))
	case o.noiseFlags.noise != "" || o.saveNoise != "":
		return fault.Usagef("--noise and --save-noise: files hold noise of one shape, and %s has images of %d; want --size, which brings all to one", j.images.flag, len(b.Sizes))
	}
	return nil
}

// shapesNote says of a model that was trained on images of several shapes that these have one; "": they have
// several, too, or one that somebody asks for.
func (o *sampleOptions) shapesNote(j job) string {
	shapes := j.model.Shapes
	if len(shapes) < 2 || o.size != (data.Size{}) || j.several() != nil {
		return ""
	}
	own, other := data.Size{Height: j.made[0], Width: j.made[1]}, data.Size{}
	var list []string
	for _, s := range shapes {
		times := j.made[0] / j.size[0]
		of := data.Size{Height: s[0] * times, Width: s[1] * times}
		if list = append(list, fmt.Sprintf("%d×%d", of.Height, of.Width)); of != own {
			other = of
		}
	}
	text := fmt.Sprintf("the model was trained on images of %d shapes, height×width: %s; all of these are %d×%d", len(shapes), console.Abridged(list, 10), own.Height, own.Width)
	if j.images != nil {
		text += ": --fit buckets makes each in the shape nearest to that of its image"
	}
	return text + fmt.Sprintf("; --size %v makes others", other)
}

// takesShapes refuses shapes of images that a network does not take.
func (o *sampleOptions) takesShapes(j job) error {
	b := j.several()
	if b == nil {
		return nil
	}
	type network struct {
		name string
		nets.Network
	}
	all := []network{{o.model, j.model.Network}}
	if j.guide != nil {
		all = append(all, network{o.guide, j.guide.Network})
	}
	if j.from != nil {
		all = append(all, network{o.from, j.from.model.Network})
	}
	for _, s := range b.Sizes {
		if factor := j.seen[0] / j.size[0]; !j.images.latents && (s.Height%factor != 0 || s.Width%factor != 0) {
			return fault.Usagef("%s has images of %d×%d (width×height), and a latent of %s stands for %d×%d pixels; want shapes of multiples of %d, or --size", j.images.flag, s.Width, s.Height, o.model, factor, factor, factor)
		}
		of := j.ofShape(s)
		for _, n := range all {
			if err := n.Spec().CheckSize(n.name, of.size[0], of.size[1]); err != nil {
				return fault.Usagef("%s has images of %d×%d (width×height): %w; or --size, which brings all to one", j.images.flag, s.Width, s.Height, err)
			}
		}
	}
	return nil
}
