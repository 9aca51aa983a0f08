package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// budget is the largest relative L2 error.
const budget = 1e-6

// forEach runs a test for every instruction set of the machine.
func forEach(t *testing.T, f func(t *testing.T, k *Kernels)) {
	for _, k := range available() {
		t.Run(k.Name, func(t *testing.T) { f(t, k) })
	}
}

// guarded is a matrix of random numbers in memory that is poisoned around it.
func guarded(rng *rand.Rand, rows, cols, pitch int) Matrix {
	data := make([]float32, rows*pitch+cols+64)
	for i := range data {
		data[i] = float32(math.NaN())
	}
	m := Matrix{data[32:], rows, cols, pitch}
	for r := range rows {
		for c := range cols {
			m.Data[r*pitch+c] = float32(rng.NormFloat64())
		}
	}
	return m
}

func vector(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

// clone copies a matrix with what is around it.
func (m MatrixOf[T]) clone() MatrixOf[T] {
	m.Data = slices.Clone(m.Data)
	return m
}

// compare holds a result against float64 and what was around it against poison.
func compare(t *testing.T, what string, got Matrix, want func(r, c int) float64) {
	t.Helper()
	diff, norm := 0.0, 0.0
	for i, x := range got.Data {
		r, c := i/got.Pitch, i%got.Pitch
		if r >= got.Rows || c >= got.Cols {
			if !math.IsNaN(float64(x)) {
				t.Fatalf("%s: wrote behind row %d, column %d", what, r, c)
			}
			continue
		}
		w := want(r, c)
		diff += (float64(x) - w) * (float64(x) - w)
		norm += w * w
	}
	if e := math.Sqrt(diff) / max(math.Sqrt(norm), 1e-30); !(e <= budget) && diff != 0 {
		t.Errorf("%s: relative error %.3g", what, e)
	}
}

// TestVectors runs every vector kernel on odd sizes against float64.
func TestVectors(t *testing.T) {
	forEach(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, cols := range []int{1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 63, 70} {
			for _, rows := range []int{0, 1, 2, 7} {
				for _, gap := range []int{0, 3} {
					name := fmt.Sprintf("%d×%d+%d ", rows, cols, gap)
					make := func() Matrix { return guarded(rng, rows, cols, cols+gap) }
					x, y := make(), make()
					a, b := vector(rng, cols), vector(rng, cols)
					at := func(m Matrix, i, c int) float64 { return float64(m.Data[i*m.Pitch+c]) }
					out := make()
					check := func(what string, want func(i, c int) float64) { t.Helper(); compare(t, name+what, out, want) }

					k.Add(out, x, y)
					check("Add", func(i, c int) float64 { return at(x, i, c) + at(y, i, c) })
					k.Copy(out, x)
					check("Copy", func(i, c int) float64 { return at(x, i, c) })
					k.Scale(out, x, 0.3)
					check("Scale", func(i, c int) float64 { return float64(float32(0.3)) * at(x, i, c) })
					k.Clip(out, x, 0.5)
					check("Clip", func(i, c int) float64 { return min(max(at(x, i, c), 0), 0.5) })
					k.Larger(out, x, y)
					check("Larger", func(i, c int) float64 { return max(at(x, i, c), at(y, i, c)) })
					k.ExpColumns(out, x, 0.7, b)
					check("ExpColumns", func(i, c int) float64 { return math.Exp(float64(float32(0.7))*at(x, i, c) - float64(b[c])) })
					k.SoftmaxGradColumns(out, x, y, a, b)
					check("SoftmaxGradColumns", func(i, c int) float64 { return at(x, i, c) * (at(y, i, c) - float64(a[c])) * float64(b[c]) })
					s, f := vector(rng, rows+1), vector(rng, rows+1)
					k.ScaleRows(out, x, s)
					check("ScaleRows", func(i, c int) float64 { return at(x, i, c) * float64(s[i]) })
					k.ExpRows(out, x, 0.7, s, f)
					check("ExpRows", func(i, c int) float64 {
						return math.Exp(float64(float32(0.7))*at(x, i, c)-float64(s[i])) * float64(f[i])
					})
					k.SoftmaxGradRows(out, x, y, s, 0.7)
					check("SoftmaxGradRows", func(i, c int) float64 {
						return at(x, i, c) * (at(y, i, c) - float64(s[i])) * float64(float32(0.7))
					})
					most := guarded(rng, 1, cols, cols)
					before := most.clone()
					k.ColMax(most.Data, x)
					compare(t, name+"ColMax", most, func(_, c int) float64 {
						m := at(before, 0, c)
						for i := range rows {
							m = max(m, at(x, i, c))
						}
						return m
					})
				}
			}
		}
	})
}

