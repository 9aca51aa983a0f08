package update

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
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// The layout of a row is the one that update.cu declares.
func TestRow(t *testing.T) { kerneltest.CheckRow(t, "update.cu", "Row", Row{}) }

func random(n int, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(rng.NormFloat64()))
	}
	return v
}

// rows use every part of the kernel.
var rows = map[string]Row{
	"ddim":      {A: 1, B: -0.02, Store: -1},
	"ddpm":      {A: 0.9, B: -0.05, C: 0.3, Store: -1, Count: 7},
	"guided":    {A: 1, B: -0.1, Guidance: 3.5, Store: -1},
	"clipped":   {A: 0.7, B: 0.4, C: 0.1, Clip: 1, XZ: 1, XY: -0.8, Store: -1, Count: 1 << 31},
	"multistep": {A: 1.1, B: 0.6, C: 0.2, History: [MaxHistory]float32{0.1, -0.3, 0, 0.05}, Store: 1, Clip: 1, XZ: 0.2, XY: 1.5, Guidance: 2},
	"converted": {A: 1.1, B: 0.6, History: [MaxHistory]float32{0.1, -0.3, 0.5, 0.05}, Store: 1, KeepZ: 0.8, KeepY: -0.4, Clip: 1, XZ: 0.2, XY: 1.5},
	"last":      {A: 1, B: -0.5, Pixels: 1, Store: -1},
}

// launch of a row on these values of the batch: with two outputs where there is
// guidance, with slots where one is written.
func launch(o Options, r Row, z, y []float64) kerneltest.Launch {
	r.Seed = 5
	k, n := New(o, &r, []int64{9, 1 << 40, 2}[:o.Images]), len(z)
	var unconditional []float64
	if k.twoOutputs() {
		unconditional = random(n, 3)
	}
	var before, history [][]float64
	if r.Store >= 0 {
		for i := range uint64(4) {
			history = append(history, random(n, 4+i))
			before = append(before, slices.Clone(history[i]))
		}
	}
	next := slices.Clone(z)
	pixels := k.Reference(next, y, unconditional, history)
	if r.Pixels == 0 {
		pixels = nil
	}
	other := unconditional
	if other == nil {
		other = random(n, 9) // that nobody reads
	}
	network := func(first, second []float64) []float64 {
		if o.Guided {
			return slices.Concat(first, second)
		}
		return first
	}
	shape := func(s draw.Shape) tensor.Shape { return tensor.Shape{s.Images, s.Pixels, 1, s.Channels} }
	whole := shape(o.Network(o.Guided))
	l := kerneltest.Launch{
		Kernel: k, Within: 3e-6, Bits: true,
		Out: kerneltest.Operand{Shape: whole, Before: network(z, random(n, 8)), After: network(next, next)},
		In: []kerneltest.Operand{
			{Shape: whole, Before: network(y, other)},
			{Shape: tensor.Shape{n}, Type: number.Uint8, Before: make([]float64, n), After: pixels},
		},
	}
	if o.Alone {
		l.Out = kerneltest.Operand{Shape: shape(o.Shape), Before: z, After: next}
	}
	for i, h := range history {
		l.In = append(l.In, kerneltest.Operand{Shape: shape(o.Shape), Before: before[i], After: h})
	}
	return l
}

func TestUpdate(t *testing.T) {
	used := map[string]bool{}
	large := draw.Shape{Images: 2, Pixels: 37 * 41, Channels: 5} // for the CPU, which cuts it into tasks
	for _, s := range []draw.Shape{{Images: 1, Pixels: 1, Channels: 1}, {Images: 3, Pixels: 35, Channels: 3}, {Images: 2, Pixels: 24 * 32, Channels: 3},
		{Images: 1, Pixels: 3, Channels: 700}, large} {
		n := s.Images * s.Values()
		for name, r := range rows {
			for _, o := range []Options{{}, {Combined: true}, {Alone: true}} {
				if o != (Options{}) && r.Guidance == 0 {
					continue
				}
				o.Shape, o.Guided = s, r.Guidance != 0
				t.Logf("%s, %+v", name, o)
				l := launch(o, r, random(n, 1), random(n, 2))
				if s == large {
					kerneltest.CheckLaunchCPU(t, l)
					continue
				}
				for _, f := range kerneltest.CheckLaunch(t, l) {
					used[f] = true
				}
			}
		}
	}
	if len(used) != 2 {
		t.Errorf("tested %v", used)
	}
}

