package guide

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/draw"
	"fluxion/kernels/kerneltest"

	"gorgonia.org/tensor"
)

// The layout of a row is the one that guide.cu declares.
func TestRow(t *testing.T) { kerneltest.CheckRow(t, "guide.cu", "Row", Row{}) }

// guiding uses every part of the kernel.
var guiding = map[string]Row{
	"guided":    {Guidance: 3.5},
	"rescaled":  {Guidance: 3.5, Rescale: 0.7},
	"threshold": {Guidance: 2, Percentile: 0.9, XZ: 1, XY: -0.8},
	"largest":   {Guidance: 2, Percentile: 1, XZ: 1, XY: -0.8},
	"clipped":   {Guidance: 1, Clip: 1, XZ: 0.4, XY: 1.5},
	"all":       {Guidance: 4, Rescale: 0.3, Percentile: 0.77, XZ: 0.3, XY: 0.9},
	"clean":     {Guidance: 4, Percentile: 0.77, XZ: 1},
}

func random(n int, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(rng.NormFloat64()))
	}
	return v
}

// launch of a row, with a second output as the options have it.
func launch(o Options, r Row) kerneltest.Launch {
	k, n := New(o, &r), o.Images*o.Values()
	z, y, u := random(n, 1), random(n, 2), random(n, 3)
	want := slices.Clone(y)
	var second []float64
	if o.Guided || o.Second {
		second = u
	}
	estimate := k.Reference(z, want, second)
	network := func(first, second []float64) []float64 {
		if o.Guided {
			return slices.Concat(first, second)
		}
		return first
	}
	shape := func(s draw.Shape) tensor.Shape { return tensor.Shape{s.Images, s.Pixels, 1, s.Channels} }
	whole := shape(o.Network(o.Guided))
	l := kerneltest.Launch{
		Kernel: k, Within: 1e-5, Bits: r.Rescale == 0, // sums of whole images are added in another order on a GPU
		Out: kerneltest.Operand{Shape: whole, Before: network(y, u), After: network(want, u)},
		In:  []kerneltest.Operand{{Shape: whole, Before: network(z, random(n, 4))}}, // the second half of z is not read
	}
	if o.Second {
		l.In = append(l.In, kerneltest.Operand{Shape: shape(o.Shape), Before: u})
	}
	if o.Keep {
		l.In = append(l.In, kerneltest.Operand{Shape: whole, After: network(estimate, estimate)})
	}
	return l
}

// With a second output, in the network's batch or of another network, and without;
// keeping x̂ or not.
func TestGuide(t *testing.T) {
	used := map[string]bool{}
	for _, s := range []draw.Shape{{Images: 1, Pixels: 1, Channels: 1}, {Images: 3, Pixels: 35, Channels: 3}, {Images: 2, Pixels: 24 * 32, Channels: 3}} {
		for name, r := range guiding {
			for _, o := range []Options{{Guided: true}, {Guided: true, Keep: true}, {Second: true, Keep: true}, {Keep: true}} {
				if !o.Guided && !o.Second && (r.Rescale > 0 || r.Guidance != 1) { // needs a second output
					continue
				}
				o.Shape = s
				t.Logf("%s, %+v", name, o)
				for _, f := range kerneltest.CheckLaunch(t, launch(o, r)) {
					used[f] = true
				}
			}
		}
	}
	if len(used) != 2 {
		t.Errorf("tested %v", used)
	}
}

// What the papers say of their methods.
func TestMethods(t *testing.T) {
	reference := func(r Row, z, y, u []float64) []float64 {
		return New(Options{Shape: draw.Shape{Images: 1, Pixels: 500, Channels: 1}}, &r).Reference(z, y, u)
	}
	z, y, u := random(500, 1), random(500, 2), random(500, 3)
	before := deviation(y)
	reference(Row{Guidance: 5, Rescale: 1}, z, y, u)
	if after := deviation(y); math.Abs(after-before) > 1e-9 {
		t.Errorf("rescaled by φ = 1, the deviation is %v, want %v", after, before)
	}
	x := reference(Row{Percentile: 0.9, XZ: 1, XY: -3}, z, y, nil)
	edge := 0
	for _, v := range x {
		if math.Abs(v) > 1 {
			t.Fatalf("x̂ = %v", v)
		}
		if math.Abs(v) == 1 {
			edge++
		}
	}
	if edge != 50 {
		t.Errorf("%d of 500 values at the edge, want a tenth", edge)
	}
}

func TestCheck(t *testing.T) {
	s := draw.Shape{Images: 2, Pixels: 9, Channels: 3}
	matrix := func(channels int) kernels.Operand {
		return kernels.Operand{Matrix: cpu.Matrix{Data: make([]float32, 18*channels), Rows: 18, Cols: channels, Pitch: channels}}
	}
	right, other := matrix(3), matrix(4)
	for want, err := range map[string]error{
		"1 inputs, want 2": New(Options{Shape: s, Keep: true}, &Row{}).Check(kernels.Launch{Out: right, In: []kernels.Operand{right}}),
		"y is a matrix":    New(Options{Shape: s}, &Row{}).Check(kernels.Launch{Out: other, In: []kernels.Operand{right}}),
		"the second y is":  New(Options{Shape: s, Second: true}, &Row{}).Check(kernels.Launch{Out: right, In: []kernels.Operand{right, other}}),
		"x̂ is a matrix":   New(Options{Shape: s, Keep: true}, &Row{}).Check(kernels.Launch{Out: right, In: []kernels.Operand{right, other}}),
		"want 36 by 3":     New(Options{Shape: s, Guided: true}, &Row{}).Check(kernels.Launch{Out: right, In: []kernels.Operand{right}}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := New(Options{Shape: s, Second: true}, &Row{}).Check(kernels.Launch{Out: right, In: []kernels.Operand{right, right}}); err != nil {
		t.Error(err)
	}
}
