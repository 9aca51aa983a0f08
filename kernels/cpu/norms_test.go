package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/kernels/number"
)

func silu64(u float64) float64 { return u / (1 + math.Exp(-u)) }

func siluGrad64(u, dy float64) float64 {
	s := 1 / (1 + math.Exp(-u))
	return dy * s * (1 + u*(1-s))
}

// bf16Of is a matrix of numbers that bfloat16 has, poison around them, and what a
// float32 kernel would read of it.
func bf16Of(m Matrix) (MatrixOf[uint16], Matrix) {
	h := MatrixOf[uint16]{make([]uint16, len(m.Data)), m.Rows, m.Cols, m.Pitch}
	wide := m.clone()
	for i, x := range m.Data {
		h.Data[i] = number.Narrow(x)
		wide.Data[i] = number.Widen(h.Data[i])
	}
	return h, wide
}

// TestNorms runs the kernels of normalisation on odd sizes: in float32 against
// float64, on bfloat16 against the same in float32, to the bit.
func TestNorms(t *testing.T) {
	forEach(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, cols := range []int{1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 63, 70} {
			for _, rows := range []int{0, 1, 2, 7} {
				for _, gap := range []int{0, 3} {
					n := &normCase{name: fmt.Sprintf("%d×%d+%d ", rows, cols, gap), k: k, rng: rng}
					make := func() Matrix { return guarded(rng, rows, cols, cols+gap) }
					n.bf16X, n.x = bf16Of(make())
					n.bf16Y, n.y = bf16Of(make())
					n.bf16Add, n.add = bf16Of(make())
					n.out, n.kept = make(), make()
					for _, v := range []*[]float32{&n.a, &n.b, &n.p, &n.q, &n.r} {
						*v = vector(rng, cols)
					}
					n.check(t)
				}
			}
		}
	})
}

type normCase struct {
	name                  string
	k                     *Kernels
	rng                   *rand.Rand
	x, y, add, out, kept  Matrix
	bf16X, bf16Y, bf16Add MatrixOf[uint16]
	a, b, p, q, r         []float32
}

func (n *normCase) at(m Matrix, i, c int) float64 { return float64(m.Data[i*m.Pitch+c]) }

