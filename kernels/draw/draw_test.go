package draw

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
	"fluxion/kernels/philox"
	"fluxion/kernels/row"

	"gorgonia.org/tensor"
)

// The layout of rows is the one that draw.cu declares.
func TestRows(t *testing.T) {
	kerneltest.CheckRow(t, "draw.cu", "Head", Head{})
	kerneltest.CheckRow(t, "draw.cu", "Image", Image{})
}

var (
	shapes = []Shape{{1, 1, 1}, {2, 9, 3}, {3, 16 * 16, 3}, {2, 7 * 12, 5}, {2, 3, 700}, {2, 40 * 40, 1}, {2, 4, 4096}}
	large  = []Shape{{2, 37 * 41, 5}, {1, 96 * 96, 1}} // for the CPU, which cuts them into tasks
)

// width of the rows of images of so many pixels.
func width(pixels int) int {
	for _, w := range []int{16, 12, 9, 41, 40, 3, 4} {
		if pixels%w == 0 {
			return w
		}
	}
	return 1
}

// shape of a tensor of the batch.
func (s Shape) tensor() tensor.Shape { return tensor.Shape{s.Images, s.Pixels, 1, s.Channels} }

// batch of images that lie one behind the other in its pixels.
func batch(s Shape) *Batch {
	b := &Batch{Bytes: make([]byte, s.Images*s.Values()), Floats: make([]float32, s.Images*s.Values())}
	for i := range b.Bytes {
		b.Bytes[i] = byte(i * 7)
		b.Floats[i] = float32(i%97)/48 - 1.0625
	}
	for i := range s.Images {
		b.Images = append(b.Images, Image{From: uint64(i * s.Values())})
	}
	return b
}

func double[T byte | float32](values []T) []float64 {
	d := make([]float64, len(values))
	for i, v := range values {
		d[i] = float64(v)
	}
	return d
}

// launch is one whose pixels are the batch's, or, if the kernel takes them from there,
// those of a data set.
func launch(k Data, set *Batch) kerneltest.Launch {
	pixels := k.batch
	if k.Resident {
		pixels = set
	}
	l := kerneltest.Launch{
		Kernel: k, Within: 5e-7, Bits: true,
		Out: kerneltest.Operand{Shape: k.tensor(), After: k.Reference(pixels.Bytes, pixels.Floats)},
	}
	switch {
	case k.Stored == number.Float32: // which are copied
		l.Within = 0
		if k.Resident {
			l.In = []kerneltest.Operand{{Shape: tensor.Shape{len(set.Floats)}, Before: double(set.Floats)}}
		}
	case k.Resident:
		l.In = []kerneltest.Operand{{Shape: tensor.Shape{len(set.Bytes)}, Type: number.Uint8, Before: double(set.Bytes)}}
	}
	return l
}

// Batches with their pixels and from a data set, mirrored or not, bytes and floats.
func TestData(t *testing.T) {
	used := map[string]bool{}
	for _, s := range slices.Concat(shapes, large) {
		for _, o := range []DataOptions{
			{Stored: number.Uint8}, {Stored: number.Uint8, Flips: true},
			{Stored: number.Uint8, Resident: true}, {Stored: number.Uint8, Resident: true, Flips: true},
			{Flips: true}, {Resident: true},
		} {
			o.Shape, o.Width = s, width(s.Pixels)
			b, set := batch(s), batch(Shape{5, s.Pixels, s.Channels})
			for i := range b.Images {
				if o.Resident {
					b.Images[i].From = uint64([]int{4, 0, 4}[i] * s.Values())
				}
				b.Images[i].Flip = row.If(o.Flips && i != 1)
			}
			k := NewData(o, b)
			t.Logf("%v, %+v", k, o)
			if slices.Contains(large, s) {
				kerneltest.CheckLaunchCPU(t, launch(k, set))
				continue
			}
			for _, f := range kerneltest.CheckLaunch(t, launch(k, set)) {
				used[f] = true
			}
		}
	}
	if len(used) != 4 {
		t.Errorf("tested %v", used)
	}
}

