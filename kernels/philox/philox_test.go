package philox

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"testing"
)

func cipher(key [2]uint32, counter [4]uint32) [4]uint32 {
	a, b, c, d := block(key[0], key[1], counter[0], counter[1], counter[2], counter[3])
	return [4]uint32{a, b, c, d}
}

// Uniform fills dst with the first values of a request, which the scale ½ leaves as they are.
func Uniform(dst []float32, seed uint64, stream uint32, address uint64, step uint32) {
	UniformAt(dst, 0, .5, .5, seed, stream, address, step)
}

// Random123's kat_vectors, philox4x32 with 10 rounds.
func TestKnownAnswers(t *testing.T) {
	const f = 0xffffffff
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{f, f, f, f}, [2]uint32{f, f}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := cipher(c.key, c.counter); got != c.want {
			t.Errorf("cipher(%x, %x) = %x, want %x", c.key, c.counter, got, c.want)
		}
	}
}

func TestLayout(t *testing.T) {
	const seed, stream, address, step = 0x0123456789abcdef, 0xfe, 0xfedcba9876543210, 0xdeadbeef
	var got [8]float32
	Uniform(got[:], seed, stream, address, step)
	for i := range got {
		words := cipher([2]uint32{0x89abcdef, 0x01234567}, [4]uint32{0xfe<<24 | uint32(i/4), 0xdeadbeef, 0x76543210, 0xfedcba98})
		if want := float32(words[i%4]>>8|1) / (1 << 24); got[i] != want {
			t.Errorf("value %d is %v, want %v", i, got[i], want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, f := range map[string]func(){
		"stream": func() { Uniform(nil, 0, Streams, 0, 0) },
		"first":  func() { NormalAt(make([]float32, 2), MaxValues-1, 0, 0, 0, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			f()
		})
	}
	NormalAt(make([]float32, 2), MaxValues-2, 0, 0, 0, 0)
}

// The logarithm and the sine pair against float64, on every exponent, every
// octant and the ends.
func TestAgainstFloat64(t *testing.T) {
	words := []uint32{0, 1, 2, math.MaxUint32, math.MaxUint32 - 1, 1<<31 - 1, 1 << 31, 0xb504f333, 0xb504f334}
	for q := range uint32(8) {
		words = append(words, q<<29, q<<29-1, q<<29+1, q<<29+12345)
	}
	for s := range 32 {
		words = append(words, 1<<s, 3<<s, 0xdeadbeef>>s)
	}
	for i := range uint32(500_000) {
		b := cipher([2]uint32{7, 7}, [4]uint32{i})
		words = append(words, b[0])
	}
	var worst struct{ log, angle, normal float64 }
	for i, w := range words {
		u := float32(w)*0x1p-32 + 0x1p-33
		exact := math.Log(float64(u))
		if exact != 0 {
			worst.log = max(worst.log, math.Abs(float64(logarithm(u))-exact)/math.Abs(exact))
		} else if logarithm(u) != 0 {
			t.Errorf("logarithm(1) = %v", logarithm(u))
		}
		v := words[len(words)-1-i]
		sin, cos := sincos(v)
		s, c := math.Sincos(2 * math.Pi * float64(v) * 0x1p-32)
		worst.angle = max(worst.angle, math.Abs(float64(sin)-s), math.Abs(float64(cos)-c))
		x, y := boxMuller(w, v)
		r := math.Sqrt(-2 * exact)
		worst.normal = max(worst.normal, math.Abs(float64(x)-r*c)/max(1, r), math.Abs(float64(y)-r*s)/max(1, r))
	}
	t.Logf("worst errors %+v", worst)
	if worst.log > 1.2e-7 || worst.angle > 1.5e-7 || worst.normal > 2.5e-7 {
		t.Errorf("worst errors %+v", worst)
	}
}

type filler = func(dst []float32, seed uint64, stream uint32, address uint64, step uint32)

// Moments and Kolmogorov-Smirnov of 2²⁰ values taken along each direction in
// which requests are read.
func TestDistribution(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	const n = 1 << 20
	fills := map[string]func(i int, dst []float32, f filler){
		"values": func(i int, dst []float32, f filler) { f(dst, 3, Noise, 0, 0) },
		"addresses": func(i int, dst []float32, f filler) {
			f(dst, 3, Noise, uint64(i), 0)
		},
		"steps": func(i int, dst []float32, f filler) {
			f(dst, 3, SampleNoise, 5, uint32(i))
		},
		"seeds": func(i int, dst []float32, f filler) {
			f(dst, uint64(i), Init, 5, 0)
		},
	}
	for name, fill := range fills {
		length := 8
		if name == "values" {
			length = n
		}
		sample := func(f filler) []float64 {
			single := make([]float32, n)
			for i := 0; i < n; i += length {
				fill(i/length, single[i:i+length], f)
			}
			v := make([]float64, n)
			for i, x := range single {
				v[i] = float64(x)
			}
			return v
		}
		check := func(t *testing.T, v []float64, cdf func(float64) float64, want [4]float64, spread [4]float64) {
			var m [4]float64
			correlation := 0.0
			for i, x := range v {
				for k, p := 0, x; k < 4; k, p = k+1, p*x {
					m[k] += p / n
				}
				if i > 0 {
					correlation += (x - want[0]) * (v[i-1] - want[0]) / n
				}
			}
			for k := range m {
				if d := math.Abs(m[k]-want[k]) / (spread[k] / math.Sqrt(n)); d > 4.5 {
					t.Errorf("moment %d is %v, want %v: %.1f standard errors off", k+1, m[k], want[k], d)
				}
			}
			if d := math.Abs(correlation) * math.Sqrt(n) / (want[1] - want[0]*want[0]); d > 4.5 {
				t.Errorf("correlation of neighbours is %.1f standard errors", d)
			}
			slices.Sort(v)
			ks := 0.0
			for i, x := range v {
				p := cdf(x)
				ks = max(ks, p-float64(i)/n, float64(i+1)/n-p)
			}
			if ks *= math.Sqrt(n); ks > 1.95 { // p = 0.001
				t.Errorf("Kolmogorov-Smirnov statistic %.2f", ks)
			}
		}
		t.Run("normal/"+name, func(t *testing.T) {
			check(t, sample(Normal), func(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) },
				[4]float64{0, 1, 0, 3}, [4]float64{1, math.Sqrt2, math.Sqrt(15), math.Sqrt(96)})
		})
		t.Run("uniform/"+name, func(t *testing.T) {
			v := sample(Uniform)
			check(t, v, func(x float64) float64 { return x }, [4]float64{0.5, 1. / 3, 0.25, 0.2},
				[4]float64{math.Sqrt(1. / 12), math.Sqrt(4. / 45), math.Sqrt(9. / 112), math.Sqrt(16. / 225)})
			if v[0] <= 0 || v[n-1] >= 1 {
				t.Errorf("range [%v, %v]", v[0], v[n-1])
			}
		})
	}
}

func TestPrefix(t *testing.T) {
	whole := make([]float32, 67)
	for name, f := range map[string]filler{"Uniform": Uniform, "Normal": Normal} {
		f(whole, 1, Noise, 2, 3)
		for n := range len(whole) {
			part := make([]float32, n+1)
			part[n] = 99
			f(part[:n], 1, Noise, 2, 3)
			if !slices.Equal(part[:n], whole[:n]) || part[n] != 99 {
				t.Errorf("%s of %d values differs from the first of %d", name, n, len(whole))
			}
		}
	}
	Normal(whole, 1, Noise, 2, 3)
	for first := range len(whole) {
		for n := range len(whole) - first + 1 {
			part := make([]float32, n)
			NormalAt(part, first, 1, Noise, 2, 3)
			if !slices.Equal(part, whole[first:first+n]) {
				t.Errorf("values %d to %d differ", first, first+n)
			}
		}
	}
}

func TestHostValues(t *testing.T) {
	const n = 1 << 16
	mean := 0.0
	for i := range uint64(n) {
		u := Uniform64(1, Time, i, 0)
		if u <= 0 || u >= 1 {
			t.Fatalf("Uniform64 = %v", u)
		}
		mean += u / n
	}
	if math.Abs(mean-0.5) > 4.5*math.Sqrt(1./12/n) {
		t.Errorf("mean %v", mean)
	}
}

// Every machine and device must give these bits. The hash is FNV-1a over the
// little-endian bits of 10⁶ normals.
func TestGoldenBits(t *testing.T) {
	v := make([]float32, 1_000_000)
	Normal(v, 0x0123456789abcdef, SampleNoise, 0xfedcba9876543210, 42)
	h := fnv.New64a()
	for _, x := range v {
		b := math.Float32bits(x)
		h.Write([]byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24)})
	}
	got := fmt.Sprintf("%08x %016x", math.Float32bits(v[0]), h.Sum64())
	if want := "3f64d173 cad038c408c85bc6"; got != want {
		t.Errorf("bits %s, want %s", got, want)
	}
}

func TestAllocatesNothing(t *testing.T) {
	v := make([]float32, 1003)
	if n := testing.AllocsPerRun(10, func() {
		Normal(v, 1, Noise, 2, 3)
		Uniform(v, 1, Noise, 2, 3)
		NormalAt(v, 3, 1, Noise, 2, 3)
		var onStack [256]float32 // as the kernels that make noise have it
		NormalAt(onStack[:], 3, 1, Noise, 2, 3)
		UniformAt(onStack[:], 3, 1, 2, 1, Noise, 2, 3)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNormal(b *testing.B) {
	v := make([]float32, 3*32*32)
	for b.Loop() {
		Normal(v, 1, Noise, 2, 3)
	}
	b.ReportMetric(float64(b.N)*float64(len(v))/1e6/b.Elapsed().Seconds(), "M/s")
}

func BenchmarkUniform(b *testing.B) {
	v := make([]float32, 3*32*32)
	for b.Loop() {
		Uniform(v, 1, Noise, 2, 3)
	}
	b.ReportMetric(float64(b.N)*float64(len(v))/1e6/b.Elapsed().Seconds(), "M/s")
}