func (n *normCase) check(t *testing.T) {
	t.Helper()
	k := n.k
	x := func(i, c int) float64 { return n.at(n.x, i, c) }
	u := func(i, c int) float64 { return float64(n.a[c])*x(i, c) + float64(n.b[c]) }
	plain := func(i, c int) float64 { return n.at(n.y, i, c) }
	through := func(i, c int) float64 { return siluGrad64(u(i, c), n.at(n.y, i, c)) }
	n.maps(t, "Affine", u, func() { k.Affine(n.out, n.x, n.a, n.b) },
		func(to MatrixOf[uint16]) { k.BF16Norms.Affine(to, n.bf16X, n.a, n.b) })
	n.maps(t, "AffineSiLU", func(i, c int) float64 { return silu64(u(i, c)) }, func() { k.AffineSiLU(n.out, n.x, n.a, n.b) },
		func(to MatrixOf[uint16]) { k.BF16Norms.AffineSiLU(to, n.bf16X, n.a, n.b) })
	for _, with := range []bool{false, true} {
		add, bf16Add := Matrix{}, MatrixOf[uint16]{}
		if with {
			add, bf16Add = n.add, n.bf16Add
		}
		gradient := func(du func(i, c int) float64) func(i, c int) float64 {
			return func(i, c int) float64 {
				v := float64(n.p[c])*du(i, c) + float64(n.q[c])*x(i, c) + float64(n.r[c])
				if with {
					v += n.at(n.add, i, c)
				}
				return v
			}
		}
		n.maps(t, "GradAffine", gradient(plain), func() { k.GradAffine(n.out, n.x, n.y, n.p, n.q, n.r, add) },
			func(to MatrixOf[uint16]) { k.BF16Norms.GradAffine(to, n.bf16X, n.bf16Y, n.p, n.q, n.r, bf16Add) })
		n.maps(t, "SiLUGradAffine", gradient(through), func() { k.SiLUGradAffine(n.out, n.x, n.y, n.a, n.b, n.p, n.q, n.r, add) },
			func(to MatrixOf[uint16]) {
				k.BF16Norms.SiLUGradAffine(to, n.bf16X, n.bf16Y, n.a, n.b, n.p, n.q, n.r, bf16Add)
			})
		n.maps(t, "DuAffine", gradient(plain), func() { k.DuAffine(n.out, n.x, n.y, n.p, n.q, n.r, add) },
			func(to MatrixOf[uint16]) { k.BF16Norms.DuAffine(to, n.bf16X, n.y, n.p, n.q, n.r, bf16Add) })
	}
	inPlace := n.y.clone()
	k.SiLUGradAffine(inPlace, n.x, inPlace, n.a, n.b, n.p, n.q, n.r, Matrix{})
	compare(t, n.name+"in place", inPlace, func(i, c int) float64 {
		return float64(n.p[c])*through(i, c) + float64(n.q[c])*x(i, c) + float64(n.r[c])
	})

	timesX := func(f func(i, c int) float64) func(i, c int) float64 {
		return func(i, c int) float64 { return f(i, c) * x(i, c) }
	}
	n.sums(t, "ColSum", func(s, _ []float32) { k.ColSum(s, n.x) }, func(s, _ []float32) { k.BF16Norms.ColSum(s, n.bf16X) }, x, nil)
	n.sums(t, "ColSumSquares", func(s, _ []float32) { k.ColSumSquares(s, n.a, n.x) },
		func(s, _ []float32) { k.BF16Norms.ColSumSquares(s, n.a, n.bf16X) },
		func(i, c int) float64 { return (x(i, c) - float64(n.a[c])) * (x(i, c) - float64(n.a[c])) }, nil)
	n.sums(t, "GradSums", func(s1, s2 []float32) { k.GradSums(s1, s2, n.x, n.y) },
		func(s1, s2 []float32) { k.BF16Norms.GradSums(s1, s2, n.bf16X, n.bf16Y) }, plain, timesX(plain))
	for _, keep := range []bool{false, true} {
		first, second := Matrix{}, Matrix{}
		if keep {
			first, second = n.kept, n.kept.clone()
		}
		n.sums(t, "SiLUGradSums", func(s1, s2 []float32) { k.SiLUGradSums(first, s1, s2, n.x, n.y, n.a, n.b) },
			func(s1, s2 []float32) { k.BF16Norms.SiLUGradSums(second, s1, s2, n.bf16X, n.bf16Y, n.a, n.b) }, through, timesX(through))
		if keep {
			compare(t, n.name+"kept gradient", first, through)
			same(t, n.name+"kept gradient of bfloat16", second.Data, first.Data)
		}
	}
}

// maps runs a kernel that writes a matrix.
func (n *normCase) maps(t *testing.T, what string, want func(i, c int) float64, run func(), bf16 func(to MatrixOf[uint16])) {
	t.Helper()
	run()
	compare(t, n.name+what, n.out, want)
	got, expected := MatrixOf[uint16]{make([]uint16, len(n.out.Data)), n.out.Rows, n.out.Cols, n.out.Pitch}, make([]uint16, len(n.out.Data))
	for i := range got.Data {
		got.Data[i], expected[i] = poison, poison
		if r, c := i/n.out.Pitch, i%n.out.Pitch; r < n.out.Rows && c < n.out.Cols {
			expected[i] = number.Narrow(n.out.Data[i])
		}
	}
	bf16(got)
	if !slices.Equal(got.Data, expected) {
		t.Fatalf("%s%s of bfloat16 is not that of float32, rounded, or writes beside it", n.name, what)
	}
}

// sums runs a kernel that adds to one vector of columns or to two.
func (n *normCase) sums(t *testing.T, what string, run, bf16 func(s1, s2 []float32), want1, want2 func(i, c int) float64) {
	t.Helper()
	cols := n.x.Cols
	s1, s2 := guarded(n.rng, 1, cols, cols), guarded(n.rng, 1, cols, cols)
	b1, b2 := s1.clone(), s2.clone()
	h1, h2 := s1.clone(), s2.clone()
	run(s1.Data, s2.Data)
	total := func(start Matrix, f func(i, c int) float64) func(_, c int) float64 {
		return func(_, c int) float64 {
			sum := n.at(start, 0, c)
			for i := range n.x.Rows {
				sum += f(i, c)
			}
			return sum
		}
	}
	compare(t, n.name+what, s1, total(b1, want1))
	if want2 != nil {
		compare(t, n.name+what+" second", s2, total(b2, want2))
	}
	bf16(h1.Data, h2.Data)
	same(t, n.name+what+" of bfloat16", h1.Data, s1.Data)
	same(t, n.name+what+" second of bfloat16", h2.Data, s2.Data)
}

