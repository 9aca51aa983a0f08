package draw

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/tensor"
)

// Head is what the row of a Noise begins with: struct Head of draw.cu.
type Head struct {
	Seed  uint64
	Scale float32 // standard deviation
	Step  uint32  // of the request
}

// NoiseOptions of NewNoise.
type NoiseOptions struct {
	Shape
	Stream uint32 // of package philox
	Of     Distribution
	Guided bool // the network's batch is twice this one, and its second half is to repeat the first
}

// Noise is the kernel that fills its output with noise: Scale times what its distribution
// has of its stream at the image's address, at a step. Image i of the batch has address addresses[i]
// under the seed, so that it has the same noise in whatever batch it is.
type Noise struct {
	kernels.Signature
	NoiseOptions
	head      *Head
	addresses []int64
}

// NewNoise returns the kernel. Every run reads the head and the addresses anew.
func NewNoise(o NoiseOptions, h *Head, addresses []int64) Noise {
	return Noise{kernels.Signature{Name: fmt.Sprintf("draw.noise %v of stream %d", o.Shape, o.Stream)}, o, h, addresses}
}

// Cost of one launch; a normal number counts as 40 operations.
func (k Noise) Cost([]tensor.Shape, tensor.Shape) kernels.Cost {
	n, written := int64(k.Images)*int64(k.Values()), int64(k.Network(k.Guided).Images)*int64(k.Values())
	return kernels.Cost{FLOPs: 41 * n, Bytes: 4 * written}
}

// Check reports why a launch would not fit.
func (k Noise) Check(l kernels.Launch) error {
	if err := k.Network(k.Guided).Check(map[string]cpu.Matrix{"noise": l.Out.Matrix}); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	return k.checkAddresses()
}

func (k Noise) checkAddresses() error {
	if len(k.addresses) != k.Images {
		return fmt.Errorf("%v: addresses of %d images", k, len(k.addresses))
	}
	return nil
}

// CPU binds the kernel to its operands; it panics where Check reports an error.
func (k Noise) CPU(l kernels.Launch) func(p *cpu.Pool) {
	if err := k.Check(l); err != nil {
		panic(err)
	}
	out, second := k.Halves(l.Out.Matrix, k.Guided)
	task := func(task, _ int) {
		image, from, to := k.Chunk(task)
		k.noise(out, image, from, to)
	}
	return Repeat(func(p *cpu.Pool) { p.Run(k.Images*k.Chunks(), task) }, out, second)
}

func (k Noise) noise(out cpu.Matrix, image, from, to int) {
	var normals [piece]float32
	for ; from < to; from += piece {
		noise := normals[:min(piece, to-from)]
		k.Of.At(noise, from, k.head.Seed, k.Stream, uint64(k.addresses[image]), k.head.Step)
		row, col := image*k.Pixels+from/k.Channels, from%k.Channels
		for len(noise) > 0 {
			n := min(k.Channels-col, len(noise))
			es := out.Data[row*out.Pitch+col:][:n]
			for i, e := range noise[:n] {
				es[i] = k.head.Scale * e
			}
			noise, row, col = noise[n:], row+1, 0
		}
	}
}