// What is no number stays none, on a GPU as on the CPU; an infinity that is limited
// becomes none; pixels of NaN are 0.
func TestNoNumbers(t *testing.T) {
	s := draw.Shape{Images: 2, Pixels: 24 * 32, Channels: 3}
	n := s.Images * s.Values()
	for name, r := range rows {
		z, y := random(n, 1), random(n, 2)
		z[n/2], y[n/3] = math.NaN(), math.Inf(1)
		t.Log(name)
		l := launch(Options{Shape: s, Guided: r.Guidance != 0}, r, z, y)
		if r.Clip != 0 {
			for at := n / 3; at < len(l.Out.After); at += n {
				l.Out.After[at] = math.NaN()
			}
			if r.Store >= 0 {
				l.In[slotsFrom+int(r.Store)].After[n/3] = math.NaN()
			}
		}
		if r.Pixels != 0 {
			l.In[1].After[n/2] = 0
		}
		kerneltest.CheckLaunch(t, l)
	}
}

// Every pixel, every half between two of them, what lies beside those, and what
// is no pixel at all become the CPU's bytes on a GPU.
func TestPixels(t *testing.T) {
	values := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e30, -1e30, 1.0001, -1.0001}
	for p := range 512 {
		half := float32(p)/255 - 1
		values = append(values, float64(half), float64(math.Nextafter32(half, 2)), float64(math.Nextafter32(half, -2)))
	}
	for len(values)%4 != 0 {
		values = append(values, 0)
	}
	s := draw.Shape{Images: 1, Pixels: len(values), Channels: 1}
	l := launch(Options{Shape: s}, Row{A: 1, Store: -1, Pixels: 1}, values, make([]float64, len(values)))
	for i, v := range values {
		l.In[1].After[i] = float64(Pixel(float32(v)))
	}
	kerneltest.CheckLaunch(t, l)
}

// A launch moves little more than its operands, whole sectors of them: at the
// shape of preset cifar, with noise; with guidance, a slot read and one written.
func TestTrafficCUDA(t *testing.T) {
	s := draw.Shape{Images: 2, Pixels: 32 * 32, Channels: 3}
	n := s.Images * s.Values()
	for moved, r := range map[int]Row{
		12 * n: {A: 1, B: 1, C: 1, Store: -1},
		13 * n: {A: 1, B: 1, Store: -1, Pixels: 1},
		28 * n: {A: 1, B: 1, Guidance: 2, Store: 0, History: [MaxHistory]float32{0, 1, 0, 0}},
	} {
		l := launch(Options{Shape: s, Guided: r.Guidance != 0}, r, random(n, 1), random(n, 2))
		l.Moves = moved
		kerneltest.CheckLaunchCUDA(t, l)
	}
}

// hosted is the operands of a launch on the CPU.
func hosted(s draw.Shape, z, y []float64) kernels.Launch {
	matrix := func(v []float64) kernels.Operand {
		o := kernels.Operand{Matrix: cpu.Matrix{Rows: s.Images * s.Pixels, Cols: s.Channels, Pitch: s.Channels}}
		for _, x := range v {
			o.Data = append(o.Data, float32(x))
		}
		return o
	}
	bytes := kernels.Operand{Matrix: cpu.Matrix{Rows: 1, Cols: len(z), Pitch: len(z)}, Bytes: make([]byte, len(z))}
	return kernels.Launch{Out: matrix(z), In: []kernels.Operand{matrix(y), bytes}}
}

