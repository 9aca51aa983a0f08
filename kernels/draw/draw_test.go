package draw

import (
	"math"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/cpu"
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

// matrix of NaN, with a gap after each row and guards around it.
func matrix(s Shape, gap int) cpu.Matrix {
	rows, pitch := s.Images*s.Pixels, s.Channels+gap
	data := make([]float32, rows*pitch+2*7)
	for i := range data {
		data[i] = float32(math.NaN())
	}
	return cpu.Matrix{Data: data[7:], Rows: rows, Cols: s.Channels, Pitch: pitch}
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
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= 5e-7*math.Max(1, math.Abs(w))) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], w)
		}
	}
}

var shapes = []Shape{{1, 1, 1}, {2, 9, 3}, {3, 32 * 32, 3}, {2, 37 * 41, 5}, {1, 3, 700}, {2, 96 * 96, 1}}

func batch(s Shape) *Batch {
	b := &Batch{Seed: 77, Pixels: make([]byte, s.Images*s.Values())}
	for i := range b.Pixels {
		b.Pixels[i] = byte(i * 7)
	}
	for i := range s.Images {
		b.Addresses = append(b.Addresses, int64(1)<<40+int64(5*i))
		at := float32(i+1) / 8
		b.Coefficients = append(b.Coefficients, Coefficients{1 - at, at, -1, 1, 1000 * at})
	}
	return b
}

func TestPair(t *testing.T) {
	for _, s := range shapes {
		for _, gap := range []int{0, 5} {
			k, b := Pair{Shape: s}, batch(s)
			wantZ, wantTarget := k.Reference(b)
			var before []float32
			for _, threads := range []int{1, 3} {
				z, target, times := matrix(s, gap), matrix(s, gap/2), make([]float32, s.Images)
				run, p := k.CPU(b, nil, z, target, times), pool(t, threads)
				run(p)
				run(p)
				compare(t, k.String()+" z", dense(t, z), wantZ)
				compare(t, k.String()+" target", dense(t, target), wantTarget)
				for i, n := range times {
					if n != b.Coefficients[i].NetworkTime {
						t.Errorf("%v: time %v, want %v", k, n, b.Coefficients[i].NetworkTime)
					}
				}
				got := append(dense(t, z), dense(t, target)...)
				if before != nil && !slices.Equal(got, before) {
					t.Errorf("%v: 1 and 3 threads give different bits", k)
				}
				before = got
			}
		}
	}
}

// An image is noised the same in any batch.
func TestPairKnowsNoBatch(t *testing.T) {
	whole := Shape{3, 50, 3}
	b := batch(whole)
	z, target := matrix(whole, 0), matrix(whole, 0)
	Pair{Shape: whole}.CPU(b, nil, z, target, nil)(pool(t, 1))
	one := Shape{1, 50, 3}
	for i := range whole.Images {
		single := &Batch{Seed: b.Seed, Pixels: b.Pixels[i*150:][:150], Addresses: b.Addresses[i:][:1], Coefficients: b.Coefficients[i:][:1]}
		z1, target1 := matrix(one, 0), matrix(one, 0)
		Pair{Shape: one}.CPU(single, nil, z1, target1, nil)(pool(t, 1))
		if !slices.Equal(dense(t, z)[i*150:][:150], dense(t, z1)) || !slices.Equal(dense(t, target)[i*150:][:150], dense(t, target1)) {
			t.Errorf("image %d differs when alone", i)
		}
	}
}

// Images gathered from a data set, some of them mirrored, are those images.
func TestPairFromDataSet(t *testing.T) {
	s, width := Shape{3, 5 * 4, 3}, 5
	set := batch(Shape{7, s.Pixels, s.Channels})
	b := batch(s)
	b.Pixels, b.Sources, b.Flips = set.Pixels, []int64{6, 0, 6}, []bool{false, true, true}
	z, target := matrix(s, 1), matrix(s, 0)
	Pair{s, width}.CPU(b, nil, z, target, nil)(pool(t, 2))
	wantZ, wantTarget := Pair{s, width}.Reference(b)
	compare(t, "z", dense(t, z), wantZ)
	compare(t, "target", dense(t, target), wantTarget)

	plain := batch(s)
	for i, source := range b.Sources {
		image := set.Pixels[int(source)*s.Values():][:s.Values()]
		for y := range s.Pixels / width {
			for x := range width {
				from := x
				if b.Flips[i] {
					from = width - 1 - x
				}
				copy(plain.Pixels[i*s.Values()+(y*width+x)*s.Channels:][:s.Channels], image[(y*width+from)*s.Channels:])
			}
		}
	}
	z2, target2 := matrix(s, 1), matrix(s, 0)
	Pair{Shape: s}.CPU(plain, nil, z2, target2, nil)(pool(t, 1))
	if !slices.Equal(dense(t, z), dense(t, z2)) || !slices.Equal(dense(t, target), dense(t, target2)) {
		t.Error("not the images of the data set")
	}
}

