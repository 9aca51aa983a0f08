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
)

// Shape of a batch of images: NHWC, seen as Images·Pixels rows of Channels.
type Shape struct{ Images, Pixels, Channels int }

// Values of one image.
func (s Shape) Values() int { return s.Pixels * s.Channels }

func (s Shape) String() string { return fmt.Sprintf("%dx%dx%d", s.Images, s.Pixels, s.Channels) }

// Check reports why matrices do not have the shape.
func (s Shape) Check(named map[string]cpu.Matrix) error {
	if s.Images < 1 || s.Pixels < 1 || s.Channels < 1 {
		return fmt.Errorf("shape %v, want positive numbers", s)
	}
	if s.Values() > philox.MaxValues {
		return fmt.Errorf("an image of %d values, philox addresses %d", s.Values(), philox.MaxValues)
	}
	for name, m := range named {
		if m.Rows != s.Images*s.Pixels || m.Cols != s.Channels {
			return fmt.Errorf("%s is a matrix of %d by %d, want %d by %d", name, m.Rows, m.Cols, s.Images*s.Pixels, s.Channels)
		}
		if m.Pitch < m.Cols || len(m.Data) < (m.Rows-1)*m.Pitch+m.Cols {
			return fmt.Errorf("%s has pitch %d and %d floats, too few for %d by %d", name, m.Pitch, len(m.Data), m.Rows, m.Cols)
		}
	}
	return nil
}

const (
	piece = 256        // values drawn at a time, on the stack
	chunk = 16 * piece // values of a task
)

// Chunks returns how many tasks an image is cut into.
func (s Shape) Chunks() int { return (s.Values() + chunk - 1) / chunk }

// Chunk returns the image of a task and its range of values.
func (s Shape) Chunk(task int) (image, from, to int) {
	c := s.Chunks()
	from = task % c * chunk
	return task / c, from, min(from+chunk, s.Values())
}

// Coefficients of one image at its time t: z = Alpha x + Sigma ε is what the
// network sees and A x + B ε what it is to answer (engine/process, Point).
type Coefficients struct{ Alpha, Sigma, A, B, NetworkTime float32 }

// Batch is what changes from step to step. Its slices keep their address.
type Batch struct {
	Seed         uint64
	Pixels       []byte         // NHWC
	Addresses    []int64        // of each image in the stream of images
	Coefficients []Coefficients // of each image

	// Where images come from a whole data set, in Pixels or where the kernel is bound
	// to it: the number of each image in it; nil if image i of the batch is image i of Pixels.
	Sources []int64
	Flips   []bool // of each image: whether to mirror it, left for right; nil for none
}

// Pair is the kernel that turns a Batch into network inputs and targets: pixel
// p is x = (2p−255)/255 (p/127.5 − 1, rounded once), ε is philox.Normal of
// stream Noise at the image's address, step 0.
type Pair struct {
	Shape
	Width int // of an image in pixels; not needed without Flips
}

func (k Pair) String() string { return "draw.pair " + k.Shape.String() }

// Cost of one launch; a normal number counts as 40 operations.
func (k Pair) Cost() kernels.Cost {
	n := int64(k.Images) * int64(k.Values())
	return kernels.Cost{FLOPs: 48 * n, Bytes: 9 * n}
}

// Check reports why a launch would not fit.
func (k Pair) Check(b *Batch, set []byte, z, target cpu.Matrix, times []float32) error {
	pixels := b.pixels(set)
	if err := k.Shape.Check(map[string]cpu.Matrix{"z": z, "target": target}); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	if times != nil && len(times) != k.Images {
		return fmt.Errorf("%v: %d times", k, len(times))
	}
	n := k.Values()
	if b.Sources == nil {
		if n *= k.Images; len(pixels) != n {
			return fmt.Errorf("%v: %d bytes of pixels, want %d", k, len(pixels), n)
		}
	} else if len(pixels)%n != 0 {
		return fmt.Errorf("%v: a data set of %d bytes, want a multiple of %d", k, len(pixels), n)
	}
	return k.checkImages(b)
}

// checkImages is the part of Check that does not look at memory.
func (k Pair) checkImages(b *Batch) error {
	if len(b.Addresses) != k.Images || len(b.Coefficients) != k.Images || b.Sources != nil && len(b.Sources) != k.Images {
		return fmt.Errorf("%v: %d addresses, %d coefficients and %d sources", k, len(b.Addresses), len(b.Coefficients), len(b.Sources))
	}
	if b.Flips != nil && (len(b.Flips) != k.Images || k.Width < 1 || k.Pixels%k.Width != 0) {
		return fmt.Errorf("%v: %d flips of images %d pixels wide", k, len(b.Flips), k.Width)
	}
	return nil
}

