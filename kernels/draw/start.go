package draw

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/philox"

	"gorgonia.org/tensor"
)

// StartOptions of NewStart.
type StartOptions struct {
	Shape
	Guided bool // the network's batch is twice this one, and its second half is to repeat the first
}

// Start is the kernel that fills z, its output, with the noise sampling starts from:
// Scale·philox.Normal of stream SampleStart at the image's number, step 0. Image i of
// the batch is the one of number images[i] under the seed, in whatever batch it is made.
type Start struct {
	kernels.Signature
	StartOptions
	head   *Head
	images []int64
}

// NewStart returns the kernel. Every run reads the head and the numbers of the images anew.
func NewStart(o StartOptions, h *Head, images []int64) Start {
	return Start{kernels.Signature{Name: "draw.start " + o.Shape.String()}, o, h, images}
}

// Cost of one launch; a normal number counts as 40 operations.
func (k Start) Cost([]tensor.Shape, tensor.Shape) kernels.Cost {
	n, written := int64(k.Images)*int64(k.Values()), int64(k.Network(k.Guided).Images)*int64(k.Values())
	return kernels.Cost{FLOPs: 41 * n, Bytes: 4 * written}
}

// Check reports why a launch would not fit.
func (k Start) Check(l kernels.Launch) error {
	if err := k.Network(k.Guided).Check(map[string]cpu.Matrix{"z": l.Out.Matrix}); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	return k.checkImages()
}

func (k Start) checkImages() error {
	if len(k.images) != k.Images {
		return fmt.Errorf("%v: numbers of %d images", k, len(k.images))
	}
	return nil
}

// CPU binds the kernel to its operands; it panics where Check reports an error.
func (k Start) CPU(l kernels.Launch) func(p *cpu.Pool) {
	if err := k.Check(l); err != nil {
		panic(err)
	}
	z, second := k.Halves(l.Out.Matrix, k.Guided)
	task := func(task, _ int) {
		image, from, to := k.Chunk(task)
		k.start(z, image, from, to)
	}
	return Repeat(func(p *cpu.Pool) { p.Run(k.Images*k.Chunks(), task) }, z, second)
}

func (k Start) start(z cpu.Matrix, image, from, to int) {
	var normals [piece]float32
	for ; from < to; from += piece {
		noise := normals[:min(piece, to-from)]
		philox.NormalAt(noise, from, k.head.Seed, philox.SampleStart, uint64(k.images[image]), 0)
		row, col := image*k.Pixels+from/k.Channels, from%k.Channels
		for len(noise) > 0 {
			n := min(k.Channels-col, len(noise))
			zs := z.Data[row*z.Pitch+col:][:n]
			for i, e := range noise[:n] {
				zs[i] = k.head.Scale * e
			}
			noise, row, col = noise[n:], row+1, 0
		}
	}
}