// run returns z' of a launch on the CPU.
func run(t *testing.T, k Op, z, y []float64) []float32 {
	t.Helper()
	portable, err := cpu.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(1, portable)
	defer pool.Close()
	l := hosted(k.Shape, z, y)
	k.CPU(l)(pool)
	return l.Out.Data
}

// Clipping decides x̂ and through it what the step gives: with A, B of "return
// x̂", z' is the clipped x̂ itself.
func TestClippedOutput(t *testing.T) {
	s := draw.Shape{Images: 1, Pixels: 100, Channels: 3}
	z, y := random(300, 1), random(300, 2)
	r := Row{A: 1, B: -0.7, XZ: 1, XY: -0.7, Clip: 1, Store: -1}
	clipped := 0
	for i, got := range run(t, New(Options{Shape: s}, &r, []int64{0}), z, y) {
		x := z[i] + float64(r.B)*y[i]
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
	r := Row{Seed: 1, A: 0.9, B: 0.1, C: 0.5, Store: -1, Count: 3}
	z, y := random(450, 1), random(450, 2)
	all := run(t, New(Options{Shape: draw.Shape{Images: 3, Pixels: 50, Channels: 3}}, &r, []int64{4, 5, 6}), z, y)
	one := run(t, New(Options{Shape: draw.Shape{Images: 1, Pixels: 50, Channels: 3}}, &r, []int64{5}), z[150:300], y[150:300])
	if !slices.Equal(all[150:300], one) {
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

func TestCheck(t *testing.T) {
	s := draw.Shape{Images: 2, Pixels: 9, Channels: 3}
	v := make([]float64, 54)
	k := New(Options{Shape: s}, &Row{}, []int64{1, 2})
	other := hosted(draw.Shape{Images: 2, Pixels: 9, Channels: 4}, make([]float64, 72), v).Out
	with := func(y kernels.Operand, slots ...kernels.Operand) kernels.Launch {
		l := hosted(s, v, v)
		l.In[0], l.In = y, append(l.In, slots...)
		return l
	}
	right := hosted(s, v, v)
	m := right.In[0]
	few := hosted(s, v, v)
	few.In[1].Cols = 3
	for want, err := range map[string]error{
		"y is a matrix": k.Check(with(other)),
		"history 1":     k.Check(with(m, m, other)),
		"7 slots":       k.Check(with(m, m, m, m, m, m, m, m)),
		"3 bytes":       k.Check(few),
		"of 0 images":   New(Options{Shape: s}, &Row{}, nil).Check(right),
		"want 36 by 3":  New(Options{Shape: s, Guided: true}, &Row{}, []int64{1, 2}).Check(right),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := k.Check(right); err != nil {
		t.Error(err)
	}
}

func BenchmarkUpdate(b *testing.B) {
	s := draw.Shape{Images: 16, Pixels: 32 * 32, Channels: 3}
	v := random(s.Images*s.Values(), 1)
	portable, err := cpu.Select("portable")
	if err != nil {
		b.Fatal(err)
	}
	pool := cpu.NewPool(1, portable)
	defer pool.Close()
	for name, r := range map[string]Row{"ddim": {A: 0.5, B: -0.02, Store: -1}, "ddpm-clipped": {A: 0.5, B: 0.1, C: 0.1, Clip: 1, XZ: 1, XY: -0.5, Store: -1}} {
		b.Run(name, func(b *testing.B) {
			update := New(Options{Shape: s}, &r, make([]int64, s.Images)).CPU(hosted(s, v, v))
			for b.Loop() {
				update(pool)
			}
			b.ReportMetric(float64(b.N)*float64(len(v))/1e6/b.Elapsed().Seconds(), "Mvalues/s")
		})
	}
}

// TestManyImages: a batch of more images than a grid is high can be launched.
func TestManyImages(t *testing.T) {
	s := draw.Shape{Images: kerneltest.Many, Pixels: 1, Channels: 2}
	images := tensor.Shape{s.Images, 2}
	k := New(Options{Shape: s}, &Row{Store: -1}, make([]int64, s.Images))
	kerneltest.CheckGrid(t, k, images, images, tensor.Shape{2 * s.Images})
}
