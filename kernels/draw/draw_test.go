package draw

import (
	"slices"
	"strings"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
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
	b := &Batch{Head: Head{Seed: 77}, Pixels: make([]byte, s.Images*s.Values())}
	for i := range b.Pixels {
		b.Pixels[i] = byte(i * 7)
	}
	for i := range s.Images {
		at := float32(i+1) / 8
		b.Images = append(b.Images, Image{
			Address: int64(1)<<40 + int64(5*i), Pixels: uint64(i * s.Values()), Alpha: 1 - at, Sigma: at, A: -1, B: 1, Time: 1000 * at,
		})
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

// pairLaunch is one whose pixels are the batch's, or, if the kernel takes them from
// there, those of a data set.
func pairLaunch(k Pair, set []byte) kerneltest.Launch {
	pixels := k.batch.Pixels
	if k.Resident {
		pixels = set
	}
	z, target := k.Reference(pixels)
	var times []float32
	for _, image := range k.batch.Images {
		times = append(times, image.Time)
	}
	l := kerneltest.Launch{
		Kernel: k, Within: 5e-7, Bits: true,
		In:  []kerneltest.Operand{{Shape: k.tensor(), After: target}, {Shape: tensor.Shape{k.Images}, After: double(times)}},
		Out: kerneltest.Operand{Shape: k.tensor(), After: z},
	}
	if k.Resident {
		l.In = append(l.In, kerneltest.Operand{Shape: tensor.Shape{len(set)}, Type: number.Uint8, Before: double(set)})
	}
	return l
}

// Batches with their pixels and from a data set, mirrored or not.
func TestPair(t *testing.T) {
	used := map[string]bool{}
	for _, s := range slices.Concat(shapes, large) {
		for _, o := range []PairOptions{{}, {Flips: true}, {Resident: true}, {Resident: true, Flips: true}} {
			o.Shape, o.Width = s, width(s.Pixels)
			b, set := batch(s), batch(Shape{5, s.Pixels, s.Channels}).Pixels
			for i := range b.Images {
				if o.Resident {
					b.Images[i].Pixels = uint64([]int{4, 0, 4}[i] * s.Values())
				}
				b.Images[i].Flip = row.If(o.Flips && i != 1)
			}
			k := NewPair(o, b)
			t.Logf("%v, %+v", k, o)
			if slices.Contains(large, s) {
				kerneltest.CheckLaunchCPU(t, pairLaunch(k, set))
				continue
			}
			for _, f := range kerneltest.CheckLaunch(t, pairLaunch(k, set)) {
				used[f] = true
			}
		}
	}
	if len(used) != 2 {
		t.Errorf("tested %v", used)
	}
}

// Every pixel has its value rounded once, to the bit: z is x itself where Alpha is 1.
func TestPixels(t *testing.T) {
	s := Shape{1, 256, 1}
	b := &Batch{Images: []Image{{Alpha: 1}}}
	var want []float64
	for p := range 256 {
		b.Pixels = append(b.Pixels, byte(p))
		want = append(want, float64(float32(2*p-255)/255))
	}
	l := pairLaunch(NewPair(PairOptions{Shape: s}, b), nil)
	l.Out.After, l.Within = want, 0
	kerneltest.CheckLaunch(t, l)
}

// run returns z and target of a launch on the CPU.
func run(t testing.TB, k Pair, set []byte) (z, target []float32) {
	t.Helper()
	portable, err := cpu.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(1, portable)
	defer pool.Close()
	l := operands(k.Shape, set)
	k.CPU(l)(pool)
	return l.Out.Data, l.In[0].Data
}

// operands of a launch on the CPU.
func operands(s Shape, set []byte) kernels.Launch {
	matrix := func(rows, cols int) kernels.Operand {
		return kernels.Operand{Matrix: cpu.Matrix{Data: make([]float32, rows*cols), Rows: rows, Cols: cols, Pitch: cols}}
	}
	bytes := kernels.Operand{Type: number.Uint8, Bytes: set}
	bytes.Rows, bytes.Cols, bytes.Pitch = 1, len(set), len(set)
	image := func() kernels.Operand { return matrix(s.Images*s.Pixels, s.Channels) }
	return kernels.Launch{Out: image(), In: []kernels.Operand{image(), matrix(1, s.Images), bytes}}
}

// An image is noised the same in any batch.
func TestPairKnowsNoBatch(t *testing.T) {
	whole, one := Shape{3, 50, 3}, Shape{1, 50, 3}
	b := batch(whole)
	z, target := run(t, NewPair(PairOptions{Shape: whole}, b), nil)
	for i := range whole.Images {
		single := &Batch{Head: b.Head, Pixels: b.Pixels[i*150:][:150], Images: b.Images[i : i+1 : i+1]}
		single.Images = slices.Clone(single.Images)
		single.Images[0].Pixels = 0
		z1, target1 := run(t, NewPair(PairOptions{Shape: one}, single), nil)
		if !slices.Equal(z[i*150:][:150], z1) || !slices.Equal(target[i*150:][:150], target1) {
			t.Errorf("image %d differs when alone", i)
		}
	}
}

// Images gathered from a data set, some of them mirrored, are those images.
func TestPairFromDataSet(t *testing.T) {
	s, width := Shape{3, 5 * 4, 3}, 5
	set := batch(Shape{7, s.Pixels, s.Channels}).Pixels
	b, plain := batch(s), batch(s)
	for i, source := range []int{6, 0, 6} {
		b.Images[i].Pixels, b.Images[i].Flip = uint64(source*s.Values()), row.If(i > 0)
		image := set[source*s.Values():][:s.Values()]
		for y := range s.Pixels / width {
			for x := range width {
				from := x
				if i > 0 {
					from = width - 1 - x
				}
				copy(plain.Pixels[i*s.Values()+(y*width+x)*s.Channels:][:s.Channels], image[(y*width+from)*s.Channels:])
			}
		}
	}
	z, target := run(t, NewPair(PairOptions{Shape: s, Resident: true, Flips: true, Width: width}, b), set)
	z2, target2 := run(t, NewPair(PairOptions{Shape: s}, plain), nil)
	if !slices.Equal(z, z2) || !slices.Equal(target, target2) {
		t.Error("not the images of the data set")
	}
}

// One kernel bound to two data sets reads each where it was bound to it.
func TestTwoSets(t *testing.T) {
	s := Shape{Images: 2, Pixels: 16, Channels: 3}
	b := batch(s)
	b.Images[0].Pixels, b.Images[1].Pixels = 48, 0
	k := NewPair(PairOptions{Shape: s, Resident: true}, b)
	g := kerneltest.NewGPU(t, 5)
	to := make([]byte, k.ParameterBytes())
	k.PutParameters(to)
	sets := [][]byte{slices.Clone(b.Pixels), slices.Clone(b.Pixels)}
	slices.Reverse(sets[1])
	var launches []cuda.Launch
	var calls [][]cuda.Call
	for _, pixels := range sets {
		image := func() cuda.Operand { return g.Empty(number.Float32, s.Images*s.Pixels, s.Channels, 0) }
		l := cuda.Launch{Out: image(), In: []cuda.Operand{image(), g.Empty(number.Float32, 1, s.Images, 0), {Address: g.Bytes(pixels)}}, Parameters: g.Parameters(0, to)}
		launches, calls = append(launches, l), append(calls, k.CUDA(l))
	}
	for i, l := range launches {
		g.Run(calls[i]...)
		z, target := run(t, k, sets[i])
		if !slices.Equal(g.Values(l.Out), z) || !slices.Equal(g.Values(l.In[0]), target) {
			t.Errorf("not the images of data set %d", i)
		}
	}
}

func TestStart(t *testing.T) {
	used := map[string]bool{}
	for _, s := range slices.Concat(shapes, large) {
		for _, guided := range []bool{false, true} {
			var images []int64
			for i := range s.Images {
				images = append(images, int64(100-i))
			}
			k := NewStart(StartOptions{s, guided}, &Head{Seed: 3, Scale: 0.75}, images)
			want := k.Reference()
			if guided {
				want = append(want, want...)
			}
			l := kerneltest.Launch{Kernel: k, Out: kerneltest.Operand{Shape: s.Network(guided).tensor(), After: want}, Within: 5e-7, Bits: true}
			if slices.Contains(large, s) {
				kerneltest.CheckLaunchCPU(t, l)
				continue
			}
			for _, f := range kerneltest.CheckLaunch(t, l) {
				used[f] = true
			}
		}
	}
	if len(used) != 2 {
		t.Errorf("tested %v", used)
	}
}

// Launches move little more than their operands, whole sectors of them: at the
// shape of preset cifar, half of the images mirrored.
func TestTrafficCUDA(t *testing.T) {
	s := Shape{2, 32 * 32, 3}
	b := batch(s)
	b.Images[1].Flip = 1
	l := pairLaunch(NewPair(PairOptions{Shape: s, Flips: true, Width: 32}, b), nil)
	l.Moves = 9 * s.Images * s.Values()
	kerneltest.CheckLaunchCUDA(t, l)

	start := NewStart(StartOptions{Shape: s}, &Head{Scale: 1}, []int64{1, 2})
	kerneltest.CheckLaunchCUDA(t, kerneltest.Launch{
		Kernel: start, Out: kerneltest.Operand{Shape: s.tensor(), After: start.Reference()}, Within: 5e-7, Moves: 4 * s.Images * s.Values(),
	})
}

func TestCheck(t *testing.T) {
	s := Shape{2, 9, 3}
	short, few := batch(s), batch(s)
	short.Images, few.Pixels = short.Images[:1], few.Pixels[1:]
	pair := func(o PairOptions, b *Batch) Pair {
		o.Shape = s
		return NewPair(o, b)
	}
	start := func(s Shape, guided bool, images int) Start {
		return NewStart(StartOptions{s, guided}, &Head{}, make([]int64, images))
	}
	l, other, small := operands(s, nil), operands(s, nil), operands(s, nil)
	other.In[0] = operands(Shape{2, 9, 4}, nil).Out
	small.Out.Data = small.Out.Data[:10]
	for want, err := range map[string]error{
		"0 pixels wide":       pair(PairOptions{Flips: true}, batch(s)).Check(l),
		"4 pixels wide":       pair(PairOptions{Flips: true, Width: 4}, batch(s)).Check(l),
		"a data set of 30":    pair(PairOptions{Resident: true}, batch(s)).Check(operands(s, make([]byte, 30))),
		"a batch of 1 images": pair(PairOptions{}, short).Check(l),
		"53 bytes":            pair(PairOptions{}, few).Check(l),
		"target is a":         pair(PairOptions{}, batch(s)).Check(other),
		"10 floats":           start(s, false, 2).Check(small),
		"of 0 images":         start(s, false, 0).Check(l),
		"want 36 by 3":        start(s, true, 2).Check(l),
		"shape 0x1x1":         start(Shape{0, 1, 1}, false, 0).Check(l),
		"philox addresse":     start(Shape{1, 1 << 13, 1<<13 + 1}, false, 1).Check(l),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := pair(PairOptions{}, batch(s)).Check(l); err != nil {
		t.Error(err)
	}
}

// What cannot be launched is refused when it is bound, not on the device.
func TestBindCUDA(t *testing.T) {
	s := Shape{2, 9, 3}
	g := kerneltest.NewGPU(t, 1)
	image, times := g.Empty(number.Float32, 18, 3, 0), g.Empty(number.Float32, 1, 2, 0)
	narrow := g.Empty(number.BFloat16, 18, 3, 0)
	for name, bind := range map[string]func(){
		"bf16": func() {
			NewPair(PairOptions{Shape: s}, batch(s)).CUDA(cuda.Launch{Out: narrow, In: []cuda.Operand{image, times}})
		},
		"no data set": func() {
			NewPair(PairOptions{Shape: s, Resident: true}, batch(s)).CUDA(cuda.Launch{Out: image, In: []cuda.Operand{image, times}})
		},
		"shape": func() {
			NewStart(StartOptions{Shape: Shape{1, 9, 3}}, &Head{}, []int64{1}).CUDA(cuda.Launch{Out: image})
		},
		"images of this row": func() { NewPair(PairOptions{Shape: Shape{3, 9, 3}}, batch(s)).PutParameters(make([]byte, 1<<12)) },
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

func BenchmarkPair(b *testing.B) {
	s := Shape{16, 32 * 32, 3}
	portable, err := cpu.Select("portable")
	if err != nil {
		b.Fatal(err)
	}
	pool := cpu.NewPool(1, portable)
	defer pool.Close()
	pair := NewPair(PairOptions{Shape: s}, batch(s)).CPU(operands(s, nil))
	for b.Loop() {
		pair(pool)
	}
	b.ReportMetric(float64(b.N)*float64(s.Images*s.Values())/1e6/b.Elapsed().Seconds(), "Mvalues/s")
}
