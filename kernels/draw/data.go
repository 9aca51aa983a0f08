// Package draw makes what a step begins with: the images of a batch as the network
// sees them, from the pixels of a data set, and noise. Noise is addressed by image
// (package philox), so neither the batch nor the number of threads has a part in it.
package draw

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"
	"fluxion/kernels/row"

	"gorgonia.org/tensor"
)

// Image is where an image of a batch comes from: struct Image of draw.cu.
type Image struct {
	From uint64   // its first value among those of the batch or of the data set
	Flip row.Flag // mirror it, left for right
	_    uint32
}

// Batch is what changes from step to step. Its slices keep their length. Pixels are
// NHWC, either as bytes or as they are; of no use where images come from a data set on
// the device.
type Batch struct {
	Images []Image
	Bytes  []byte
	Floats []float32
}

// DataOptions of NewData.
type DataOptions struct {
	Shape
	Stored   number.Type // of a pixel: Uint8 or Float32
	Resident bool        // pixels are those of a data set on the device
	Flips    bool        // some images may be mirrored
	Width    int         // of an image in pixels; not needed without Flips
}

// Data is the kernel whose output is x, the images of a Batch: a byte p is
// x = (2p−255)/255 (p/127.5 − 1, rounded once), a float is x itself. Its input is the
// data set, if that is resident.
type Data struct {
	kernels.Signature
	DataOptions
	batch *Batch
}

// NewData returns the kernel. Every run reads the batch anew.
func NewData(o DataOptions, b *Batch) Data {
	name := fmt.Sprintf("draw.data %v of %v", o.Shape, o.Stored)
	return Data{kernels.Signature{Name: name}, o, b}
}

// Cost of one launch.
func (k Data) Cost([]tensor.Shape, tensor.Shape) kernels.Cost {
	n := int64(k.Images) * int64(k.Values())
	return kernels.Cost{FLOPs: 2 * n, Bytes: int64(4+k.Stored.Size()) * n}
}

// Mixed says that bytes are counted as they are stored.
func (Data) Mixed() {}

// Check reports why a launch would not fit.
func (k Data) Check(l kernels.Launch) error {
	if err := k.checkBatch(); err != nil {
		return err
	}
	if err := k.Shape.Check(map[string]cpu.Matrix{"x": l.Out.Matrix}); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	n := len(k.batch.Bytes)
	if k.Stored == number.Float32 {
		n = len(k.batch.Floats)
	}
	if k.Resident {
		n = l.In[0].Cols
	}
	switch {
	case k.Resident && n%k.Values() != 0:
		return fmt.Errorf("%v: a data set of %d values, want a multiple of %d", k, n, k.Values())
	case !k.Resident && n != k.Images*k.Values():
		return fmt.Errorf("%v: a batch of %d values, want %d", k, n, k.Images*k.Values())
	}
	return nil
}

// checkBatch is the part of Check that does not look at memory.
func (k Data) checkBatch() error {
	if k.Stored != number.Uint8 && k.Stored != number.Float32 {
		return fmt.Errorf("%v: want bytes or floats", k)
	}
	if n := len(k.batch.Images); n != k.Images {
		return fmt.Errorf("%v: a batch of %d images", k, n)
	}
	if k.Flips && (k.Width < 1 || k.Pixels%k.Width != 0) {
		return fmt.Errorf("%v: flips of images %d pixels wide", k, k.Width)
	}
	return nil
}

// mirror returns the pixel that lands on pixel p, where the image is flipped.
func (k Data) mirror(p int) int { return p - p%k.Width + k.Width - 1 - p%k.Width }

// CPU binds the kernel to its operands; it panics where Check reports an error.
func (k Data) CPU(l kernels.Launch) func(p *cpu.Pool) {
	if err := k.Check(l); err != nil {
		panic(err)
	}
	x, bytes, floats := l.Out.Matrix, k.batch.Bytes, k.batch.Floats
	if k.Resident {
		bytes, floats = l.In[0].Bytes, l.In[0].Data
	}
	task := func(task, _ int) {
		image, from, to := k.Chunk(task)
		first := int(k.batch.Images[image].From)
		if k.Stored == number.Float32 {
			k.gather(x, image, from, to, func(x []float32, at int) { copy(x, floats[first+at:]) })
			return
		}
		k.gather(x, image, from, to, func(x []float32, at int) {
			for i, p := range bytes[first+at:][:len(x)] {
				x[i] = values[p]
			}
		})
	}
	return func(p *cpu.Pool) { p.Run(k.Images*k.Chunks(), task) }
}

// gather writes values [from, to) of an image, as many at a time as lie side by side
// there and where they come from.
func (k Data) gather(x cpu.Matrix, image, from, to int, read func(x []float32, at int)) {
	flip := k.Flips && k.batch.Images[image].Flip != 0
	for from < to {
		pixel, col := from/k.Channels, from%k.Channels
		n, at := min(k.Channels-col, to-from), from
		if flip {
			at = k.mirror(pixel)*k.Channels + col
		} else if x.Pitch == k.Channels {
			n = to - from
		}
		read(x.Data[(image*k.Pixels+pixel)*x.Pitch+col:][:n], at)
		from += n
	}
}

// values of a byte.
var values = func() (v [256]float32) {
	for p := range v {
		v[p] = float32(2*p-255) / 255
	}
	return v
}()
