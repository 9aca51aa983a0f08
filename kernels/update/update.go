// Package update is the part of a sampling step that follows the network: the update of z
// by the coefficients of a sampler's table. One kernel serves every sampler
// (MATHEMATICS.md, section 6):
//
//	y  = y_u + g (y_c − y_u)          classifier-free guidance, if asked for
//	x̂  = X.Z z + X.Y y, clipped to ±1  if asked for; y is changed to match
//	z' = A z + B y + Σₖ Hₖ hₖ + C ξ
//	h  = K.Z z + K.Y y             kept for later steps: y, or what it says of x, ε, …
//
// and, on the last step, z' as uint8 pixels. ξ is philox.Normal of stream SampleNoise,
// addressed by the number of the image and of the step, so that an image does not depend
// on the batch it is sampled in.
package update

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/draw"
	"fluxion/kernels/philox"
	"fluxion/kernels/row"

	"gorgonia.org/tensor"
)

// MaxHistory is how many outputs of earlier calls a step may combine.
const MaxHistory = 6

// Row is the numbers that change from step to step: struct Row of update.cu.
type Row struct {
	Seed uint64

	A float32 // of z
	B float32 // of this call's output
	C float32 // of the noise; where it is 0, none is drawn

	// Outputs of earlier calls are kept in slots. Slot k is added with coefficient
	// History[k]; then this call's y, guided and clipped, is written to slot Store (−1:
	// to none). sampler.Table.Memory assigns the slots. A sampler that interpolates in
	// another variable than y stores KeepZ z + KeepY y instead, where z is what the
	// network was given; if both are 0, y is stored.
	History      [MaxHistory]float32
	Store        int32
	KeepZ, KeepY float32

	Guidance float32  // g; 1 is the conditional output alone. Used with an unconditional one
	XZ, XY   float32  // x̂ = XZ z + XY y; XY is not 0 where Clip is set
	Clip     row.Flag // clip x̂ to ±1

	Count  uint32   // number of the step in the run, the step of its noise
	Pixels row.Flag // write z' as pixels
}

// Options of New.
type Options struct {
	draw.Shape
	Guided   bool // the network's batch is twice this one: outputs with classes, then those without
	Combined bool // the first half of the output already is the guided y
	Alone    bool // z is not the network's input, and so is not repeated for guidance
}

// Op is the update of a batch. Its output is the network's input, z, in place; under
// guidance the second half repeats the first. Inputs are the network's output, the
// pixels, NHWC, and the slots for outputs of earlier calls; the last two are written.
type Op struct {
	kernels.Signature
	Options
	row    *Row
	images []int64
}

// New returns the kernel. Image i of the batch is the one of number images[i] under
// the seed. Every run reads the row and these numbers anew.
func New(o Options, r *Row, images []int64) Op {
	return Op{kernels.Signature{Name: "update " + o.Shape.String()}, o, r, images}
}

// Inputs before the slots.
const slotsFrom = 2

// Cost of one launch with every part of it in use; a normal number counts as 40
// operations.
func (k Op) Cost(in []tensor.Shape, _ tensor.Shape) kernels.Cost {
	n, h := int64(k.Images)*int64(k.Values()), int64(len(in)-slotsFrom)
	c := kernels.Cost{FLOPs: (45 + 2*h) * n, Bytes: (12+4*h)*n + n} // and the pixels
	if h > 0 {
		c.Bytes += 4 * n // Store
	}
	if k.twice() {
		c.Bytes += 4 * n // the second half of z
	}
	if k.twoOutputs() {
		c.Bytes += 4 * n
	}
	return c
}

// twoOutputs says whether there is an unconditional output to be guided away from.
func (k Op) twoOutputs() bool { return k.Guided && !k.Combined }

// twice says whether there is a second half of z, which repeats the first.
func (k Op) twice() bool { return k.Guided && !k.Alone }

// Check reports why a launch would not fit.
func (k Op) Check(l kernels.Launch) error {
	if err := k.checkNumbers(len(l.In)); err != nil {
		return err
	}
	if err := k.Network(k.twice()).Check(map[string]cpu.Matrix{"z": l.Out.Matrix}); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	if err := k.Network(k.Guided).Check(map[string]cpu.Matrix{"y": l.In[0].Matrix}); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	slots := map[string]cpu.Matrix{}
	for i, h := range l.In[slotsFrom:] {
		slots[fmt.Sprintf("history %d", i)] = h.Matrix
	}
	if err := k.Shape.Check(slots); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	if n := k.Images * k.Values(); l.In[1].Cols != n {
		return fmt.Errorf("%v: %d bytes of pixels, want %d", k, l.In[1].Cols, n)
	}
	return nil
}