// pixels are those of a data set, or the batch's own.
func (b *Batch) pixels(set []byte) []byte {
	if set != nil {
		return set
	}
	return b.Pixels
}

// source is the number of an image in them.
func (b *Batch) source(image int) int {
	if b.Sources == nil {
		return image
	}
	return int(b.Sources[image])
}

// mirror returns the pixel that lands on pixel p, where the image is flipped.
func (k Pair) mirror(p int) int { return p - p%k.Width + k.Width - 1 - p%k.Width }

// CPU binds the kernel to its operands; it panics where Check reports an error.
// Every run reads the batch anew. set is the data set that lies on the device; nil:
// pixels are the batch's. times receives the network times; nil if they are not
// wanted.
func (k Pair) CPU(b *Batch, set []byte, z, target cpu.Matrix, times []float32) func(p *cpu.Pool) {
	if err := k.Check(b, set, z, target, times); err != nil {
		panic(err)
	}
	task := func(task, _ int) {
		image, from, to := k.Chunk(task)
		if times != nil && from == 0 {
			times[image] = b.Coefficients[image].NetworkTime
		}
		k.pair(b, b.pixels(set), z, target, image, from, to)
	}
	return func(p *cpu.Pool) { p.Run(k.Images*k.Chunks(), task) }
}

// The explicit float32() of each product keeps compilers from fusing it with
// the addition: the same bits everywhere.
func (k Pair) pair(b *Batch, pixels []byte, z, target cpu.Matrix, image, from, to int) {
	var normals [piece]float32
	c := b.Coefficients[image]
	pixels = pixels[b.source(image)*k.Values():][:k.Values()]
	flip := b.Flips != nil && b.Flips[image]
	for ; from < to; from += piece {
		noise := normals[:min(piece, to-from)]
		philox.NormalAt(noise, from, b.Seed, philox.Noise, uint64(b.Addresses[image]), 0)
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

// Seeds says which samples a batch makes: image i is the one of number
// Images[i] under Seed, in whatever batch it is made.
type Seeds struct {
	Seed   uint64
	Images []int64
	Scale  float32 // standard deviation of the start, sampler.Table's
}

// Start is the kernel that fills z with the noise sampling starts from:
// Scale·philox.Normal of stream SampleStart at the image's number, step 0.
type Start struct{ Shape }

func (k Start) String() string { return "draw.start " + k.Shape.String() }

// Cost of one launch; a normal number counts as 40 operations.
func (k Start) Cost() kernels.Cost {
	n := int64(k.Images) * int64(k.Values())
	return kernels.Cost{FLOPs: 41 * n, Bytes: 4 * n}
}

// Check reports why a launch would not fit.
func (k Start) Check(s *Seeds, z cpu.Matrix) error {
	if err := k.Shape.Check(map[string]cpu.Matrix{"z": z}); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	if len(s.Images) != k.Images {
		return fmt.Errorf("%v: %d image seeds", k, len(s.Images))
	}
	return nil
}

// CPU binds the kernel to its operands; it panics where Check reports an error.
// Every run reads the seeds anew.
func (k Start) CPU(s *Seeds, z cpu.Matrix) func(p *cpu.Pool) {
	if err := k.Check(s, z); err != nil {
		panic(err)
	}
	task := func(task, _ int) {
		image, from, to := k.Chunk(task)
		k.start(s, z, image, from, to)
	}
	return func(p *cpu.Pool) { p.Run(k.Images*k.Chunks(), task) }
}

func (k Start) start(s *Seeds, z cpu.Matrix, image, from, to int) {
	var normals [piece]float32
	for ; from < to; from += piece {
		noise := normals[:min(piece, to-from)]
		philox.NormalAt(noise, from, s.Seed, philox.SampleStart, uint64(s.Images[image]), 0)
		row, col := image*k.Pixels+from/k.Channels, from%k.Channels
		for len(noise) > 0 {
			n := min(k.Channels-col, len(noise))
			zs := z.Data[row*z.Pitch+col:][:n]
			for i, e := range noise[:n] {
				zs[i] = s.Scale * e
			}
			noise, row, col = noise[n:], row+1, 0
		}
	}
}
