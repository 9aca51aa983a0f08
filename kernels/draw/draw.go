// Package draw makes what a step begins with: a training batch of noisy images
// and targets, formed from pixels in one pass, or the pure noise that sampling
// starts from. Noise is addressed by image (package philox), so neither the
// batch nor the number of threads has a part in it.
package draw

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/philox"
	"fluxion/kernels/row"

	"gorgonia.org/tensor"
)

// Head is what both rows begin with: struct Head of draw.cu.
type Head struct {
	Seed  uint64
	Scale float32 // standard deviation of the noise that sampling starts from
	_     uint32
}

// Image is the numbers of one image of a training batch: struct Image of draw.cu.
// At the image's time t, z = Alpha x + Sigma ε is what the network sees and
// A x + B ε what it is to answer (engine/process, Point).
type Image struct {
	Address            int64  // in the stream of images
	Pixels             uint64 // where its pixels begin, in bytes
	Alpha, Sigma, A, B float32
	Time               float32  // as the network is told it
	Flip               row.Flag // mirror it, left for right
	_                  uint64
}

// Batch is what changes from step to step. Its slices keep their length.
type Batch struct {
	Head
	Images []Image
	Pixels []byte // NHWC; of no use where images come from a data set on the device
}

// PairOptions of NewPair.
type PairOptions struct {
	Shape
	Resident bool // pixels are those of a data set on the device
	Flips    bool // some images may be mirrored
	Width    int  // of an image in pixels; not needed without Flips
}

// Pair is the kernel that turns a Batch into network inputs and targets: pixel p is
// x = (2p−255)/255 (p/127.5 − 1, rounded once), ε is philox.Normal of stream Noise
// at the image's address, step 0. Its output is z; inputs are the target and the
// network times, which are written, and the data set if that is resident.
type Pair struct {
	kernels.Signature
	PairOptions
	batch *Batch
}

// NewPair returns the kernel. Every run reads the batch anew.
func NewPair(o PairOptions, b *Batch) Pair {
	return Pair{kernels.Signature{Name: "draw.pair " + o.Shape.String()}, o, b}
}

// Cost of one launch; a normal number counts as 40 operations.
func (k Pair) Cost([]tensor.Shape, tensor.Shape) kernels.Cost {
	n := int64(k.Images) * int64(k.Values())
	return kernels.Cost{FLOPs: 48 * n, Bytes: 9 * n}
}

// Check reports why a launch would not fit.
func (k Pair) Check(l kernels.Launch) error {
	if err := k.checkBatch(); err != nil {
		return err
	}
	if err := k.Shape.Check(map[string]cpu.Matrix{"z": l.Out.Matrix, "target": l.In[0].Matrix}); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	if n := l.In[1].Cols; n != k.Images {
		return fmt.Errorf("%v: %d times", k, n)
	}
	switch pixels := len(k.pixels(l)); {
	case k.Resident && pixels%k.Values() != 0:
		return fmt.Errorf("%v: a data set of %d bytes, want a multiple of %d", k, pixels, k.Values())
	case !k.Resident && pixels != k.Images*k.Values():
		return fmt.Errorf("%v: %d bytes of pixels, want %d", k, pixels, k.Images*k.Values())
	}
	return nil
}

// checkBatch is the part of Check that does not look at memory.
func (k Pair) checkBatch() error {
	if n := len(k.batch.Images); n != k.Images {
		return fmt.Errorf("%v: a batch of %d images", k, n)
	}
	if k.Flips && (k.Width < 1 || k.Pixels%k.Width != 0) {
		return fmt.Errorf("%v: flips of images %d pixels wide", k, k.Width)
	}
	return nil
}

// pixels are those of a data set, or the batch's own.
func (k Pair) pixels(l kernels.Launch) []byte {
	if k.Resident {
		return l.In[2].Bytes[:l.In[2].Cols]
	}
	return k.batch.Pixels
}

// mirror returns the pixel that lands on pixel p, where the image is flipped.
func (k Pair) mirror(p int) int { return p - p%k.Width + k.Width - 1 - p%k.Width }

// CPU binds the kernel to its operands; it panics where Check reports an error.
func (k Pair) CPU(l kernels.Launch) func(p *cpu.Pool) {
	if err := k.Check(l); err != nil {
		panic(err)
	}
	pixels, z, target, times := k.pixels(l), l.Out.Matrix, l.In[0].Matrix, l.In[1].Data
	task := func(task, _ int) {
		image, from, to := k.Chunk(task)
		if from == 0 {
			times[image] = k.batch.Images[image].Time
		}
		k.pair(pixels, z, target, image, from, to)
	}
	return func(p *cpu.Pool) { p.Run(k.Images*k.Chunks(), task) }
}

// The explicit float32() of each product keeps compilers from fusing it with
// the addition: the same bits everywhere.
func (k Pair) pair(pixels []byte, z, target cpu.Matrix, image, from, to int) {
	var normals [piece]float32
	c := &k.batch.Images[image]
	pixels = pixels[c.Pixels:][:k.Values()]
	flip := k.Flips && c.Flip != 0
	for ; from < to; from += piece {
		noise := normals[:min(piece, to-from)]
		philox.NormalAt(noise, from, k.batch.Seed, philox.Noise, uint64(c.Address), 0)
		pixel, col := from/k.Channels, from%k.Channels
		for len(noise) > 0 {
			n := min(k.Channels-col, len(noise))
			row, at := image*k.Pixels+pixel, pixel
			if flip {
				at = k.mirror(pixel)
			}
			zs, ts, ps := z.Data[row*z.Pitch+col:][:n], target.Data[row*target.Pitch+col:][:n], pixels[at*k.Channels+col:][:n]
			for i, e := range noise[:n] {
				x := values[ps[i]]
				zs[i] = float32(c.Alpha*x) + float32(c.Sigma*e)
				ts[i] = float32(c.A*x) + float32(c.B*e)
			}
			noise, pixel, col = noise[n:], pixel+1, 0
		}
	}
}

// values of a pixel.
var values = func() (v [256]float32) {
	for p := range v {
		v[p] = float32(2*p-255) / 255
	}
	return v
}()