// Every byte has its value rounded once, to the bit.
func TestBytes(t *testing.T) {
	b := &Batch{Images: []Image{{}}}
	var want []float64
	for p := range 256 {
		b.Bytes = append(b.Bytes, byte(p))
		want = append(want, float64(float32(2*p-255)/255))
	}
	l := launch(NewData(DataOptions{Shape: Shape{1, 256, 1}, Stored: number.Uint8}, b), nil)
	l.Out.After, l.Within = want, 0
	kerneltest.CheckLaunch(t, l)
}

// run returns what a launch on the CPU makes.
func run(t testing.TB, k kernels.Kernel, l kernels.Launch) []float32 {
	t.Helper()
	portable, err := cpu.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(1, portable)
	defer pool.Close()
	k.CPU(l)(pool)
	return l.Out.Data
}

// operands of a launch on the CPU.
func operands(s Shape, set []byte) kernels.Launch {
	bytes := kernels.Operand{Type: number.Uint8, Bytes: set}
	bytes.Rows, bytes.Cols, bytes.Pitch = 1, len(set), len(set)
	out := kernels.Operand{Matrix: cpu.Matrix{Data: make([]float32, s.Images*s.Values()), Rows: s.Images * s.Pixels, Cols: s.Channels, Pitch: s.Channels}}
	return kernels.Launch{Out: out, In: []kernels.Operand{bytes}}
}

// Images gathered from a data set, some of them mirrored, are those images.
func TestFromDataSet(t *testing.T) {
	s, width := Shape{3, 5 * 4, 3}, 5
	set := batch(Shape{7, s.Pixels, s.Channels}).Bytes
	b, plain := batch(s), batch(s)
	for i, source := range []int{6, 0, 6} {
		b.Images[i] = Image{From: uint64(source * s.Values()), Flip: row.If(i > 0)}
		image := set[source*s.Values():][:s.Values()]
		for y := range s.Pixels / width {
			for x := range width {
				from := x
				if i > 0 {
					from = width - 1 - x
				}
				copy(plain.Bytes[i*s.Values()+(y*width+x)*s.Channels:][:s.Channels], image[(y*width+from)*s.Channels:])
			}
		}
	}
	x := run(t, NewData(DataOptions{Shape: s, Stored: number.Uint8, Resident: true, Flips: true, Width: width}, b), operands(s, set))
	if !slices.Equal(x, run(t, NewData(DataOptions{Shape: s, Stored: number.Uint8}, plain), operands(s, nil))) {
		t.Error("not the images of the data set")
	}
}

// One kernel bound to two data sets reads each where it was bound to it.
func TestTwoSets(t *testing.T) {
	s := Shape{Images: 2, Pixels: 16, Channels: 3}
	b := batch(s)
	b.Images[0].From, b.Images[1].From = 48, 0
	k := NewData(DataOptions{Shape: s, Stored: number.Uint8, Resident: true}, b)
	g := kerneltest.NewGPU(t, 5)
	to := make([]byte, k.ParameterBytes())
	k.PutParameters(to)
	sets := [][]byte{slices.Clone(b.Bytes), slices.Clone(b.Bytes)}
	slices.Reverse(sets[1])
	var launches []cuda.Launch
	var calls [][]cuda.Call
	for _, pixels := range sets {
		l := cuda.Launch{Out: g.Empty(number.Float32, s.Images*s.Pixels, s.Channels, 0), In: []cuda.Operand{{Address: g.Bytes(pixels)}}, Parameters: g.Parameters(0, to)}
		launches, calls = append(launches, l), append(calls, k.CUDA(l))
	}
	for i, l := range launches {
		g.Run(calls[i]...)
		if !slices.Equal(g.Values(l.Out), run(t, k, operands(s, sets[i]))) {
			t.Errorf("not the images of data set %d", i)
		}
	}
}

