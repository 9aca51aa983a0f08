package couple

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/philox"
)

func sum(n int, cost []float64, to []int) float64 {
	s := 0.0
	for i, j := range to {
		s += cost[i*n+j]
	}
	return s
}

// TestAssign: the one best assignment of the classic example, and no permutation is
// better than what is found of random costs.
func TestAssign(t *testing.T) {
	cost := []float64{2, 2.25, 4, 1, 3.25, 1, 2, .25, 8}
	if to := Assign(3, cost); !slices.Equal(to, []int{0, 2, 1}) || sum(3, cost, to) != 3.25 {
		t.Errorf("%v costs %v", to, sum(3, cost, to))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for n := 1; n <= 7; n++ {
		for range 30 {
			cost := make([]float64, n*n)
			for i := range cost {
				cost[i] = float64(r.IntN(9) - 4) // with ties
			}
			best, got := math.Inf(1), sum(n, cost, Assign(n, cost))
			permutations(n, func(to []int) { best = min(best, sum(n, cost, to)) })
			if got != best {
				t.Fatalf("%v: %v, and %v is possible", cost, got, best)
			}
		}
	}
	if to := Assign(4, make([]float64, 16)); !slices.Equal(to, []int{0, 1, 2, 3}) {
		t.Errorf("of equal costs %v are taken", to)
	}
}

func permutations(n int, visit func([]int)) {
	to := make([]int, n)
	for i := range to {
		to[i] = i
	}
	var rest func(i int)
	rest = func(i int) {
		if i == n {
			visit(to)
			return
		}
		for j := i; j < n; j++ {
			to[i], to[j] = to[j], to[i]
			rest(i + 1)
			to[i], to[j] = to[j], to[i]
		}
	}
	rest(0)
}

// normal is a step of images that are normal themselves, of so many values.
func normal(at, n, size int) Step {
	s := Step{Draw: func(address int64, to []float32) { philox.NormalAt(to, 0, 7, philox.Noise, uint64(address), 0) }}
	for i := range n {
		x := make([]float32, size)
		philox.NormalAt(x, 0, 8, philox.Noise, uint64(at+i), 0)
		s.Images, s.Classes, s.Noise = append(s.Images, x), append(s.Classes, int32(i%3)-1), append(s.Noise, int64(at+i))
	}
	return s
}

// TestPairing: of two batches of n normal numbers, the mean product after pairing is that
// of their order statistics.
func TestPairing(t *testing.T) {
	c, err := Get("ot-across")
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]float64{2: 1 / math.Pi, 4: .573915, 8: .749937, 16: .859359, 64: .958771} {
		mean, steps := 0.0, 40_000/n
		for k := range steps {
			s := normal(k*n, n, 1)
			c.Pair(s)
			noise := make([]float32, 1)
			for i, x := range s.Images {
				s.Draw(s.Noise[i], noise)
				mean += float64(noise[0]) * float64(x[0]) / float64(n*steps)
			}
		}
		if math.Abs(mean-want) > 0.02 {
			t.Errorf("n = %d: mean product %.4f, want %.4f", n, mean, want)
		}
	}
}

// TestPermutation: every address is there once, within each class, whatever order they
// came in.
func TestPermutation(t *testing.T) {
	for _, name := range []string{"ot", "ot-across"} {
		c, err := Get(name)
		if err != nil {
			t.Fatal(err)
		}
		s := normal(100, 30, 5)
		before := slices.Clone(s.Noise)
		c.Pair(s)
		if slices.Equal(before, s.Noise) {
			t.Errorf("%s: nothing was paired", name)
		}
		for i, a := range s.Noise {
			if s.Classes[i] != s.Classes[a-100] && name == "ot" {
				t.Errorf("%s: an image of class %d has noise of class %d", name, s.Classes[i], s.Classes[a-100])
			}
		}
		after := slices.Clone(s.Noise)
		if slices.Sort(after); !slices.Equal(before, after) {
			t.Errorf("%s: %v", name, s.Noise)
		}
	}
}

// TestNearest: the mean square of the nearest of four to 0 in the plane is ½.
func TestNearest(t *testing.T) {
	c, err := Get("nearest:4")
	if err != nil {
		t.Fatal(err)
	}
	mean, noise := 0.0, make([]float32, 2)
	const n = 4000
	s := normal(0, n, 2)
	for _, x := range s.Images {
		clear(x)
	}
	c.Pair(s)
	for _, a := range s.Noise {
		s.Draw(a, noise)
		mean += distance(noise, []float32{0, 0}) / n
	}
	if math.Abs(mean/2-0.25) > 0.01 {
		t.Errorf("|ε|²/D is %.3f, want 1/4", mean/2)
	}
}

func TestNames(t *testing.T) {
	if c, err := Get(Independent); c != nil || err != nil {
		t.Error(c, err)
	}
	for text, want := range map[string]string{"oT": `"ot"`, "nearest:1": "2 to 64", "nearest:x": "2 to 64", "ot:3": "no number", "best": "ot-across"} {
		if _, err := Get(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// BenchmarkTransport is a step of 128 images of 32×32×3.
func BenchmarkTransport(b *testing.B) {
	s := normal(0, 128, 3072)
	for b.Loop() {
		transport{}.Pair(s)
	}
}