// TestNaN: what is no number stays none, on every instruction set; zeros keep their bits.
func TestNaN(t *testing.T) {
	nan, zero := float32(math.NaN()), float32(math.Copysign(0, -1))
	forEach(t, func(t *testing.T, k *Kernels) {
		row := func(x ...float32) Matrix { return Matrix{x, 1, len(x), len(x)} }
		clipped, larger := row(make([]float32, 5)...), row(make([]float32, 5)...)
		k.Clip(clipped, row(nan, -nan, 7, -7, zero), 6)
		k.Larger(larger, row(nan, 1, 2, nan, zero), row(1, nan, 3, nan, zero))
		for i, want := range []bool{true, true, false, false, false} {
			if x := clipped.Data[i]; x != x != want {
				t.Errorf("clip %d is %v", i, x)
			}
		}
		if clipped.Data[2] != 6 || math.Float32bits(clipped.Data[4]) != math.Float32bits(zero) {
			t.Errorf("clipped: %v", clipped.Data)
		}
		for i, want := range []bool{true, true, false, true, false} {
			if x := larger.Data[i]; x != x != want {
				t.Errorf("the larger of %d is %v", i, x)
			}
		}
		if larger.Data[2] != 3 {
			t.Errorf("larger: %v", larger.Data)
		}
	})
}

func TestRows(t *testing.T) {
	forEach(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, n := range []int{1, 2, 7, 8, 9, 16, 17, 33, 70, 5000} {
			a, b := vector(rng, n), vector(rng, n)
			dot := 0.0
			for c := range n {
				dot += float64(a[c]) * float64(b[c])
			}
			if got := k.Dot(a, b); math.Abs(got-dot) > 2e-6*math.Sqrt(float64(n)) {
				t.Errorf("%d: Dot %v, want %v", n, got, dot)
			}
		}
	})
}

// TestExtremes: exponentials that overflow or vanish, and numbers that are none.
func TestExtremes(t *testing.T) {
	forEach(t, func(t *testing.T, k *Kernels) {
		inf, nan := math.Inf(1), math.NaN()
		x := []float32{-1e4, -200, -87, -1, 0, 1, 88, 200, 1e4, float32(nan)}
		out := make([]float32, len(x))
		exp := func(dst, x []float32) {
			row := func(v []float32) Matrix { return Matrix{v, 1, len(v), len(v)} }
			k.ExpRows(row(dst), row(x), 1, []float32{0}, []float32{1})
		}
		exp(out, x)
		for i, want := range []float64{0, 0, math.Exp(-87), math.Exp(-1), 1, math.E, math.Exp(88), inf, inf, nan} {
			if got := float64(out[i]); math.IsNaN(want) != math.IsNaN(got) || math.IsInf(want, 0) != math.IsInf(got, 0) || math.Abs(got-want) > 3e-7*want {
				t.Errorf("exp(%v) = %v, want %v", x[i], got, want)
			}
		}
		one, zero := []float32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, make([]float32, 10)
		m := Matrix{x, 1, len(x), len(x)}
		k.AffineSiLU(Matrix{out, 1, len(x), len(x)}, m, one, zero)
		for i, want := range []float64{0, 0, silu64(-87), silu64(-1), 0, silu64(1), 88, 200, 1e4, nan} {
			if got := float64(out[i]); math.IsNaN(want) != math.IsNaN(got) || math.Abs(got-want) > 3e-7*math.Abs(want)+1e-35 {
				t.Errorf("silu(%v) = %v, want %v", x[i], got, want)
			}
		}
		worst, worstAt := 0.0, float32(0)
		in, res := []float32{0}, []float32{0}
		for in[0] = -87; in[0] < 88.7; in[0] += 0.00123 {
			exp(res, in)
			want := math.Exp(float64(in[0]))
			ulp := float64(math.Nextafter32(float32(want), float32(inf))) - float64(float32(want))
			if e := math.Abs(float64(res[0])-want) / ulp; e > worst {
				worst, worstAt = e, in[0]
			}
		}
		t.Logf("exp is off by at most %.2f units in the last place", worst)
		if worst > 1.5 {
			t.Errorf("exp(%v) is off by %.2f units in the last place", worstAt, worst)
		}
	})
}