func TestNoise(t *testing.T) {
	used := map[string]bool{}
	for _, s := range slices.Concat(shapes, large) {
		for _, o := range []NoiseOptions{{Stream: philox.Noise}, {Stream: philox.SampleStart, Guided: true}, {Of: Uniform}, {Of: Laplace, Guided: true}} {
			o.Shape = s
			var addresses []int64
			for i := range s.Images {
				addresses = append(addresses, int64(1)<<40-int64(5*i))
			}
			k := NewNoise(o, &Head{Seed: 77, Scale: 0.75, Step: 3}, addresses)
			want := k.Reference()
			if o.Guided {
				want = append(want, want...)
			}
			l := kerneltest.Launch{Kernel: k, Out: kerneltest.Operand{Shape: s.Network(o.Guided).tensor(), After: want}, Within: 5e-7, Bits: true}
			if slices.Contains(large, s) {
				kerneltest.CheckLaunchCPU(t, l)
				continue
			}
			for _, f := range kerneltest.CheckLaunch(t, l) {
				used[f] = true
			}
		}
	}
	if len(used) != 6 {
		t.Errorf("tested %v", used)
	}
}

// An image has the same noise in any batch, and the one of its address.
func TestNoiseKnowsNoBatch(t *testing.T) {
	whole, one := Shape{3, 50, 3}, Shape{1, 50, 3}
	h, addresses := &Head{Seed: 5, Scale: 1}, []int64{9, 4, 9}
	all := run(t, NewNoise(NoiseOptions{Shape: whole}, h, addresses), operands(whole, nil))
	for i := range whole.Images {
		single := run(t, NewNoise(NoiseOptions{Shape: one}, h, addresses[i:i+1]), operands(one, nil))
		if !slices.Equal(all[i*150:][:150], single) {
			t.Errorf("image %d differs when alone", i)
		}
	}
	if !slices.Equal(all[:150], all[300:]) || slices.Equal(all[:150], all[150:300]) {
		t.Error("noise is not that of the address")
	}
}

// Launches move little more than their operands, whole sectors of them: at the shape of
// preset cifar, half of the images mirrored.
func TestTrafficCUDA(t *testing.T) {
	s := Shape{2, 32 * 32, 3}
	for _, stored := range []number.Type{number.Uint8, number.Float32} {
		b := batch(s)
		b.Images[1].Flip = 1
		l := launch(NewData(DataOptions{Shape: s, Stored: stored, Flips: true, Width: 32}, b), nil)
		l.Moves = (4 + stored.Size()) * s.Images * s.Values()
		kerneltest.CheckLaunchCUDA(t, l)
	}
	noise := NewNoise(NoiseOptions{Shape: s}, &Head{Scale: 1}, []int64{1, 2})
	kerneltest.CheckLaunchCUDA(t, kerneltest.Launch{
		Kernel: noise, Out: kerneltest.Operand{Shape: s.tensor(), After: noise.Reference()}, Within: 5e-7, Moves: 4 * s.Images * s.Values(),
	})
}