// same compares bits.
func same(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// TestNormsRound: kernels round to bfloat16 as package number does, whatever the number.
func TestNormsRound(t *testing.T) {
	forEach(t, func(t *testing.T, k *Kernels) {
		var values []float32
		for i := range uint32(1 << 12) { // of every exponent, some halfway between two bfloat16
			for _, low := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff} {
				values = append(values, math.Float32frombits(i<<20|i&3<<16|low))
			}
		}
		n := len(values)
		one := MatrixOf[uint16]{slices.Repeat([]uint16{number.Narrow(1)}, n), 1, n, n}
		zero, out := make([]float32, n), MatrixOf[uint16]{make([]uint16, n), 1, n, n}
		k.BF16Norms.DuAffine(out, one, Matrix{values, 1, n, n}, slices.Repeat([]float32{1}, n), zero, zero, MatrixOf[uint16]{})
		for i, x := range values {
			got, want := out.Data[i], number.Narrow(x)
			if k.BF16 != nil && want&0x7f80 == 0 {
				want = 0 // AVX512-BF16 has no denormals
			}
			zeros := (got|want)&0x7fff == 0 // of either sign: zeros were added
			if x != x && number.Widen(got) == number.Widen(got) || x == x && got != want && !zeros {
				t.Fatalf("%g becomes %#x, want %#x", x, got, want)
			}
		}
	})
}

// TestNormsPosition: the bits of an element do not depend on where work is cut.
func TestNormsPosition(t *testing.T) {
	forEach(t, func(t *testing.T, k *Kernels) {
		position(t, &k.Norms, func(v []float32) []float32 { return v })
		position(t, &k.BF16Norms, func(v []float32) []uint16 {
			h := make([]uint16, len(v))
			for i, x := range v {
				h[i] = number.Narrow(x)
			}
			return h
		})
	})
}

func position[T Element](t *testing.T, k *Norms[T], of func([]float32) []T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const n = 45
	var vectors [8][]float32
	var rows [3][]T
	for i := range vectors {
		vectors[i] = vector(rng, n)
	}
	for i := range rows {
		rows[i] = of(vector(rng, n))
	}
	// run computes everything of the columns [from, to) and returns it.
	run := func(from, to int) (out [6][]T, sums [6][]float32) {
		m := func(i int) MatrixOf[T] { return MatrixOf[T]{rows[i][from:to], 1, to - from, n} }
		v := func(i int) []float32 { return vectors[i][from:to] }
		for i := range out {
			out[i], sums[i] = make([]T, to-from), slices.Clone(v(i))
		}
		o := func(i int) MatrixOf[T] { return MatrixOf[T]{out[i], 1, to - from, n} }
		du := Matrix{sums[5], 1, to - from, n}
		k.Affine(o(0), m(0), v(0), v(1))
		k.AffineSiLU(o(1), m(0), v(0), v(1))
		k.GradAffine(o(2), m(0), m(1), v(2), v(3), v(4), m(2))
		k.SiLUGradAffine(o(3), m(0), m(1), v(0), v(1), v(2), v(3), v(4), MatrixOf[T]{})
		k.SiLUGradAffine(o(4), m(0), m(1), v(0), v(1), v(2), v(3), v(4), m(2))
		k.ColSum(sums[0], m(0))
		k.ColSumSquares(sums[1], v(0), m(0))
		k.GradSums(sums[2], slices.Clone(sums[2]), m(0), m(1))
		k.SiLUGradSums(du, sums[3], sums[4], m(0), m(1), v(0), v(1))
		k.DuAffine(o(5), m(0), du, v(2), v(3), v(4), m(2))
		return out, sums
	}
	out, sums := run(0, n)
	for at := range n {
		headOut, headSums := run(0, at)
		tailOut, tailSums := run(at, n)
		for i := range out {
			if !slices.Equal(slices.Concat(headOut[i], tailOut[i]), out[i]) || !slices.Equal(slices.Concat(headSums[i], tailSums[i]), sums[i]) {
				t.Fatalf("kernel %d cut at %d gives other bits", i, at)
			}
		}
	}
}
