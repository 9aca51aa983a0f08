package couple

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/gram"
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

// multiplied is a step with the products of its images and noise.
func multiplied(s Step) Step {
	noise := make([][]float32, len(s.Noise))
	for i := range noise {
		noise[i] = make([]float32, len(s.Images[0]))
		s.Draw(s.Noise[i], noise[i])
	}
	s.Products = gram.Of(s.Images, noise)
	return s
}

// get is a coupling that there is.
func get(t *testing.T, name string) Coupling {
	t.Helper()
	c, err := Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pair pairs a step.
func pair(t *testing.T, c Coupling, s Step) {
	t.Helper()
	if err := c.Pair(s); err != nil {
		t.Fatal(err)
	}
}

func draw(address int64, to []float32) { philox.NormalAt(to, 0, 7, philox.Noise, uint64(address), 0) }

// normal is a step of images that are normal themselves, of so many values.
func normal(at, n, size int) Step {
	s := Step{Seed: 7, Draw: draw}
	for i := range n {
		x := make([]float32, size)
		philox.NormalAt(x, 0, 8, philox.Noise, uint64(at+i), 0)
		s.Images, s.Classes, s.Noise = append(s.Images, x), append(s.Classes, int32(i%3)-1), append(s.Noise, int64(at+i))
		s.At = append(s.At, int64(at+i))
	}
	return multiplied(s)
}

// TestPairing: of two batches of n normal numbers, the mean product after pairing is that
// of their order statistics.
func TestPairing(t *testing.T) {
	c := get(t, "ot-across")
	for n, want := range map[int]float64{2: 1 / math.Pi, 4: .573915, 8: .749937, 16: .859359, 64: .958771, 128: .978186, 256: .988569} {
		mean, steps := 0.0, 40_000/max(n, n*n/64)
		for k := range steps {
			s := normal(k*n, n, 1)
			pair(t, c, s)
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

// TestLine: paired with N(−1, 0.64), N(0.5, 0.25) is moved by the map of optimal transport
// at the cost W₂² = 2.34, by chance at 3.14; and from 0.9 a step of the velocity, which is
// the mean of x₁ − x₀ there, leads to −0.36, by chance to the mean of the data.
func TestLine(t *testing.T) {
	const n, steps = 250, 40
	for name, want := range map[string][2]float64{Independent: {3.14, -1}, "ot-across": {2.34, -0.36}} {
		c := get(t, name)
		cost, a, b, ab, aa := 0.0, 0.0, 0.0, 0.0, 0.0
		for k := range steps {
			s := normal(k*n, n, 1)
			of := s.Draw
			s.Draw = func(address int64, to []float32) {
				of(address, to)
				to[0] = .5 + .5*to[0]
			}
			for _, x := range s.Images {
				x[0] = -1 + .8*x[0]
			}
			if s = multiplied(s); c != nil {
				pair(t, c, s)
			}
			source := make([]float32, 1)
			for i, x := range s.Images {
				s.Draw(s.Noise[i], source)
				x0, x1 := float64(source[0]), float64(x[0])
				cost, a, b = cost+(x1-x0)*(x1-x0)/(n*steps), a+x0/(n*steps), b+x1/(n*steps)
				ab, aa = ab+x0*x1/(n*steps), aa+x0*x0/(n*steps)
			}
		}
		to := b + (ab-a*b)/(aa-a*a)*(.9-a) // the line through the pairs
		if math.Abs(cost-want[0]) > .05 || math.Abs(to-want[1]) > .03 {
			t.Errorf("%s: cost %.3f, from 0.9 to %.3f, want %.2f and %.2f", name, cost, to, want[0], want[1])
		}
	}
}

// TestPermutation: every address is there once, within each class, whatever order they
// came in.
func TestPermutation(t *testing.T) {
	for _, name := range []string{"ot", "ot-across"} {
		c := get(t, name)
		s := normal(100, 30, 5)
		before := slices.Clone(s.Noise)
		pair(t, c, s)
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
	c := get(t, "nearest:4")
	mean, noise := 0.0, make([]float32, 2)
	const n = 4000
	s := Step{Draw: draw}
	for i := range n {
		s.Images, s.Noise = append(s.Images, make([]float32, 2)), append(s.Noise, int64(i))
	}
	pair(t, c, s)
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
	for text, want := range map[string]string{"oT": `"ot"`, "nearest:1": "2 to 64", "nearest:x": "2 to 64", "ot:3": "no number", "best": "ot-across",
		"sinkhorn:reg=0": "positive reg", "sinkhorn:reg=1,absolute=1": "positive reg", "sinkhorn:sigma=1": "reg", "sinkhorn:reg=-1": "positive reg",
	} {
		if _, err := Get(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestSteady: a coupling that has seen a step takes no more memory for the next.
func TestSteady(t *testing.T) {
	for name, most := range map[string]float64{"ot": 0, "ot-across": 0, "nearest:2": 40} { // of which goroutines take a little
		c, s := get(t, name), normal(0, 60, 20)
		pair(t, c, s)
		if n := testing.AllocsPerRun(5, func() { pair(t, c, s) }); n > most {
			t.Errorf("%s: %v allocations a step", name, n)
		}
	}
}

// Benchmark is what a coupling does beside a step of 256 images of 28×28.
func Benchmark(b *testing.B) {
	for _, name := range []string{"ot", "ot-across", "sinkhorn:reg=0.05", "nearest:4"} {
		b.Run(name, func(b *testing.B) {
			c, err := Get(name)
			if err != nil {
				b.Fatal(err)
			}
			s := normal(0, 256, 784)
			noise := slices.Clone(s.Noise)
			for b.Loop() {
				copy(s.Noise, noise)
				if err := c.Pair(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
