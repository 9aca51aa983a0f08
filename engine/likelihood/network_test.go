package likelihood

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/process"
	"fluxion/kernels/cuda/driver"
	"fluxion/nets"
	"fluxion/nets/mlp"
	"fluxion/nets/unet"
)

func cpuOf(t *testing.T, threads int) device.Device {
	t.Helper()
	d, err := device.NewCPU(threads, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// small is a UNet with attention, of random weights.
func small(t *testing.T, classes int, change ...func(c *unet.Config)) NetworkOptions {
	t.Helper()
	config, err := unet.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(&config)
	}
	return weighted(config.WithSize(8).WithChannels(1).WithClasses(classes), 8, 8)
}

func perceptron(t *testing.T, estimate bool) NetworkOptions {
	t.Helper()
	n, err := mlp.Default().Fit(nets.Spec{Height: 1, Width: 3, Channels: 2, Estimate: estimate})
	if err != nil {
		t.Fatal(err)
	}
	return weighted(n, 1, 3)
}

func weighted(n nets.Network, height, width int) NetworkOptions {
	params := nets.Params(n)
	weights := make([]float32, nets.FlatSize(params))
	nets.Initialise(params, 1, weights)
	for i := range weights { // layers that begin at zero must matter, too
		weights[i] += float32(i%5)*0.02 - 0.04
	}
	return NetworkOptions{Network: n, Weights: weights, Height: height, Width: width, Batch: 4}
}

// at is a point at which networks are asked, and z a state.
var at = process.Point{Input: 1.25, NetworkTime: 350}

func state(size int) []float64 {
	z := make([]float64, size)
	for k := range z {
		z[k] = math.Sin(float64(k * k))
	}
	return z
}

// along is the direction of a number.
func along(k int, e []float32) { Draws{Seed: 1, Image: int64(k)}.Noise(0, e) }

// products are eᵀJe along some directions, on a device.
func products(t *testing.T, o NetworkOptions, d device.Device, probes int, probe func(int, []float32)) []float64 {
	t.Helper()
	o.Device = d
	n, err := newNetwork(o, true)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	q := &question{points: []process.Point{at}, z: [][]float64{state(n.dims())}, y: make([][]float32, 1), class: 1, probes: probes, probe: probe, traces: make([]float64, probes)}
	ask(t, n, q)
	return q.traces
}

// TestProducts holds the network's products against central differences of its outputs,
// which float32 allows to some 1e-4, for all networks.
func TestProducts(t *testing.T) {
	for name, o := range map[string]NetworkOptions{
		"UNet": small(t, 3), "perceptron": perceptron(t, false), "perceptron with an estimate": perceptron(t, true),
		"UNet that scales and shifts": small(t, 3, func(c *unet.Config) { c.ResnetTimeScaleShift = "scale_shift" }),
		"UNet with an estimate":       small(t, 0, func(c *unet.Config) { *c = c.WithSelfConditioning(true) }),
	} {
		d := cpuOf(t, 2)
		got := products(t, o, d, 5, along)
		o.Device = d
		n, err := newNetwork(o, false)
		if err != nil {
			t.Fatal(err)
		}
		e := make([]float32, n.dims())
		for k := range got {
			along(k, e)
			const h = 0.01
			q := &question{points: []process.Point{at, at}, z: [][]float64{state(n.dims()), state(n.dims())}, y: make([][]float32, 2), class: 1}
			for d, v := range e { // of the input, which is Input z
				q.z[0][d] += h * float64(v) / at.Input
				q.z[1][d] -= h * float64(v) / at.Input
			}
			ask(t, n, q)
			want := 0.0
			for d, v := range e {
				want += float64(v) * (float64(q.y[0][d]) - float64(q.y[1][d])) / (2 * h)
			}
			if math.Abs(got[k]-want) > 2e-3*math.Abs(want)+2e-3 || got[k] == 0 {
				t.Errorf("%s: eᵀJe along %d is %.6g, by differences %.6g", name, k, got[k], want)
			}
		}
		if err := n.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestProductsOnGPU: the simulated GPU's products are the CPU's.
func TestProductsOnGPU(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	t.Setenv(device.Variable, driver.Simulated)
	gpu, err := device.Open("cuda", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer gpu.Close()
	o := small(t, 3)
	o.Batch = 1
	got, want := products(t, o, gpu, 1, along)[0], products(t, o, cpuOf(t, 2), 1, along)[0]
	if math.Abs(got-want) > 1e-4*math.Abs(want) {
		t.Errorf("eᵀJe is %.7g, on the CPU %.7g", got, want)
	}
}

// TestTrace: over all directions of signs, the mean of eᵀJe is what the unit vectors sum to.
func TestTrace(t *testing.T) {
	o, d := perceptron(t, false), cpuOf(t, 1)
	const dims = 6
	mean, trace := 0.0, 0.0
	for _, p := range products(t, o, d, 1<<dims, func(k int, e []float32) {
		for i := range e {
			e[i] = float32(2*(k>>i&1) - 1)
		}
	}) {
		mean += p / (1 << dims)
	}
	for _, p := range products(t, o, d, dims, unit) {
		trace += p
	}
	if math.Abs(mean-trace) > 1e-5*math.Abs(trace) || trace == 0 {
		t.Errorf("the trace is %.8g, the mean over signs %.8g", trace, mean)
	}
}

// TestNothingKnown: a network that says v = 0 takes data for N(0, 1), whatever the path.
func TestNothingKnown(t *testing.T) {
	o := perceptron(t, false)
	clear(o.Weights)
	o.Device, o.Batch = cpuOf(t, 1), 16
	p, err := process.Get("cosine", process.ScheduleOptions{}, "v")
	if err != nil {
		t.Fatal(err)
	}
	x := []float32{0.5, -1.5, 2, 0.25, -0.125, 1}
	squares := 0.0
	for _, v := range x {
		squares += float64(v) * float64(v)
	}
	images := func(yield func(Image, error) bool) { yield(Image{Values: x}, nil) }
	b, err := BoundOf(p)
	if err != nil {
		t.Fatal(err)
	}
	options := Options{
		NetworkOptions: o, Process: p, Solver: solver(t, "rk45"), Steps: Steps{Rtol: 1e-8, Atol: 1e-8}, Bound: b, NoiseLevels: 8_000,
	}
	d, err := Densities(context.Background(), options, images, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Bits(squares/2, len(x)) + Bits(math.Log(2*math.Pi)/2, 1)
	if math.Abs(d.Bits[0]-want) > 1e-6 {
		t.Errorf("%.9g bits, want %.9g", d.Bits[0], want)
	}
	// Its ε̂ is σz, so E(ε−ε̂)² = α⁴ + σ²α²x².
	terms, err := Bounds(context.Background(), options, images, nil)
	if err != nil {
		t.Fatal(err)
	}
	diffusion, n := 0.0, 10_000
	for i := range n {
		lambda, weight := b.At((float64(i) + 0.5) / float64(n))
		alpha, sigma := process.VPPath.At(lambda)
		diffusion += weight * (math.Pow(alpha, 4) + sigma*sigma*alpha*alpha*squares/float64(len(x))) / float64(n)
	}
	if got := terms[0]; math.Abs(got.Diffusion-Bits(diffusion, 1)) > 0.15 || math.Abs(got.Sum()-want) > 0.15 {
		t.Errorf("the bound is %+v, %.5g bits; want diffusion %.5g and %.5g", got, got.Sum(), Bits(diffusion, 1), want)
	}
}

// ask has a question answered.
func ask(t *testing.T, n *network, q *question) {
	t.Helper()
	one := func(yield func(iter.Seq[*question]) bool) {
		yield(func(yield func(*question) bool) { yield(q) })
	}
	if err := n.answer(context.Background(), one, func(int) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// judged are the bits of both ways for images of random bytes.
func judged(t *testing.T, o NetworkOptions, probes int, numbers ...int64) (flows []float64, bounds []Terms) {
	t.Helper()
	p, err := process.Get("cosine", process.ScheduleOptions{}, "v")
	if err != nil {
		t.Fatal(err)
	}
	b, err := BoundOf(p)
	if err != nil {
		t.Fatal(err)
	}
	options := Options{
		NetworkOptions: o, Process: p, Levels: Bytes, Seed: 5, Solver: solver(t, "rk45"), Steps: Steps{Rtol: 1e-3, Atol: 1e-3},
		Probes: probes, Draws: 2, Bound: b, NoiseLevels: 20,
	}
	images := func(yield func(Image, error) bool) {
		pixels := make([]byte, o.Height*o.Width*o.Network.Spec().Channels)
		for _, n := range numbers {
			for k := range pixels {
				pixels[k] = byte(int(n)*37 + k*(k+int(n)))
			}
			if !yield(Image{Number: n, Bytes: pixels, Class: int(n) % 2}, nil) {
				return
			}
		}
	}
	d, err := Densities(context.Background(), options, images, nil)
	if err != nil {
		t.Fatal(err)
	}
	if bounds, err = Bounds(context.Background(), options, images, nil); err != nil {
		t.Fatal(err)
	}
	return d.Bits, bounds
}

// TestAlone: what an image comes to depends on nothing but the image: not on the size
// of batches, its place there, its company, or threads.
func TestAlone(t *testing.T) {
	o := small(t, 3)
	o.Device = cpuOf(t, 1)
	flows, bounds := judged(t, o, 2, 0, 1, 2, 3, 4)
	for _, c := range []struct{ batch, threads int }{{1, 1}, {7, 2}, {64, 3}} {
		o.Batch, o.Device = c.batch, cpuOf(t, c.threads)
		f, b := judged(t, o, 2, 3, 1)
		if want := []float64{flows[3], flows[1]}; !slices.Equal(f, want) {
			t.Errorf("in batches of %d by %d threads flows come to %v, want %v", c.batch, c.threads, f, want)
		}
		if want := []Terms{bounds[3], bounds[1]}; !slices.Equal(b, want) {
			t.Errorf("in batches of %d by %d threads bounds come to %v, want %v", c.batch, c.threads, b, want)
		}
	}
	if flows[0] == flows[1] || bounds[0] == bounds[1] || math.IsNaN(flows[0]+bounds[0].Sum()) {
		t.Errorf("images come to %v and %v", flows, bounds)
	}
}

// TestDensitySumsToOne: that of any network does, over the plane.
func TestDensitySumsToOne(t *testing.T) {
	c := mlp.Default()
	c.HiddenSize, c.NumBlocks = 16, 1
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		t.Fatal(err)
	}
	o := weighted(c, 1, 1)
	o.Device, o.Batch = cpuOf(t, 1), 128
	options := Options{NetworkOptions: o, Process: p, Solver: solver(t, "rk4"), Steps: Steps{Count: 16}}
	const n, side = 41, 12.0
	d, err := Densities(context.Background(), options, func(yield func(Image, error) bool) {
		at := func(i int) float32 { return float32(float64(i)/(n-1)-0.5) * side }
		for i := range n * n {
			if !yield(Image{Number: int64(i), Values: []float32{at(i / n), at(i % n)}}, nil) {
				return
			}
		}
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sum, most := 0.0, 0.0
	for _, bits := range d.Bits {
		p := math.Exp2(-2 * bits)
		sum, most = sum+p*(side/(n-1))*(side/(n-1)), math.Max(most, p)
	}
	if math.Abs(sum-1) > 0.01 || math.Abs(most-1/(2*math.Pi)) < 0.002 {
		t.Errorf("the density sums to %.5f, and is %.4f at most", sum, most)
	}
}

// TestEnds: what ends a judgement is told, and nobody waits.
func TestEnds(t *testing.T) {
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		t.Fatal(err)
	}
	o := perceptron(t, false)
	o.Device = cpuOf(t, 1)
	options := Options{
		NetworkOptions: o, Process: p, Solver: solver(t, "euler"), Steps: Steps{Count: 4}, Draws: 1, Probes: 1,
		Bound: Bound{Max: 5, Min: -5}, NoiseLevels: 20,
	}
	broken, full := errors.New("a broken image"), errors.New("nobody looks")
	image := func(n, values int) func(yield func(Image, error) bool) {
		return func(yield func(Image, error) bool) {
			for i := range n {
				if !yield(Image{Number: int64(i), Values: make([]float32, values)}, nil) {
					return
				}
			}
			yield(Image{}, broken)
		}
	}
	stopped, stop := context.WithCancelCause(context.Background())
	stop(full)
	for name, c := range map[string]struct {
		ctx      context.Context
		images   Images
		progress Progress
		weight   float32
		want     func(err error) bool
	}{
		"the first image is broken": {images: image(0, 6), want: func(err error) bool { return errors.Is(err, broken) }},
		"another is":                {images: image(9, 6), want: func(err error) bool { return errors.Is(err, broken) }},
		"an image of another size":  {images: image(1, 5), want: func(err error) bool { return err != nil && strings.Contains(err.Error(), "5 values") }},
		"it is stopped":             {ctx: stopped, images: image(9, 6), want: func(err error) bool { return errors.Is(err, full) }},
		"progress is not shown":     {images: image(9, 6), progress: func(float64, int64) error { return full }, want: func(err error) bool { return errors.Is(err, full) }},
		"weights are infinite": {images: image(9, 6), weight: float32(math.Inf(1)), want: func(err error) bool {
			var of *NotFiniteError
			return errors.As(err, &of) && strings.HasPrefix(err.Error(), "image 0: ")
		}},
	} {
		if c.ctx == nil {
			c.ctx = context.Background()
		}
		options.Weights = slices.Clone(o.Weights)
		for i := range options.Weights {
			options.Weights[i] += c.weight
		}
		if _, err := Densities(c.ctx, options, c.images, c.progress); !c.want(err) {
			t.Errorf("%s: flows end with %v", name, err)
		}
		if _, err := Bounds(c.ctx, options, c.images, c.progress); !c.want(err) {
			t.Errorf("%s: bounds end with %v", name, err)
		}
	}
}

// TestLevelsAreSpread: those of an image evenly, and where they begin, too.
func TestLevelsAreSpread(t *testing.T) {
	const n, images = 16, 1000
	var begins []float64
	for i := range images {
		d := Draws{Seed: 7, Image: int64(i)}
		var us []float64
		for k := range n {
			us = append(us, d.Level(k, n))
		}
		slices.Sort(us)
		for k, u := range us {
			if u < 0 || u >= 1 || k > 0 && math.Abs(u-us[k-1]-1./n) > 1e-9 {
				t.Fatalf("image %d has levels at %v", i, us)
			}
		}
		begins = append(begins, us[0]*n)
	}
	slices.Sort(begins)
	for i, u := range begins {
		if math.Abs(u-float64(i)/images) > 0.02 {
			t.Fatalf("level %d of %d begins at %g", i, images, u)
		}
	}
}
