package update

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/cpu"
	"fluxion/kernels/draw"
)

func pool(t testing.TB, threads int) *cpu.Pool {
	t.Helper()
	k, err := cpu.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	p := cpu.NewPool(threads, k)
	t.Cleanup(p.Close)
	return p
}

// matrix holds the values, with a gap of NaN after each row and at the end.
func matrix(s draw.Shape, gap int, values []float64) cpu.Matrix {
	m := cpu.Matrix{Rows: s.Images * s.Pixels, Cols: s.Channels, Pitch: s.Channels + gap}
	m.Data = make([]float32, m.Rows*m.Pitch+7)
	for i := range m.Data {
		m.Data[i] = float32(math.NaN())
	}
	for i, v := range values {
		m.Data[i/m.Cols*m.Pitch+i%m.Cols] = float32(v)
	}
	return m
}

// dense returns a matrix's values and fails where something was written beside them.
func dense(t *testing.T, m cpu.Matrix) (values []float32) {
	t.Helper()
	for i, x := range m.Data {
		if i/m.Pitch < m.Rows && i%m.Pitch < m.Cols {
			values = append(values, x)
		} else if x == x {
			t.Fatalf("wrote %v beside the matrix, at %d", x, i)
		}
	}
	return values
}

func compare(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= 3e-6*math.Max(1, math.Abs(w))) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], w)
		}
	}
}

func random(n int, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(rng.NormFloat64()))
	}
	return v
}

func TestAgainstReference(t *testing.T) {
	steps := map[string]Step{
		"ddim":      {A: 1, B: -0.02, Store: -1},
		"ddpm":      {A: 0.9, B: -0.05, C: 0.3, Store: -1, Count: 7},
		"guided":    {A: 1, B: -0.1, Guidance: 3.5, Store: -1},
		"clipped":   {A: 0.7, B: 0.4, C: 0.1, Clip: true, XZ: 1, XY: -0.8, Store: -1, Count: 1 << 31},
		"multistep": {A: 1.1, B: 0.6, C: 0.2, History: [MaxHistory]float32{0.1, -0.3, 0, 0.05}, Store: 1, Clip: true, XZ: 0.2, XY: 1.5, Guidance: 2},
		"converted": {A: 1.1, B: 0.6, History: [MaxHistory]float32{0.1, -0.3, 0, 0.05}, Store: 1, KeepZ: 0.8, KeepY: -0.4, Clip: true, XZ: 0.2, XY: 1.5},
		"last":      {A: 1, B: -0.5, Pixels: true, Store: -1},
	}
	for _, s := range []draw.Shape{{Images: 1, Pixels: 1, Channels: 1}, {Images: 3, Pixels: 35, Channels: 3},
		{Images: 2, Pixels: 37 * 41, Channels: 5}, {Images: 1, Pixels: 3, Channels: 700}} {
		k, n := Kernel{s}, s.Images*s.Values()
		for name, step := range steps {
			for _, gap := range []int{0, 5} {
				t.Run(fmt.Sprint(s, name, gap), func(t *testing.T) {
					step.Seeds = draw.Seeds{Seed: 5, Images: []int64{9, 1 << 40, 2}[:s.Images]}
					z, y := random(n, 1), random(n, 2)
					var unconditional []float64
					var history [][]float64
					o := Operands{Y: matrix(s, gap, y), Pixels: make([]byte, n)}
					if step.Guidance != 0 {
						unconditional = random(n, 3)
						o.Unconditional = matrix(s, gap, unconditional)
					}
					if step.Store >= 0 {
						for i := range uint64(4) {
							history = append(history, random(n, 4+i))
						}
					}
					var before []float32
					var bytes []byte
					for _, threads := range []int{1, 3} {
						o.Z, o.History = matrix(s, gap, z), nil
						for _, h := range history {
							o.History = append(o.History, matrix(s, gap, h))
						}
						k.CPU(&step, o)(pool(t, threads))
						got := dense(t, o.Z)
						if before != nil && (!slices.Equal(got, before) || !slices.Equal(bytes, o.Pixels)) {
							t.Error("1 and 3 threads give different bits")
						}
						before, bytes = got, slices.Clone(o.Pixels)
					}
					want := k.Reference(&step, z, y, unconditional, history)
					compare(t, "z'", before, z)
					for i, h := range history {
						compare(t, fmt.Sprint("history ", i), dense(t, o.History[i]), h)
					}
					for i, b := range bytes {
						if !step.Pixels {
							want[i] = 0
						}
						if d := int(b) - int(want[i]); d < -1 || d > 1 {
							t.Fatalf("pixel %d is %d, want %d", i, b, want[i])
						}
					}
				})
			}
		}
	}
}

// Clipping decides x̂ and through it what the step gives: with A, B of "return
// x̂", z' is the clipped x̂ itself.
func TestClippedOutput(t *testing.T) {
	s := draw.Shape{Images: 1, Pixels: 100, Channels: 3}
	z, y := random(300, 1), random(300, 2)
	step := Step{A: 1, B: -0.7, XZ: 1, XY: -0.7, Clip: true, Store: -1, Seeds: draw.Seeds{Images: []int64{0}}}
	o := Operands{Z: matrix(s, 0, z), Y: matrix(s, 0, y)}
	Kernel{s}.CPU(&step, o)(pool(t, 1))
	clipped := 0
	for i, got := range dense(t, o.Z) {
		x := z[i] + float64(step.B)*y[i]
		if math.Abs(x) > 1 {
			clipped++
		}
		if want := math.Min(math.Max(x, -1), 1); math.Abs(float64(got)-want) > 1e-6 {
			t.Errorf("x̂ %d is %v, want %v", i, got, want)
		}
	}
	if clipped == 0 {
		t.Error("nothing was clipped")
	}
}