func TestStart(t *testing.T) {
	for _, s := range shapes {
		for _, gap := range []int{0, 5} {
			k, seeds := Start{s}, &Seeds{Seed: 3, Scale: 0.75}
			for i := range s.Images {
				seeds.Images = append(seeds.Images, int64(100-i))
			}
			want := k.Reference(seeds)
			var before []float32
			for _, threads := range []int{1, 3} {
				z := matrix(s, gap)
				k.CPU(seeds, z)(pool(t, threads))
				got := dense(t, z)
				compare(t, k.String(), got, want)
				if before != nil && !slices.Equal(got, before) {
					t.Errorf("%v: 1 and 3 threads give different bits", k)
				}
				before = got
			}
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	s := Shape{2, 64, 3}
	p, z, target := pool(t, 1), matrix(s, 1), matrix(s, 0)
	pair, start := Pair{Shape: s}.CPU(batch(s), nil, z, target, nil), Start{s}.CPU(&Seeds{Images: []int64{1, 2}}, z)
	if n := testing.AllocsPerRun(10, func() { pair(p); start(p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCheck(t *testing.T) {
	s := Shape{2, 9, 3}
	short := batch(s)
	short.Addresses = short.Addresses[:1]
	few := batch(s)
	few.Pixels = few.Pixels[1:]
	small := matrix(s, 0)
	small.Data = small.Data[:10]
	flipped, set := batch(s), batch(s)
	flipped.Flips = []bool{true, false}
	set.Sources, set.Pixels = []int64{0, 0}, set.Pixels[:30]
	for want, err := range map[string]error{
		"0 pixels wide":    Pair{Shape: s}.Check(flipped, nil, matrix(s, 0), matrix(s, 0), nil),
		"4 pixels wide":    Pair{s, 4}.Check(flipped, nil, matrix(s, 0), matrix(s, 0), nil),
		"a data set of 30": Pair{Shape: s}.Check(set, nil, matrix(s, 0), matrix(s, 0), nil),
		"1 addresses":      Pair{Shape: s}.Check(short, nil, matrix(s, 0), matrix(s, 0), nil),
		"53 bytes":         Pair{Shape: s}.Check(few, nil, matrix(s, 0), matrix(s, 0), nil),
		"target is a":      Pair{Shape: s}.Check(batch(s), nil, matrix(s, 0), matrix(Shape{2, 9, 4}, 0), nil),
		"10 floats":        Start{s}.Check(&Seeds{Images: make([]int64, 2)}, small),
		"0 image seeds":    Start{s}.Check(&Seeds{}, matrix(s, 0)),
		"shape 0x1x1":      Start{Shape{0, 1, 1}}.Check(&Seeds{}, small),
		"philox addresse":  Start{Shape{1, 1 << 13, 1<<13 + 1}}.Check(&Seeds{}, small),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := (Pair{Shape: s}).Check(batch(s), nil, matrix(s, 0), matrix(s, 1), nil); err != nil {
		t.Error(err)
	}
}

func BenchmarkPair(b *testing.B) {
	s := Shape{16, 32 * 32, 3}
	p, z, target := pool(b, 1), matrix(s, 0), matrix(s, 0)
	run := Pair{Shape: s}.CPU(batch(s), nil, z, target, nil)
	for b.Loop() {
		run(p)
	}
	b.ReportMetric(float64(b.N)*float64(s.Images*s.Values())/1e6/b.Elapsed().Seconds(), "Mvalues/s")
}