// TestPosition: the bits of an element do not depend on where work is cut.
func TestPosition(t *testing.T) {
	forEach(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(5, 6))
		const n = 45
		var v [8][]float32
		for i := range v {
			v[i] = vector(rng, n)
		}
		h := &AdamW{LR: 0.1, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.01, C1: 1.2, C2: 3, GradScale: 0.5, EMADecay: 0.9}
		m := func(v []float32) Matrix { return Matrix{v, 1, len(v), len(v)} }
		// Each writes to o; v are as many inputs as it likes.
		for name, f := range map[string]func(o []float32, v [8][]float32){
			"Add":        func(o []float32, v [8][]float32) { k.Add(m(o), m(v[0]), m(v[1])) },
			"Copy":       func(o []float32, v [8][]float32) { k.Copy(m(o), m(v[0])) },
			"Scale":      func(o []float32, v [8][]float32) { k.Scale(m(o), m(v[0]), 0.3) },
			"Clip":       func(o []float32, v [8][]float32) { k.Clip(m(o), m(v[0]), 0.5) },
			"Larger":     func(o []float32, v [8][]float32) { k.Larger(m(o), m(v[0]), m(v[1])) },
			"ExpColumns": func(o []float32, v [8][]float32) { k.ExpColumns(m(o), m(v[0]), 0.7, v[1]) },
			"SoftmaxGradColumns": func(o []float32, v [8][]float32) {
				k.SoftmaxGradColumns(m(o), m(v[0]), m(v[1]), v[2], v[3])
			},
			"ExpRows":         func(o []float32, v [8][]float32) { k.ExpRows(m(o), m(v[0]), 0.7, []float32{1.5}, []float32{3}) },
			"SoftmaxGradRows": func(o []float32, v [8][]float32) { k.SoftmaxGradRows(m(o), m(v[0]), m(v[1]), []float32{0.25}, 0.5) },
			"AdamW": func(o []float32, v [8][]float32) {
				squares := make([]float32, len(o))
				k.Affine(m(squares), m(v[3]), v[3], make([]float32, len(o)))
				copy(o, v[0])
				k.AdamW(h, o, v[1], slices.Clone(v[2]), squares, nil)
			},
			"AdamW's average": func(o []float32, v [8][]float32) {
				squares := make([]float32, len(o))
				k.Affine(m(squares), m(v[3]), v[3], make([]float32, len(o)))
				copy(o, v[4])
				k.AdamW(h, slices.Clone(v[0]), v[1], slices.Clone(v[2]), squares, o)
			},
		} {
			whole := make([]float32, n)
			f(whole, v)
			for from := range n {
				parts := make([]float32, n)
				var head, tail [8][]float32
				for i := range v {
					head[i], tail[i] = v[i][:from], v[i][from:]
				}
				f(parts[:from], head)
				f(parts[from:], tail)
				if !slices.Equal(parts, whole) {
					t.Fatalf("%s cut at %d gives other bits", name, from)
				}
			}
		}
	})
}