// A sample is the same in any batch.
func TestKnowsNoBatch(t *testing.T) {
	step := Step{A: 0.9, B: 0.1, C: 0.5, Store: -1, Count: 3, Seeds: draw.Seeds{Seed: 1, Images: []int64{4, 5, 6}}}
	whole := draw.Shape{Images: 3, Pixels: 50, Channels: 3}
	z, y := random(450, 1), random(450, 2)
	all := Operands{Z: matrix(whole, 0, z), Y: matrix(whole, 0, y)}
	Kernel{whole}.CPU(&step, all)(pool(t, 1))
	one, single := draw.Shape{Images: 1, Pixels: 50, Channels: 3}, step
	single.Seeds.Images = []int64{5}
	o := Operands{Z: matrix(one, 0, z[150:300]), Y: matrix(one, 0, y[150:300])}
	Kernel{one}.CPU(&single, o)(pool(t, 1))
	if !slices.Equal(dense(t, all.Z)[150:300], dense(t, o.Z)) {
		t.Error("image 5 differs when alone")
	}
}

func TestPixel(t *testing.T) {
	for p := range 256 {
		if got := Pixel(float32(2*p-255) / 255); int(got) != p {
			t.Errorf("pixel %d comes back as %d", p, got)
		}
		if p > 0 { // the half between p−1 and p
			if got := Pixel(float32(2*p-256) / 255 * (1 + 0x1p-20)); math.Abs(float64(got)-float64(p)+0.5) > 0.5 {
				t.Errorf("near %v: %d", float64(p)-0.5, got)
			}
		}
	}
	for v, want := range map[float32]byte{0: 128, -1: 0, 1: 255, -5: 0, 5: 255, float32(math.Inf(1)): 255, float32(math.Inf(-1)): 0, float32(math.NaN()): 0} {
		if got := Pixel(v); got != want {
			t.Errorf("Pixel(%v) = %d, want %d", v, got, want)
		}
	}
	if got := Pixel(-0x1p-23); got != 127 { // just under 127.5
		t.Errorf("just under a half gives %d", got)
	}
}

func TestAllocatesNothing(t *testing.T) {
	s := draw.Shape{Images: 2, Pixels: 64, Channels: 3}
	step := Step{A: 1, B: 1, C: 1, Clip: true, XY: 1, Guidance: 2, Pixels: true, Seeds: draw.Seeds{Images: []int64{1, 2}}}
	v := random(384, 1)
	o := Operands{matrix(s, 0, v), matrix(s, 0, v), matrix(s, 0, v), []cpu.Matrix{matrix(s, 0, v)}, make([]byte, 384)}
	run, p := Kernel{s}.CPU(&step, o), pool(t, 1)
	if n := testing.AllocsPerRun(10, func() { run(p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCheck(t *testing.T) {
	s := draw.Shape{Images: 2, Pixels: 9, Channels: 3}
	k, step := Kernel{s}, &Step{Seeds: draw.Seeds{Images: []int64{1, 2}}}
	m, other := matrix(s, 0, nil), matrix(draw.Shape{Images: 2, Pixels: 9, Channels: 4}, 0, nil)
	for want, err := range map[string]error{
		"y is a matrix":   k.Check(step, Operands{Z: m, Y: other}),
		"unconditional y": k.Check(step, Operands{Z: m, Y: m, Unconditional: other}),
		"history 1":       k.Check(step, Operands{Z: m, Y: m, History: []cpu.Matrix{m, other}}),
		"7 slots":         k.Check(step, Operands{Z: m, Y: m, History: []cpu.Matrix{m, m, m, m, m, m, m}}),
		"3 bytes":         k.Check(step, Operands{Z: m, Y: m, Pixels: make([]byte, 3)}),
		"0 image seeds":   k.Check(&Step{}, Operands{Z: m, Y: m}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := k.Check(step, Operands{Z: m, Y: m}); err != nil {
		t.Error(err)
	}
}

func BenchmarkUpdate(b *testing.B) {
	s := draw.Shape{Images: 16, Pixels: 32 * 32, Channels: 3}
	v := random(s.Images*s.Values(), 1)
	for name, step := range map[string]Step{"ddim": {A: 0.5, B: -0.02, Store: -1}, "ddpm-clipped": {A: 0.5, B: 0.1, C: 0.1, Clip: true, XZ: 1, XY: -0.5, Store: -1}} {
		b.Run(name, func(b *testing.B) {
			step.Seeds.Images = make([]int64, s.Images)
			run, p := Kernel{s}.CPU(&step, Operands{Z: matrix(s, 0, v), Y: matrix(s, 0, v)}), pool(b, 1)
			for b.Loop() {
				run(p)
			}
			b.ReportMetric(float64(b.N)*float64(len(v))/1e6/b.Elapsed().Seconds(), "Mvalues/s")
		})
	}
}
