package update

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/draw"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
)

// sameBits compares; one NaN is as good as another.
func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if len(got) != len(want) || math.Float32bits(got[i]) != math.Float32bits(w) && (got[i] == got[i] || w == w) {
			t.Fatalf("%s: value %d of %d and %d is %v on the GPU, %v on the CPU", what, i, len(got), len(want), got[i], w)
		}
	}
}

// steps use every part of the kernel.
var steps = map[string]Step{
	"ddim":      {A: 1, B: -0.02, Store: -1},
	"ddpm":      {A: 0.9, B: -0.05, C: 0.3, Store: -1, Count: 7},
	"guided":    {A: 1, B: -0.1, Guidance: 3.5, Store: -1},
	"clipped":   {A: 0.7, B: 0.4, C: 0.1, Clip: true, XZ: 1, XY: -0.8, Store: -1, Count: 1 << 31},
	"multistep": {A: 1.1, B: 0.6, C: 0.2, History: [MaxHistory]float32{0.1, -0.3, 0, 0.05}, Store: 1, Clip: true, XZ: 0.2, XY: 1.5, Guidance: 2},
	"converted": {A: 1.1, B: 0.6, History: [MaxHistory]float32{0, 0, 0.5, 0}, Store: 0, KeepZ: 0.3, KeepY: -1.5},
	"last":      {A: 1, B: -0.5, Pixels: true, Store: -1},
}

// The update on a GPU has the bits of the CPU's: z', history, pixels.
func TestCUDA(t *testing.T) {
	for _, s := range []draw.Shape{{Images: 1, Pixels: 1, Channels: 1}, {Images: 3, Pixels: 35, Channels: 3}, {Images: 2, Pixels: 24 * 32, Channels: 3}} {
		for name, step := range steps {
			for _, gap := range []int{0, 5} {
				t.Run(fmt.Sprint(s, name, gap), func(t *testing.T) { checkCUDA(t, Kernel{s}, step, gap) })
			}
		}
	}
}

func checkCUDA(t *testing.T, k Kernel, step Step, gap int) {
	s := k.Shape
	n := s.Images * s.Values()
	step.Seeds = draw.Seeds{Seed: 5, Images: []int64{9, 1 << 40, 2}[:s.Images]}
	z, y, unconditional := random(n, 1), random(n, 2), random(n, 3)
	z[n/2], y[n/3] = math.NaN(), math.Inf(1)

	g := kerneltest.NewGPU(t, 3)
	on := func(values []float64) cuda.Operand {
		return g.Matrix(number.Float32, s.Images*s.Pixels, s.Channels, gap, values)
	}
	bytes := make([]byte, n)
	device := CUDAOperands{Z: on(z), Y: on(y), Pixels: g.Bytes(bytes)}
	host := Operands{Z: matrix(s, 0, z), Y: matrix(s, 0, y), Pixels: bytes}
	if step.Guidance != 0 {
		device.Unconditional, host.Unconditional = on(unconditional), matrix(s, 0, unconditional)
		device.Second = g.Empty(number.Float32, s.Images*s.Pixels, s.Channels, gap)
	}
	if step.Store >= 0 {
		for i := range uint64(4) {
			h := random(n, 4+i)
			device.History, host.History = append(device.History, on(h)), append(host.History, matrix(s, 0, h))
		}
	}
	before := make([]byte, k.ParameterBytes())
	row := slices.Clone(before)
	k.PutParameters(&Step{A: 100, Seeds: step.Seeds}, before)
	k.PutParameters(&step, row)
	g.Run(k.CUDA(device, g.Parameters(1, before, row))...)
	k.CPU(&step, host)(pool(t, 1))

	want := dense(t, host.Z)
	sameBits(t, "z'", g.Values(device.Z), want)
	if step.Guidance != 0 {
		sameBits(t, "second z'", g.Values(device.Second), want)
	}
	for i, h := range host.History {
		sameBits(t, fmt.Sprint("history ", i), g.Values(device.History[i]), dense(t, h))
	}
	if got := g.Read(device.Pixels, n); !slices.Equal(got, host.Pixels) {
		t.Errorf("pixels differ: %v, want %v", got, host.Pixels)
	}
}

// Every pixel, every half between two of them, what lies beside those, and what
// is no pixel at all become the CPU's bytes.
func TestPixelsCUDA(t *testing.T) {
	values := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e30, -1e30, 1.0001, -1.0001}
	for p := range 512 {
		half := float32(p)/255 - 1
		values = append(values, float64(half), float64(math.Nextafter32(half, 2)), float64(math.Nextafter32(half, -2)))
	}
	for len(values)%4 != 0 {
		values = append(values, 0)
	}
	k := Kernel{draw.Shape{Images: 1, Pixels: len(values), Channels: 1}}
	step := Step{A: 1, Store: -1, Pixels: true, Seeds: draw.Seeds{Images: []int64{0}}}
	row := make([]byte, k.ParameterBytes())
	k.PutParameters(&step, row)
	for _, gap := range []int{0, 1} {
		g := kerneltest.NewGPU(t, 1)
		z := g.Matrix(number.Float32, len(values), 1, gap, values)
		zeros := g.Matrix(number.Float32, len(values), 1, gap, make([]float64, len(values)))
		pixels := g.Alloc(len(values))
		g.Run(k.CUDA(CUDAOperands{Z: z, Y: zeros, Pixels: pixels}, g.Parameters(0, row))...)
		for i, got := range g.Read(pixels, len(values)) {
			if want := Pixel(float32(values[i])); got != want {
				t.Errorf("%v becomes %d, want %d", values[i], got, want)
			}
		}
	}
}

// A launch moves little more than its operands, whole sectors of them: at the
// shape of preset cifar, with noise; with guidance, a slot read and one written.
func TestTrafficCUDA(t *testing.T) {
	k := Kernel{draw.Shape{Images: 2, Pixels: 32 * 32, Channels: 3}}
	n := k.Images * k.Values()
	for moved, step := range map[int]Step{
		12 * n: {A: 1, B: 1, C: 1, Store: -1},
		13 * n: {A: 1, B: 1, Store: -1, Pixels: true},
		28 * n: {A: 1, B: 1, Guidance: 2, Store: 0, History: [MaxHistory]float32{0, 1, 0, 0}},
	} {
		g := kerneltest.NewSimulator(t, 1)
		on := func() cuda.Operand { return g.Matrix(number.Float32, n/3, 3, 0, make([]float64, n)) }
		o := CUDAOperands{Z: on(), Y: on(), Pixels: g.Alloc(n)}
		if step.Guidance != 0 {
			o.Unconditional, o.Second, o.History = on(), on(), []cuda.Operand{on(), on()}
		}
		step.Seeds.Images = []int64{1, 2}
		row := make([]byte, k.ParameterBytes())
		k.PutParameters(&step, row)
		kerneltest.Traffic(t, g.Run(k.CUDA(o, g.Parameters(0, row))...), moved, 1.05)
	}
}