// TestAdamW against the formulas of its documentation in float64.
func TestAdamW(t *testing.T) {
	forEach(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(11, 12))
		h := &AdamW{LR: 0.1, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.01, C1: 1.2, C2: 3, GradScale: 0.5, EMADecay: 0.9}
		for _, n := range []int{1, 7, 8, 9, 16, 33, 70} {
			for _, averaged := range []bool{false, true} {
				p, m, v, ema := guarded(rng, 1, n, n), guarded(rng, 1, n, n), guarded(rng, 1, n, n), guarded(rng, 1, n, n)
				for i, x := range v.Data[:n] {
					v.Data[i] = x * x
				}
				g, p0, m0, v0, ema0 := vector(rng, n), p.clone(), m.clone(), v.clone(), ema.clone()
				average := ema.Data[:n]
				if !averaged {
					average = nil
				}
				k.AdamW(h, p.Data[:n], g, m.Data[:n], v.Data[:n], average)
				f := func(x float32) float64 { return float64(x) }
				e := func(c int) float64 { return f(g[c]) * f(h.GradScale) }
				wantM := func(_, c int) float64 { return f(h.Beta1)*f(m0.Data[c]) + (1-f(h.Beta1))*e(c) }
				wantV := func(_, c int) float64 { return f(h.Beta2)*f(v0.Data[c]) + (1-f(h.Beta2))*e(c)*e(c) }
				wantP := func(_, c int) float64 {
					step := wantM(0, c)*f(h.C1)/(math.Sqrt(wantV(0, c)*f(h.C2))+f(h.Eps)) + f(h.WeightDecay)*f(p0.Data[c])
					return f(p0.Data[c]) - f(h.LR)*step
				}
				compare(t, "first moment", m, wantM)
				compare(t, "second moment", v, wantV)
				compare(t, "parameters", p, wantP)
				compare(t, "average", ema, func(_, c int) float64 {
					if !averaged {
						return f(ema0.Data[c])
					}
					return f(ema0.Data[c]) + (1-f(h.EMADecay))*(wantP(0, c)-f(ema0.Data[c]))
				})
			}
		}
	})
}

// TestTile runs the matrix micro-kernels over all their shapes.
func TestTile(t *testing.T) {
	forEach(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(7, 8))
		for width := k.Lanes; width <= k.TileCols; width += k.Lanes {
			for rows := 1; rows <= TileRows; rows++ {
				for _, taps := range []int{0, 1, 2, 9} {
					for _, depth := range []int{1, 2, 3, 16, 37} {
						for mode := range 4 { // plain, bias, bias and addend, accumulate
							testTile(t, k, rng, rows, width, taps, depth, mode)
						}
					}
				}
			}
		}
	})
}

func testTile(t *testing.T, k *Kernels, rng *rand.Rand, rows, width, taps, depth, mode int) {
	t.Helper()
	a, b := vector(rng, (taps+rows)*depth+1), vector(rng, taps*depth*width+1)
	c, add := guarded(rng, rows, width, width+3), guarded(rng, rows, width, width+1)
	before, bias := c.clone(), vector(rng, width)
	as, bs := make([]uintptr, taps*TileRows+1), make([]uintptr, taps+1)
	row := func(tap, i int) []float32 { return a[(tap+i)*depth:] }
	for tap := range taps {
		bs[tap] = uintptr(pointer(b[tap*depth*width:]))
		for i := range TileRows {
			as[tap*TileRows+i] = uintptr(pointer(row(tap, min(i, rows-1))))
		}
	}
	tile := &Tile{
		A: unsafe.SliceData(as), B: unsafe.SliceData(bs), Taps: taps, Depth: depth, BPitch: 4 * width,
		C: uintptr(pointer(c.Data)), CPitch: 4 * c.Pitch, Rows: rows, Width: width,
	}
	switch mode {
	case 3:
		tile.Accumulate = 1
	case 2:
		tile.Add, tile.AddPitch = uintptr(pointer(add.Data)), 4*add.Pitch
		fallthrough
	case 1:
		tile.Bias = uintptr(pointer(bias))
	}
	k.Tile(tile)
	compare(t, fmt.Sprintf("tile of %d×%d, %d taps of %d, mode %d", rows, width, taps, depth, mode), c, func(i, j int) float64 {
		sum := 0.0
		for tap := range taps {
			for d := range depth {
				sum += float64(row(tap, i)[d]) * float64(b[(tap*depth+d)*width+j])
			}
		}
		switch mode {
		case 3:
			sum += float64(before.Row(i)[j])
		case 2:
			sum += float64(add.Row(i)[j])
			fallthrough
		case 1:
			sum += float64(bias[j])
		}
		return sum
	})
	runtime.KeepAlive([]any{a, b, as, bs, bias, add})
}

