// Package paint brings a given picture into sampling: the start of image to
// image, and the part of an image that in-painting keeps.
//
//	z ← m z + (1−m) (A x + S ε)
//
// x is the picture and m its mask, 1 where z stays. ε is the noise that sampling
// starts from, so that what is kept goes one way from noise to data, and an image
// does not depend on the batch it is made in.
package paint

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/draw"
	"fluxion/kernels/philox"
	"fluxion/kernels/update"
)

// Step is what changes from step to step.
type Step struct {
	A, S       float32
	Active     bool // otherwise nothing is done
	Everywhere bool // as if the mask were 0
	Pixels     bool // write z as pixels, too

	Seeds draw.Seeds // images of this batch; Scale is not used
}

// Operands are the addresses of a launch. Z is updated in place. Picture and
// Mask are the values of one image, the same for all.
type Operands struct {
	Z             cpu.Matrix
	Picture, Mask []float32
	Pixels        []byte // NHWC; nil if no step writes them
}

// Kernel is the painting of a batch.
type Kernel struct{ draw.Shape }

func (k Kernel) String() string { return "paint " + k.Shape.String() }

// Cost of one launch; a normal number counts as 40 operations.
func (k Kernel) Cost() kernels.Cost {
	n := int64(k.Images) * int64(k.Values())
	return kernels.Cost{FLOPs: 46 * n, Bytes: 8 * n}
}

// Check reports why a launch would not fit.
func (k Kernel) Check(o Operands) error {
	if err := k.Shape.Check(map[string]cpu.Matrix{"z": o.Z}); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	if len(o.Picture) != k.Values() || len(o.Mask) != k.Values() {
		return fmt.Errorf("%v: a picture of %d and a mask of %d values, want %d", k, len(o.Picture), len(o.Mask), k.Values())
	}
	if n := k.Images * k.Values(); o.Pixels != nil && len(o.Pixels) != n {
		return fmt.Errorf("%v: %d bytes of pixels, want %d", k, len(o.Pixels), n)
	}
	return nil
}

// CPU binds the kernel to its operands; it panics where Check reports an error.
// Every run reads the step anew.
func (k Kernel) CPU(s *Step, o Operands) func(p *cpu.Pool) {
	if err := k.Check(o); err != nil {
		panic(err)
	}
	task := func(task, _ int) {
		image, from, to := k.Chunk(task)
		k.paint(s, &o, image, from, to)
	}
	return func(p *cpu.Pool) {
		if s.Active {
			p.Run(k.Images*k.Chunks(), task)
		}
	}
}

const piece = 256 // values at a time: their noise lies on the stack

// The explicit float32() of each product keeps compilers from fusing it with
// the addition: the same bits everywhere.
func (k Kernel) paint(s *Step, o *Operands, image, from, to int) {
	var normals [piece]float32
	for ; from < to; from += piece {
		noise := normals[:min(piece, to-from)]
		philox.NormalAt(noise, from, s.Seeds.Seed, philox.SampleStart, uint64(s.Seeds.Images[image]), 0)
		for i, e := range noise {
			v := from + i
			z := &o.Z.Data[(image*k.Pixels+v/k.Channels)*o.Z.Pitch+v%k.Channels]
			m := o.Mask[v]
			if s.Everywhere {
				m = 0
			}
			*z = mix(m, *z, float32(s.A*o.Picture[v])+float32(s.S*e))
			if s.Pixels && o.Pixels != nil {
				o.Pixels[image*k.Values()+v] = update.Pixel(*z)
			}
		}
	}
}

// mix is m z + (1−m) known; at 0 and 1 one of them as it is, whatever the other.
func mix(m, z, known float32) float32 {
	switch m {
	case 0:
		return known
	case 1:
		return z
	}
	return float32(m*z) + float32((1-m)*known)
}

// Reference is what the kernel computes, in float64, on dense arrays: z is
// updated in place.
func (k Kernel) Reference(s Step, z, picture, mask []float64) {
	noise := make([]float32, k.Values())
	for i := range z {
		v := i % len(noise)
		if v == 0 {
			philox.Normal(noise, s.Seeds.Seed, philox.SampleStart, uint64(s.Seeds.Images[i/len(noise)]), 0)
		}
		m := mask[v]
		if s.Everywhere {
			m = 0
		}
		if s.Active {
			z[i] = m*z[i] + (1-m)*(float64(s.A)*picture[v]+float64(s.S)*float64(noise[v]))
		}
	}
}
