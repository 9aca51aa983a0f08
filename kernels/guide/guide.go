// Package guide changes a network's output y before the sampler uses it, in the ways that
// need statistics of a whole image (what needs none is done by package update):
//
//	y ← u + g (y − u)                      guidance, away from a second output u
//	y ← φ y std(y before)/std(y) + (1−φ) y  Lin et al. (2024), equations 15, 16
//	x̂ = X.Z z + X.Y y
//	x̂ ← clip(x̂, ±s)/s, s = max(1, percentile of |x̂|)   Saharia et al., "Imagen" (2022), section 2.3
//	x̂ ← clip(x̂, ±1)                                    if asked for
//
// after which y is changed to the value that gives this x̂. Standard deviations and
// percentiles are those of one image, so that an image does not depend on the batch it is
// sampled in. For self-conditioning x̂ can be kept; it is then always clipped to ±1, as in
// training.
package guide

import (
	"fmt"
	"math"
	"slices"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/draw"
	"fluxion/kernels/row"

	"gorgonia.org/tensor"
)

// Row is the numbers that change from step to step: struct Row of guide.cu.
type Row struct {
	Guidance   float32 // g, with a second output
	Rescale    float32 // φ in [0, 1]; 0: none. With a second output only
	Percentile float32 // as a share in (0, 1]; 0: none
	XZ, XY     float32 // x̂ = XZ z + XY y; where XY is 0, x̂ is not limited
	Clip       row.Flag
	_          uint64
}

// Options of New. There is a second output if either of the first two is set.
type Options struct {
	draw.Shape
	Guided bool // the network's batch is twice this one: the second output is its second half
	Second bool // the second output is another network's
	Keep   bool // x̂ is kept, in both halves of the network's batch
}

// Op is the guidance of a batch. Its output is the network's output y, in place;
// inputs are the network's input z, the second network's output if there is one, and
// where x̂ is kept the estimate, which is written.
type Op struct {
	kernels.Signature
	Options
	row *Row
}

// New returns the kernel. Every run reads the row anew.
func New(o Options, r *Row) Op {
	if o.Guided && o.Second {
		panic(fmt.Errorf("guide %v: two second outputs", o.Shape))
	}
	return Op{kernels.Signature{Name: "guide " + o.Shape.String()}, o, r}
}

// Cost of one launch with every part of it in use but the percentile.
func (k Op) Cost([]tensor.Shape, tensor.Shape) kernels.Cost {
	n := int64(k.Images) * int64(k.Values())
	return kernels.Cost{FLOPs: 20 * n, Bytes: 16 * n}
}

// Check reports why a launch would not fit.
func (k Op) Check(l kernels.Launch) error {
	if err := k.checkInputs(len(l.In)); err != nil {
		return err
	}
	whole := map[string]cpu.Matrix{"z": l.In[0].Matrix, "y": l.Out.Matrix}
	if k.Keep {
		whole["x̂"] = l.In[len(l.In)-1].Matrix
	}
	if err := k.Network(k.Guided).Check(whole); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	if !k.Second {
		return nil
	}
	if err := k.Shape.Check(map[string]cpu.Matrix{"the second y": l.In[1].Matrix}); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	return nil
}

// checkInputs is the part of Check that does not look at memory.
func (k Op) checkInputs(n int) error {
	want := 1
	for _, another := range []bool{k.Second, k.Keep} {
		if another {
			want++
		}
	}
	if n != want {
		return fmt.Errorf("%v: %d inputs, want %d", k, n, want)
	}
	return nil
}

// operands are what the guidance of a batch reads and writes.
type operands struct {
	z, y          cpu.Matrix
	unconditional cpu.Matrix    // the second output, u; Data is nil without
	estimates     [2]cpu.Matrix // receive x̂, clipped; Data is nil where there is none
}