func TestCheck(t *testing.T) {
	s := Shape{2, 9, 3}
	short, few := batch(s), batch(s)
	short.Images, few.Bytes, few.Floats = short.Images[:1], few.Bytes[1:], few.Floats[1:]
	data := func(o DataOptions, b *Batch, l kernels.Launch) error {
		o.Shape = s
		return NewData(o, b).Check(l)
	}
	noise := func(s Shape, guided bool, images int, l kernels.Launch) error {
		return NewNoise(NoiseOptions{Shape: s, Guided: guided}, &Head{}, make([]int64, images)).Check(l)
	}
	l, other, small := operands(s, nil), operands(Shape{2, 9, 4}, nil), operands(s, nil)
	small.Out.Data = small.Out.Data[:10]
	for want, err := range map[string]error{
		"0 pixels wide":       data(DataOptions{Flips: true}, batch(s), l),
		"4 pixels wide":       data(DataOptions{Flips: true, Width: 4}, batch(s), l),
		"a data set of 30":    data(DataOptions{Stored: number.Uint8, Resident: true}, batch(s), operands(s, make([]byte, 30))),
		"a batch of 1 images": data(DataOptions{}, short, l),
		"a batch of 53":       data(DataOptions{Stored: number.Uint8}, few, l),
		"fp32: a batch of 53": data(DataOptions{}, few, l),
		"want bytes or":       data(DataOptions{Stored: number.BFloat16}, batch(s), l),
		"x is a matrix":       data(DataOptions{}, batch(s), other),
		"10 floats":           noise(s, false, 2, small),
		"of 0 images":         noise(s, false, 0, l),
		"want 36 by 3":        noise(s, true, 2, l),
		"shape 0x1x1":         noise(Shape{0, 1, 1}, false, 0, l),
		"philox addresse":     noise(Shape{1, 1 << 13, 1<<13 + 1}, false, 1, l),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := data(DataOptions{Stored: number.Uint8}, batch(s), l); err != nil {
		t.Error(err)
	}
}

// What cannot be launched is refused when it is bound, not on the device.
func TestBindCUDA(t *testing.T) {
	s := Shape{2, 9, 3}
	g := kerneltest.NewGPU(t, 1)
	image, narrow := g.Empty(number.Float32, 18, 3, 0), g.Empty(number.BFloat16, 18, 3, 0)
	for name, bind := range map[string]func(){
		"bf16":        func() { NewData(DataOptions{Shape: s}, batch(s)).CUDA(cuda.Launch{Out: narrow}) },
		"no data set": func() { NewData(DataOptions{Shape: s, Resident: true}, batch(s)).CUDA(cuda.Launch{Out: image}) },
		"shape": func() {
			NewNoise(NoiseOptions{Shape: Shape{1, 9, 3}}, &Head{}, []int64{1}).CUDA(cuda.Launch{Out: image})
		},
		"images of this row": func() { NewData(DataOptions{Shape: Shape{3, 9, 3}}, batch(s)).PutParameters(make([]byte, 1<<12)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no refusal", name)
				}
			}()
			bind()
		}()
	}
}

func Benchmark(b *testing.B) {
	s := Shape{16, 32 * 32, 3}
	portable, err := cpu.Select("portable")
	if err != nil {
		b.Fatal(err)
	}
	pool := cpu.NewPool(1, portable)
	defer pool.Close()
	for _, k := range []kernels.Kernel{NewData(DataOptions{Shape: s, Stored: number.Uint8}, batch(s)), NewNoise(NoiseOptions{Shape: s}, &Head{}, make([]int64, s.Images))} {
		b.Run(fmt.Sprint(k), func(b *testing.B) {
			launch := k.CPU(operands(s, nil))
			for b.Loop() {
				launch(pool)
			}
			b.ReportMetric(float64(b.N)*float64(s.Images*s.Values())/1e6/b.Elapsed().Seconds(), "Mvalues/s")
		})
	}
}

// TestManyImages: a batch of more images than a grid is high can be launched.
func TestManyImages(t *testing.T) {
	s := Shape{kerneltest.Many, 1, 2}
	pixels := &Batch{Images: make([]Image, s.Images), Floats: make([]float32, 2*s.Images)}
	kerneltest.CheckGrid(t, NewData(DataOptions{Shape: s, Width: 1}, pixels), s.tensor())
	kerneltest.CheckGrid(t, NewNoise(NoiseOptions{Shape: s}, &Head{}, make([]int64, s.Images)), s.tensor())
}

// Distributions have mean 0, variance 1 and the fourth moment of their name.
func TestDistributions(t *testing.T) {
	const n = 400_000
	x := make([]float32, n)
	for d, fourth := range map[Distribution]float64{Normal: 3, Uniform: 9. / 5, Laplace: 6} {
		d.At(x, 0, 5, philox.Noise, 2, 0)
		var moments [5]float64
		for _, v := range x {
			p := 1.0
			for k := range moments {
				moments[k] += p / n
				p *= float64(v)
			}
		}
		for k, want := range []float64{1, 0, 1, 0, fourth} {
			if within := []float64{1e-9, 0.01, 0.01, 0.06, 0.12}[k]; math.Abs(moments[k]-want) > within {
				t.Errorf("%s: moment %d is %.4f, want %g", functions[d], k, moments[k], want)
			}
		}
		part := make([]float32, 9)
		if d.At(part, 7, 5, philox.Noise, 2, 0); !slices.Equal(part, x[7:16]) {
			t.Errorf("%s: values 7 to 15 are others when they are drawn alone", functions[d])
		}
	}
}
