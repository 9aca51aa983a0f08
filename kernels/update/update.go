// Package update is the sampler's half of a sampling step as one kernel,
// whatever the sampler (MATHEMATICS.md, section 6):
//
//	y  = y_u + g (y_c − y_u)          classifier-free guidance, if asked for
//	x̂  = X.Z z + X.Y y, clipped to ±1  if asked for; y is changed to match
//	z' = A z + B y + Σₖ Hₖ hₖ + C ξ
//	h  = K.Z z + K.Y y             kept for later steps: y, or what it says of x, ε, …
//
// and on the last step z' as uint8 pixels, too. ξ is philox.Normal of stream
// SampleNoise at the image's number and the step's: a sample does not depend on
// the batch it is made in.
package update

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/draw"
	"fluxion/kernels/philox"
)

// MaxHistory is how many outputs of earlier calls a step may combine.
const MaxHistory = 6

// Step is what changes from step to step.
type Step struct {
	A float32 // of z
	B float32 // of this call's output
	C float32 // of the noise; where it is 0, none is drawn

	// Outputs of earlier calls lie in slots. Slot k enters with coefficient
	// History[k]; then this call's y, guided and clipped, goes to slot Store,
	// −1 for none. Which slots are free is known from the whole run, to
	// sampler.Table.Memory. Where a sampler interpolates in another variable than
	// y, KeepZ z + KeepY y is stored, with z as the network saw it; both 0 keep y.
	History      [MaxHistory]float32
	Store        int
	KeepZ, KeepY float32

	Guidance float32 // g; 1 is the conditional output alone. Used with an unconditional one
	Clip     bool    // clip x̂ to ±1
	XZ, XY   float32 // x̂ = XZ z + XY y; XY is not 0 where Clip is set

	Count  uint32 // number of the step in the run, the step of its noise
	Pixels bool   // write z' as pixels

	Seeds draw.Seeds // images of this batch; Scale is not used
}

// Operands are the addresses of a launch. Z is updated in place.
type Operands struct {
	Z             cpu.Matrix
	Y             cpu.Matrix   // the network's output, conditional if there are two
	Unconditional cpu.Matrix   // Data is nil without guidance
	History       []cpu.Matrix // slots for outputs of earlier calls
	Pixels        []byte       // NHWC; nil if no step writes them
}

// Kernel is the update of a batch.
type Kernel struct{ draw.Shape }

func (k Kernel) String() string { return "update " + k.Shape.String() }

// Cost of one launch with every part of it in use but guidance and pixels; a
// normal number counts as 40 operations.
func (k Kernel) Cost(history int) kernels.Cost {
	n, h := int64(k.Images)*int64(k.Values()), int64(history)
	c := kernels.Cost{FLOPs: (45 + 2*h) * n, Bytes: (12 + 4*h) * n}
	if h > 0 {
		c.Bytes += 4 * n // Store
	}
	return c
}

// Check reports why a launch would not fit.
func (k Kernel) Check(s *Step, o Operands) error {
	named := map[string]cpu.Matrix{"z": o.Z, "y": o.Y}
	if o.Unconditional.Data != nil {
		named["unconditional y"] = o.Unconditional
	}
	for i, h := range o.History {
		named[fmt.Sprintf("history %d", i)] = h
	}
	if err := k.Shape.Check(named); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	if len(o.History) > MaxHistory {
		return fmt.Errorf("%v: %d slots of history, want at most %d", k, len(o.History), MaxHistory)
	}
	if n := k.Images * k.Values(); o.Pixels != nil && len(o.Pixels) != n {
		return fmt.Errorf("%v: %d bytes of pixels, want %d", k, len(o.Pixels), n)
	}
	if len(s.Seeds.Images) != k.Images {
		return fmt.Errorf("%v: %d image seeds", k, len(s.Seeds.Images))
	}
	return nil
}

// CPU binds the kernel to its operands; it panics where Check reports an error.
// Every run reads the step anew.
func (k Kernel) CPU(s *Step, o Operands) func(p *cpu.Pool) {
	if err := k.Check(s, o); err != nil {
		panic(err)
	}
	task := func(task, _ int) {
		image, from, to := k.Chunk(task)
		k.update(s, &o, image, from, to)
	}
	return func(p *cpu.Pool) { p.Run(k.Images*k.Chunks(), task) }
}

const piece = 256 // values at a time: their noise and y lie on the stack

func (k Kernel) update(s *Step, o *Operands, image, from, to int) {
	var normals, outputs [piece]float32
	for ; from < to; from += piece {
		noise := normals[:min(piece, to-from)]
		if s.C != 0 {
			philox.NormalAt(noise, from, s.Seeds.Seed, philox.SampleNoise, uint64(s.Seeds.Images[image]), s.Count)
		}
		at := image*k.Values() + from
		row, col := image*k.Pixels+from/k.Channels, from%k.Channels
		for len(noise) > 0 {
			n := min(k.Channels-col, len(noise))
			z, y := part(o.Z, row, col, n), outputs[:n]
			k.output(s, o, y, z, row, col)
			k.combine(s, o, y, z, noise[:n], row, col)
			if s.Pixels && o.Pixels != nil {
				for i, v := range z {
					o.Pixels[at+i] = Pixel(v)
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
func (Kernel) output(s *Step, o *Operands, y, z []float32, row, col int) {
	copy(y, part(o.Y, row, col, len(y)))
	if o.Unconditional.Data != nil {
		for i, u := range part(o.Unconditional, row, col, len(y)) {
			y[i] = u + float32(s.Guidance*(y[i]-u))
		}
	}
	if s.Clip {
		for i, v := range y {
			x := float32(s.XZ*z[i]) + float32(s.XY*v)
			if clipped := min(max(x, -1), 1); clipped != x {
				y[i] = v + (clipped-x)/s.XY
			}
		}
	}
}

// combine makes z' and leaves in y what is kept of it. The explicit float32() of each product keeps compilers
// from fusing it with the addition: the same bits everywhere.
func (Kernel) combine(s *Step, o *Operands, y, z, noise []float32, row, col int) {
	convert := s.KeepZ != 0 || s.KeepY != 0
	for i, v := range y {
		seen := z[i]
		z[i] = float32(s.A*seen) + float32(s.B*v)
		if convert {
			y[i] = float32(s.KeepZ*seen) + float32(s.KeepY*v)
		}
	}
	for slot, h := range o.History {
		if c := s.History[slot]; c != 0 {
			for i, v := range part(h, row, col, len(z)) {
				z[i] += float32(c * v)
			}
		}
	}
	if s.Store >= 0 && s.Store < len(o.History) {
		copy(part(o.History[s.Store], row, col, len(y)), y)
	}
	if s.C != 0 {
		for i, e := range noise {
			z[i] += float32(s.C * e)
		}
	}
}

// Pixel is the byte of a value: 127.5 (v+1), clamped to 0 … 255, the nearest
// integer, halves up; NaN is 0. It inverts the kernel draw.Pair on every pixel.
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