// CPU binds the kernel to its operands; it panics where Check reports an error.
func (k Op) CPU(l kernels.Launch) func(p *cpu.Pool) {
	if err := k.Check(l); err != nil {
		panic(err)
	}
	s, o := k.row, &operands{}
	o.z, _ = k.Halves(l.In[0].Matrix, k.Guided)
	o.y, o.unconditional = k.Halves(l.Out.Matrix, k.Guided)
	if k.Second {
		o.unconditional = l.In[1].Matrix
	}
	if k.Keep {
		o.estimates[0], o.estimates[1] = k.Halves(l.In[len(l.In)-1].Matrix, k.Guided)
	}
	magnitudes := make([]float32, k.Images*k.Values())
	task := func(image, _ int) {
		rows := k.rows(image)
		if o.unconditional.Data != nil {
			rows.guide(s, o)
		}
		if s.XY != 0 && (s.Percentile > 0 || s.Clip != 0) {
			limit := float32(1)
			if s.Percentile > 0 {
				limit = rows.limit(s, o, magnitudes[image*k.Values():][:k.Values()])
			}
			rows.clip(s, o, limit)
		}
		for _, e := range o.estimates {
			if e.Data != nil {
				rows.estimate(s, o, e)
			}
		}
	}
	return func(p *cpu.Pool) { p.Run(k.Images, task) }
}

// rows of one image.
type rows struct{ from, to int }

func (k Op) rows(image int) rows { return rows{image * k.Pixels, (image + 1) * k.Pixels} }

// sums are those of values and of their squares.
type sums struct{ first, second float64 }

func (s *sums) add(x float32) {
	s.first += float64(x)
	s.second += float64(x) * float64(x)
}

// spread is the sum of squared deviations of n values.
func (s sums) spread(n float64) float64 { return s.second - s.first*s.first/n }

// The explicit float32() of each product keeps compilers from fusing it with
// the addition: the same bits everywhere.
func (r rows) guide(s *Row, o *operands) {
	var before, after sums
	for i := r.from; i < r.to; i++ {
		y := o.y.Row(i)
		for j, u := range o.unconditional.Row(i) {
			before.add(y[j])
			y[j] = u + float32(s.Guidance*(y[j]-u))
			after.add(y[j])
		}
	}
	if s.Rescale == 0 {
		return
	}
	f := factor(s.Rescale, before, after, float64((r.to-r.from)*o.y.Cols))
	for i := r.from; i < r.to; i++ {
		for j, y := range o.y.Row(i) {
			o.y.Row(i)[j] = f * y
		}
	}
}

// factor of the rescaling; where nothing deviates, nothing is rescaled.
func factor(phi float32, before, after sums, n float64) float32 {
	ratio := math.Sqrt(before.spread(n) / after.spread(n))
	if !(after.spread(n) > 0) || !(before.spread(n) >= 0) {
		ratio = 1
	}
	return float32(float64(phi)*ratio + (1 - float64(phi)))
}

func (s *Row) x(z, y float32) float32 { return float32(s.XZ*z) + float32(s.XY*y) }

// limit is the percentile of |x̂|, interpolated between two values, at least 1.
func (r rows) limit(s *Row, o *operands, magnitudes []float32) float32 {
	n := 0
	for i := r.from; i < r.to; i++ {
		z := o.z.Row(i)
		for j, y := range o.y.Row(i) {
			magnitudes[n] = float32(math.Abs(float64(s.x(z[j], y))))
			n++
		}
	}
	slices.Sort(magnitudes)
	whole, part := math.Modf(float64(s.Percentile) * float64(n-1))
	low := magnitudes[int(whole)]
	high := magnitudes[min(int(whole)+1, n-1)]
	return max(1, low+float32(float32(part)*(high-low)))
}

// clip keeps x̂ within ±limit and divides it by that.
func (r rows) clip(s *Row, o *operands, limit float32) {
	for i := r.from; i < r.to; i++ {
		y, z := o.y.Row(i), o.z.Row(i)
		for j := range y {
			x := s.x(z[j], y[j])
			if to := min(max(x, -limit), limit) / limit; to != x {
				y[j] += (to - x) / s.XY
			}
		}
	}
}

// estimate keeps x̂ within the range of pixels.
func (r rows) estimate(s *Row, o *operands, to cpu.Matrix) {
	for i := r.from; i < r.to; i++ {
		x, y, z := to.Row(i), o.y.Row(i), o.z.Row(i)
		for j := range x {
			x[j] = min(max(s.x(z[j], y[j]), -1), 1)
		}
	}
}
