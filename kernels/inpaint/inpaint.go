// Package inpaint is the kernel for sampling with a given picture: it makes the noisy
// picture that image to image starts from, and puts back the part that inpainting keeps.
//
//	z ← m z + (1−m) (A x + S ε)
//
// x is the picture and m its mask, 1 where z stays. ε is the noise that sampling
// starts from, so that what is kept goes one way from noise to data, and an image
// does not depend on the batch it is made in.
package inpaint

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/draw"
	"fluxion/kernels/philox"
	"fluxion/kernels/row"
	"fluxion/kernels/update"

	"gorgonia.org/tensor"
)

// Row is the numbers that change from step to step: struct Row of inpaint.cu.
type Row struct {
	Seed       uint64
	A, S       float32
	Active     row.Flag // otherwise nothing is done
	Everywhere row.Flag // as if the mask were 0
	Pixels     row.Flag // write z as pixels, too
	_          uint32
}

// Options of New.
type Options struct {
	draw.Shape
	Guided bool // the network's batch is twice this one, and its second half is to repeat the first
}

// Op is the inpainting of a batch. Its output is z, in place. Inputs are the picture and
// the mask, values of one image that are the same for all, and the pixels, NHWC, which
// are written.
type Op struct {
	kernels.Signature
	Options
	row    *Row
	images []int64
}

// New returns the kernel. Image i of the batch is the one of number images[i] under
// the seed. Every run reads the row and these numbers anew.
func New(o Options, r *Row, images []int64) Op {
	return Op{kernels.Signature{Name: "inpaint " + o.Shape.String()}, o, r, images}
}

// Cost of one launch; a normal number counts as 40 operations.
func (k Op) Cost([]tensor.Shape, tensor.Shape) kernels.Cost {
	n := int64(k.Images) * int64(k.Values())
	c := kernels.Cost{FLOPs: 46 * n, Bytes: 9*n + 8*int64(k.Values())}
	if k.Guided {
		c.Bytes += 4 * n
	}
	return c
}

// Check reports why a launch would not fit.
func (k Op) Check(l kernels.Launch) error {
	if err := k.checkImages(); err != nil {
		return err
	}
	if err := k.Network(k.Guided).Check(map[string]cpu.Matrix{"z": l.Out.Matrix}); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	if picture, mask := l.In[0].Cols, l.In[1].Cols; picture != k.Values() || mask != k.Values() {
		return fmt.Errorf("%v: a picture of %d and a mask of %d values, want %d", k, picture, mask, k.Values())
	}
	if n := k.Images * k.Values(); l.In[2].Cols != n {
		return fmt.Errorf("%v: %d bytes of pixels, want %d", k, l.In[2].Cols, n)
	}
	return nil
}

func (k Op) checkImages() error {
	if len(k.images) != k.Images {
		return fmt.Errorf("%v: numbers of %d images", k, len(k.images))
	}
	return nil
}

// operands are what the inpainting of a batch reads and writes.
type operands struct {
	z             cpu.Matrix
	picture, mask []float32
	pixels        []byte
}

// CPU binds the kernel to its operands; it panics where Check reports an error.
func (k Op) CPU(l kernels.Launch) func(p *cpu.Pool) {
	if err := k.Check(l); err != nil {
		panic(err)
	}
	z, second := k.Halves(l.Out.Matrix, k.Guided)
	o := &operands{z, l.In[0].Data, l.In[1].Data, l.In[2].Bytes}
	task := func(task, _ int) {
		image, from, to := k.Chunk(task)
		k.inpaint(o, image, from, to)
	}
	return draw.Repeat(func(p *cpu.Pool) {
		if k.row.Active != 0 {
			p.Run(k.Images*k.Chunks(), task)
		}
	}, z, second)
}

const piece = 256 // values at a time: their noise lies on the stack

// The explicit float32() of each product keeps compilers from fusing it with
// the addition: the same bits everywhere.
func (k Op) inpaint(o *operands, image, from, to int) {
	var normals [piece]float32
	s := k.row
	for ; from < to; from += piece {
		noise := normals[:min(piece, to-from)]
		philox.NormalAt(noise, from, s.Seed, philox.SampleStart, uint64(k.images[image]), 0)
		for i, e := range noise {
			v := from + i
			z := &o.z.Data[(image*k.Pixels+v/k.Channels)*o.z.Pitch+v%k.Channels]
			m := o.mask[v]
			if s.Everywhere != 0 {
				m = 0
			}
			*z = mix(m, *z, float32(s.A*o.picture[v])+float32(s.S*e))
			if s.Pixels != 0 {
				o.pixels[image*k.Values()+v] = update.Pixel(*z)
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

// Reference is what the kernel computes, in float64, on dense arrays of the batch: z is
// updated in place.
func (k Op) Reference(z, picture, mask []float64) {
	s := k.row
	noise := make([]float32, k.Values())
	for i := range z {
		v := i % len(noise)
		if v == 0 {
			philox.Normal(noise, s.Seed, philox.SampleStart, uint64(k.images[i/len(noise)]), 0)
		}
		m := mask[v]
		if s.Everywhere != 0 {
			m = 0
		}
		if s.Active != 0 {
			z[i] = m*z[i] + (1-m)*(float64(s.A)*picture[v]+float64(s.S)*float64(noise[v]))
		}
	}
}