func TestTileT(t *testing.T) {
	forEach(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(9, 10))
		for width := k.Lanes; width <= k.TileCols; width += k.Lanes {
			for rows := 1; rows <= TileRows; rows++ {
				for _, depth := range []int{1, 2, 17, 256} {
					for accumulate := range 2 {
						const pitch = 11
						a, b := vector(rng, depth*pitch+TileRows), vector(rng, depth*(width+5))
						c := guarded(rng, rows, width, width+2)
						before := c.clone()
						as := make([]uintptr, depth)
						for i := range as {
							as[i] = uintptr(pointer(a[i*pitch:]))
						}
						k.TileT(&TileT{
							A: unsafe.SliceData(as), AOffset: 8, B: uintptr(pointer(b)), BPitch: 4 * (width + 5), Depth: depth,
							C: uintptr(pointer(c.Data)), CPitch: 4 * c.Pitch, Rows: rows, Width: width, Accumulate: accumulate,
						})
						compare(t, fmt.Sprintf("transposed tile of %d×%d over %d", rows, width, depth), c, func(i, j int) float64 {
							sum := float64(accumulate) * float64(before.Row(i)[j])
							for d := range depth {
								sum += float64(a[d*pitch+2+i]) * float64(b[d*(width+5)+j])
							}
							return sum
						})
						runtime.KeepAlive([]any{a, b, as})
					}
				}
			}
		}
	})
}

func TestSelect(t *testing.T) {
	t.Setenv(Variable, "")
	if k, err := Select(""); err != nil || k.Name != Names()[0] {
		t.Errorf("%v, %v", k, err)
	}
	t.Setenv(Variable, "portable")
	if k, err := Select(""); err != nil || k.Name != "portable" {
		t.Errorf("%v, %v", k, err)
	}
	t.Setenv(Variable, "mmx")
	if _, err := Select(""); err == nil || !strings.Contains(err.Error(), "FLUXION_CPU=mmx") || !strings.Contains(err.Error(), "portable") {
		t.Errorf("FLUXION_CPU=mmx: %v", err)
	}
}

func TestQuota(t *testing.T) {
	for text, want := range map[string]int{
		"150000 100000\n": 2, "100000 100000": 1, "1000 100000": 1, "400000 100000": 4, "250000\n100000\n": 3,
		"max 100000": 0, "-1\n100000\n": 0, "0 100000": 0, "": 0, "1 0": 0, "100000": 0,
	} {
		if got, ok := parseQuota(text); got != want || ok != (want > 0) {
			t.Errorf("quota %q: %d, want %d", text, got, want)
		}
	}
}

func TestGroupsOf(t *testing.T) {
	const root = "/groups"
	second := func(at string) group { return group{path.Join(root, at), 2} }
	first := func(at string) group { return group{path.Join(root, "cpu,cpuacct", at), 1} }
	for own, want := range map[string][]group{
		"0::/\n": {second("/")},
		"5:cpuset:/other\n0::/system.slice/job\n":               {second("/system.slice/job"), second("/system.slice"), second("/")},
		"4:cpu,cpuacct:/docker/1f\n2:memory:/docker/1f\n0::/\n": {first("/docker/1f"), first("/docker"), first("/"), second("/")},
		"nonsense\n": nil,
	} {
		if got := groupsOf("cpu", own, root); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: groups %v, want %v", own, got, want)
		}
	}
}