// checkNumbers is the part of Check that does not look at memory.
func (k Op) checkNumbers(inputs int) error {
	if slots := inputs - slotsFrom; slots > MaxHistory {
		return fmt.Errorf("%v: %d slots of history, want at most %d", k, slots, MaxHistory)
	}
	if len(k.images) != k.Images {
		return fmt.Errorf("%v: numbers of %d images", k, len(k.images))
	}
	return nil
}

// operands are what the update of a batch reads and writes.
type operands struct {
	z, y          cpu.Matrix
	unconditional cpu.Matrix // Data is nil where there is none
	history       []cpu.Matrix
	pixels        []byte
}

// CPU binds the kernel to its operands; it panics where Check reports an error.
func (k Op) CPU(l kernels.Launch) func(p *cpu.Pool) {
	if err := k.Check(l); err != nil {
		panic(err)
	}
	o := &operands{pixels: l.In[1].Bytes[:l.In[1].Cols]}
	z, second := k.Halves(l.Out.Matrix, k.twice())
	o.z = z
	if o.y, o.unconditional = k.Halves(l.In[0].Matrix, k.Guided); k.Combined {
		o.unconditional = cpu.Matrix{}
	}
	for _, slot := range l.In[slotsFrom:] {
		o.history = append(o.history, slot.Matrix)
	}
	task := func(task, _ int) {
		image, from, to := k.Chunk(task)
		k.update(o, image, from, to)
	}
	return draw.Repeat(func(p *cpu.Pool) { p.Run(k.Images*k.Chunks(), task) }, z, second)
}

const piece = 256 // values at a time: their noise and y lie on the stack

func (k Op) update(o *operands, image, from, to int) {
	var normals, outputs [piece]float32
	s := k.row
	for ; from < to; from += piece {
		noise := normals[:min(piece, to-from)]
		if s.C != 0 {
			philox.NormalAt(noise, from, s.Seed, philox.SampleNoise, uint64(k.images[image]), s.Count)
		}
		at := image*k.Values() + from
		row, col := image*k.Pixels+from/k.Channels, from%k.Channels
		for len(noise) > 0 {
			n := min(k.Channels-col, len(noise))
			z, y := part(o.z, row, col, n), outputs[:n]
			o.output(s, y, z, row, col)
			o.combine(s, y, z, noise[:n], row, col)
			if s.Pixels != 0 {
				for i, v := range z {
					o.pixels[at+i] = Pixel(v)
				}
			}
			noise, at, row, col = noise[n:], at+n, row+1, 0
		}
	}
}

func part(m cpu.Matrix, row, col, n int) []float32 { return m.Data[row*m.Pitch+col:][:n] }

// output is y of this call: guided, and clipped in x̂. A clipped x̂ is turned
// back into the y that gives it at the same z, so that ε̂ and whatever else the
// sampler derives from y agrees with it.
func (o *operands) output(s *Row, y, z []float32, row, col int) {
	copy(y, part(o.y, row, col, len(y)))
	if o.unconditional.Data != nil {
		for i, u := range part(o.unconditional, row, col, len(y)) {
			y[i] = u + float32(s.Guidance*(y[i]-u))
		}
	}
	if s.Clip != 0 {
		for i, v := range y {
			x := float32(s.XZ*z[i]) + float32(s.XY*v)
			if clipped := min(max(x, -1), 1); clipped != x {
				y[i] = v + (clipped-x)/s.XY
			}
		}
	}
}

// combine makes z' and leaves in y what is kept of it. The explicit float32() of each
// product keeps compilers from fusing it with the addition: the same bits everywhere.
func (o *operands) combine(s *Row, y, z, noise []float32, row, col int) {
	convert := s.KeepZ != 0 || s.KeepY != 0
	for i, v := range y {
		seen := z[i]
		z[i] = float32(s.A*seen) + float32(s.B*v)
		if convert {
			y[i] = float32(s.KeepZ*seen) + float32(s.KeepY*v)
		}
	}
	for slot, h := range o.history {
		if c := s.History[slot]; c != 0 {
			for i, v := range part(h, row, col, len(z)) {
				z[i] += float32(c * v)
			}
		}
	}
	if s.Store >= 0 && int(s.Store) < len(o.history) {
		copy(part(o.history[s.Store], row, col, len(y)), y)
	}
	if s.C != 0 {
		for i, e := range noise {
			z[i] += float32(s.C * e)
		}
	}
}

// Pixel is the byte of a value: 127.5 (v+1), clamped to 0 … 255, the nearest
// integer, halves up; NaN is 0. It inverts the kernel draw.Data on every byte.
// diffusers computes round((v/2 + 0.5)·255), which is the same but for rounding
// (halves to even, other float32 roundings on the way): it differs by one on
// values within 1e-4 of a half.
func Pixel(v float32) byte {
	p := float32(127.5 * (v + 1))
	if !(p > 0) {
		return 0
	}
	if p >= 255 {
		return 255
	}
	b := int(p)
	if p-float32(b) >= 0.5 { // exact; adding 0.5 first is not
		b++
	}
	return byte(b)
}