// TestGranted: quotas as the kernel writes them, in trees of groups. A group is
// bound by its own and by all above it, a part of a processor counts as one, and what
// a quota becomes while the process runs counts from the next reading on.
func TestGranted(t *testing.T) {
	const second, first, hybrid = "0::/slice/pod/job\n", "2:memory:/other\n1:cpu,cpuacct:/slice/pod/job\n", "1:cpu:/job\n0::/\n"
	for _, c := range []struct {
		name, own string
		files     map[string]string
		want      int
	}{
		{"no quota", second, nil, 8},
		{"max at every level", second, map[string]string{"cpu.max": "max 100000\n", "slice/cpu.max": "max 100000\n", "slice/pod/job/cpu.max": "max 100000\n"}, 8},
		{"its own", second, map[string]string{"slice/pod/job/cpu.max": "300000 100000\n"}, 3},
		{"one and a half processors", second, map[string]string{"slice/pod/job/cpu.max": "150000 100000\n"}, 2},
		{"half a processor", second, map[string]string{"slice/pod/job/cpu.max": "25000 50000\n"}, 1},
		{"the parent's is less", second, map[string]string{"slice/pod/cpu.max": "200000 100000\n", "slice/pod/job/cpu.max": "600000 100000\n"}, 2},
		{"the grandparent's alone", second, map[string]string{"slice/cpu.max": "400000 100000\n", "slice/pod/job/cpu.max": "max 100000\n"}, 4},
		{"a container that sees its own group as the root", "0::/\n", map[string]string{"cpu.max": "250000 100000\n"}, 3},
		{"more than there is", second, map[string]string{"slice/cpu.max": "1600000 100000\n"}, 8},
		{"another group's", second, map[string]string{"slice/pod/else/cpu.max": "100000 100000\n"}, 8},
		{"version 1, the parent's", first, map[string]string{
			"cpu,cpuacct/slice/pod/cpu.cfs_quota_us": "350000\n", "cpu,cpuacct/slice/pod/cpu.cfs_period_us": "100000\n",
			"cpu,cpuacct/slice/pod/job/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/slice/pod/job/cpu.cfs_period_us": "100000\n"}, 4},
		{"both versions mounted", hybrid, map[string]string{"cpu/job/cpu.cfs_quota_us": "150000\n", "cpu/job/cpu.cfs_period_us": "100000\n", "cpu.max": "500000 100000\n"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			put := func(name, text string) { putFile(t, filepath.Join(root, name), text) }
			for name, text := range c.files {
				put(name, text)
			}
			if got := granted(8, c.own, root); got != c.want {
				t.Errorf("%d threads, want %d", got, c.want)
			}
			put("cpu.max", "100000 100000\n")
			if got := granted(8, c.own, root); got != 1 && strings.Contains(c.own, "0::") {
				t.Errorf("%d threads after the quota became one processor", got)
			}
		})
	}
}

func putFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestAllowed: limits of memory as the kernel writes them, in trees of groups. What a
// group has in its page cache is not used up; a group is bound by all above it.
func TestAllowed(t *testing.T) {
	const second, first, mib = "0::/pod/job\n", "3:cpu:/other\n2:memory:/pod/job\n0::/\n", 1 << 20
	const none = "9223372036854771712\n"
	for _, c := range []struct {
		name, own string
		files     map[string]string
		want      allowance
	}{
		{"no limit", second, nil, allowance{}},
		{"max at every level", second, map[string]string{"memory.max": "max\n", "pod/memory.max": "max\n", "pod/job/memory.max": "max\n", "pod/job/memory.high": "max\n"}, allowance{}},
		{"its own", second, map[string]string{"pod/job/memory.max": "314572800\n", "pod/job/memory.current": "104857600\n"}, allowance{300 * mib, 200 * mib}},
		{"page cache is not used up", second, map[string]string{"pod/job/memory.max": "314572800\n", "pod/job/memory.current": "209715200\n",
			"pod/job/memory.stat": "anon 1\nfile 157286400\ninactive_file 104857600\nactive_file 52428800\nslab_reclaimable 1048576\nworkingset_refault_file 12\n"}, allowance{300 * mib, 251 * mib}},
		{"the parent has less left", second, map[string]string{"pod/memory.max": "419430400\n", "pod/memory.current": "367001600\n",
			"pod/job/memory.max": "314572800\n", "pod/job/memory.current": "104857600\n"}, allowance{300 * mib, 50 * mib}},
		{"slowed down before it is stopped", second, map[string]string{"pod/job/memory.max": "314572800\n", "pod/job/memory.high": "209715200\n"}, allowance{200 * mib, 200 * mib}},
		{"full", second, map[string]string{"pod/job/memory.max": "104857600\n", "pod/job/memory.current": "104857600\n"}, allowance{100 * mib, 1}},
		{"a container that sees its own group as the root", "0::/\n", map[string]string{"memory.max": "104857600\n"}, allowance{100 * mib, 100 * mib}},
		{"another group's", second, map[string]string{"pod/else/memory.max": "1048576\n"}, allowance{}},
		{"version 1 without a limit", first, map[string]string{"memory/memory.limit_in_bytes": none, "memory/pod/job/memory.limit_in_bytes": none}, allowance{}},
		{"version 1, the parent's", first, map[string]string{"memory/pod/job/memory.limit_in_bytes": none, "memory/pod/memory.limit_in_bytes": "314572800\n",
			"memory/pod/memory.usage_in_bytes": "209715200\n", "memory/pod/memory.stat": "cache 5\ninactive_file 5\nactive_file 6\ntotal_inactive_file 52428800\ntotal_active_file 52428800\n"}, allowance{300 * mib, 200 * mib}},
		{"version 1 at the root, as a container without a namespace of groups sees it", "2:memory:/docker/1f\n", map[string]string{
			"memory/memory.limit_in_bytes": "314572800\n", "memory/memory.usage_in_bytes": "0\n"}, allowance{300 * mib, 300 * mib}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range c.files {
				putFile(t, filepath.Join(root, name), text)
			}
			if got := allowed(c.own, root); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestAvailableMemory(t *testing.T) {
	for text, want := range map[string]int64{
		"MemTotal: 9 kB\nMemAvailable:   23451 kB\nBuffers: 1 kB\n": 23451 << 10, "MemAvailable: 7 kB": 7 << 10, "MemTotal: 9 kB\n": 0, "": 0,
	} {
		if got := availableIn(text); got != want {
			t.Errorf("%q: %d bytes, want %d", text, got, want)
		}
	}
}

// TestThreads: GOMAXPROCS bounds them.
func TestThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if n := Threads(); n != 1 {
		t.Errorf("%d threads where Go runs one", n)
	}
}

func TestMemory(t *testing.T) {
	for _, n := range []int{1, 100, 3 << 20} {
		x := Alloc(n)
		if len(x) != n || uintptr(pointer(x))%64 != 0 || slices.Max(x) != 0 {
			t.Errorf("%d floats: %d at %v", n, len(x), uintptr(pointer(x))%64)
		}
		x[n-1] = 1
		Free(x)
	}
}

// TestWinograd holds every transform against float64, on rows of odd lengths
// with poison around them.
func TestWinograd(t *testing.T) {
	rows := func(rng *rand.Rand, n, channels int) (Matrix, []uintptr) {
		m := guarded(rng, n, channels, channels+3)
		var at []uintptr
		for i := range n {
			at = append(at, uintptr(pointer(m.Data[i*m.Pitch:])))
		}
		return m, at
	}
	forEach(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(5, 6))
		for _, channels := range []int{1, 7, 8, 15, 16, 17, 40, 64, 70} {
			bias := vector(rng, channels)
			for _, c := range []struct {
				name   string
				matrix [][]float32
				run    func(in, out, add *uintptr)
				bias   bool
			}{
				{"input", winogradInput, func(in, out, _ *uintptr) { k.Winograd.Input(in, out, channels) }, false},
				{"output", winogradOutput, func(in, out, add *uintptr) {
					k.Winograd.Output(in, out, add, uintptr(pointer(bias)), channels)
				}, true},
				{"output gradient", transposed(winogradOutput), func(in, out, _ *uintptr) { k.Winograd.OutputGrad(in, out, channels) }, false},
				{"weights", winogradWeights, func(in, out, _ *uintptr) { k.Winograd.Weights(in, out, channels) }, false},
				{"weights gradient", transposed(winogradWeights), func(in, out, _ *uintptr) { k.Winograd.WeightsGrad(in, out, channels) }, false},
				{"input", upsampledInput, func(in, out, _ *uintptr) { k.Upsampled.Input(in, out, channels) }, false},
				{"output", upsampledOutput, func(in, out, add *uintptr) {
					k.Upsampled.Output(in, out, add, uintptr(pointer(bias)), channels)
				}, true},
				{"output gradient", transposed(upsampledOutput), func(in, out, _ *uintptr) { k.Upsampled.OutputGrad(in, out, channels) }, false},
				{"weights", upsampledWeights, func(in, out, _ *uintptr) { k.Upsampled.Weights(in, out, channels) }, false},
				{"weights gradient", transposed(upsampledWeights), func(in, out, _ *uintptr) { k.Upsampled.WeightsGrad(in, out, channels) }, false},
				{"input", upsampledGradInput, func(in, out, _ *uintptr) { k.UpsampledGrad.Input(in, out, channels) }, false},
				{"output", upsampledGradOutput, func(in, out, add *uintptr) {
					k.UpsampledGrad.Output(in, out, add, uintptr(pointer(bias)), channels)
				}, true},
				{"weights", upsampledWeights, func(in, out, _ *uintptr) { k.UpsampledGrad.Weights(in, out, channels) }, false},
			} {
				m := c.matrix
				n, side := len(m), len(m[0])
				for _, withAdd := range []bool{false, true} {
					if withAdd && !c.bias {
						continue // only results take an addend
					}
					x, in := rows(rng, side*side, channels)
					y, out := rows(rng, n*n, channels)
					add, adds := rows(rng, n*n, channels)
					addend := (*uintptr)(nil)
					if withAdd {
						addend = &adds[0]
					}
					c.run(&in[0], &out[0], addend)
					compare(t, fmt.Sprintf("%s %v of %d", c.name, m, channels), y, func(r, ch int) float64 {
						sum := 0.0
						for i := range side {
							for j := range side {
								sum += float64(m[r/n][i]) * float64(m[r%n][j]) * float64(x.Data[(i*side+j)*x.Pitch+ch])
							}
						}
						if c.bias {
							sum += float64(bias[ch])
						}
						if withAdd {
							sum += float64(add.Data[r*add.Pitch+ch])
						}
						return sum
					})
					runtime.KeepAlive(x)
				}
			}
		}
	})
}

// TestTranspose: words of any bits go where they belong, zeros up to whole vectors
// behind them, and nothing anywhere else.
func TestTranspose(t *testing.T) {
	forEach(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(21, 22))
		for _, rows := range []int{1, 2, 7, 8, 9, 15, 16, 17, 33, 48} {
			for _, cols := range []int{1, 3, 8, 12, 16, 17, 31, 40} {
				in, out := guarded(rng, rows, cols, cols+3), guarded(rng, cols, 48, 51)
				before := out.clone()
				k.Transpose(uintptr(pointer(out.Data)), 4*out.Pitch, uintptr(pointer(in.Data)), 4*in.Pitch, rows, cols)
				padded := (rows + k.Lanes - 1) / k.Lanes * k.Lanes
				compare(t, fmt.Sprintf("%d×%d", rows, cols), out, func(c, r int) float64 {
					switch {
					case r < rows:
						return float64(in.Row(r)[c])
					case r < padded:
						return 0
					}
					return float64(before.Row(c)[r])
				})
				runtime.KeepAlive(in)
			}
		}
	})
}
