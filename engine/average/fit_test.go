package average

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestProduct: the closed form is the integral of the product, by a sum.
func TestProduct(t *testing.T) {
	for _, c := range [][2]Profile{{{1000, .05}, {1000, .05}}, {{1000, .05}, {1000, .1}}, {{1000, .1}, {2000, .05}}, {{3000, .28}, {2000, .01}}} {
		const n = 1 << 16
		sum, end := 0.0, float64(min(c[0].Images, c[1].Images))
		for i := range n {
			x := (float64(i) + 0.5) / n * end
			y := end / n
			for _, p := range c {
				g, images := Exponent(p.Sigma), float64(p.Images)
				y *= (g + 1) * math.Pow(x/images, g) / images
			}
			sum += y
		}
		near(t, "the product", powerOf(c[0]).product(powerOf(c[1])), sum, 1e-6*sum)
		near(t, "the other way", powerOf(c[1]).product(powerOf(c[0])), powerOf(c[0]).product(powerOf(c[1])), 1e-18)
	}
}

func profiles(n int, every int64, sigmas ...float64) (all []Profile) {
	for i := range int64(n) {
		for _, s := range sigmas {
			all = append(all, Profile{(i + 1) * every, s})
		}
	}
	return all
}

// TestFactors: numbers of a least-squares solution in NumPy.
func TestFactors(t *testing.T) {
	for sigma, want := range map[float64][]float64{
		.075: {0, 0, .00013, -.00079, .01158, -.04467, .33642, .69732},
		.15:  {-.00056, .00194, -.01315, .03802, -.07796, .20041, -.26406, 1.11536},
	} {
		f, err := FitProfile(profiles(4, 1000, .05, .1), Profile{4000, sigma})
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for i, x := range f.Factors {
			near(t, "a factor", x, want[i], 6e-6)
			sum += x
		}
		near(t, "the sum of factors", sum, 1, 1e-14)
	}
	f, err := FitProfile(profiles(4, 1000, .05, .1), Profile{4000, .1})
	if err != nil || f.Residual != 0 || f.Factors[7] != 1 || f.Factors[6] != 0 {
		t.Errorf("an average that is there: %+v, %v", f, err)
	}
	if _, err := FitProfile(nil, Profile{4000, .1}); err == nil {
		t.Error("an average of none")
	}
}

// TestReconstructionOfNumbers: averages of a number that grows as a power of time, and of
// a random walk, made of snapshots, against the closed form and against averages that were
// kept step by step. By Cauchy and Schwarz they differ by no more than the residual says.
func TestReconstructionOfNumbers(t *testing.T) {
	const steps, batch, every = 6400, 10, 200
	have := profiles(steps/every, every*batch, .05, .1)
	rng := rand.New(rand.NewPCG(3, 4))
	walk := make([]float64, steps)
	for i := 1; i < steps; i++ {
		walk[i] = walk[i-1] + rng.NormFloat64()
	}
	root := make([]float64, steps)
	for i := range root { // of the mean of √t over the step
		a, b := float64(i*batch), float64((i+1)*batch)
		root[i] = (math.Pow(b, 1.5) - math.Pow(a, 1.5)) / (1.5 * batch)
	}
	kept := func(values []float64, p Profile) (x float64) {
		for i := range p.Images / batch {
			keep := Kept(p.Sigma, i*batch, (i+1)*batch)
			x = keep*x + (1-keep)*values[i]
		}
		return x
	}
	// relative errors of σ_rel: of a smooth curve, and of the walk as a share of its deviation
	for sigma, bound := range map[float64][2]float64{
		.03: {1e-5, 6e-3}, .05: {0, 0}, .06: {3e-6, 6e-4}, .075: {3e-6, 6e-4}, .12: {3e-6, 6e-4}, .2: {5e-4, 2e-3}, .25: {6e-3, 6e-3},
	} {
		f, err := FitProfile(have, Profile{steps * batch, sigma})
		if err != nil {
			t.Fatal(err)
		}
		for k, values := range [][]float64{root, walk} {
			got, want := 0.0, kept(values, Profile{steps * batch, sigma})
			for i, p := range f.Of {
				if f.Factors[i] != 0 {
					got += f.Factors[i] * kept(values, p)
				}
			}
			mean, square := 0.0, 0.0
			for _, x := range values {
				mean += x / steps
			}
			for _, x := range values {
				square += (x - mean) * (x - mean) * batch
			}
			target := Profile{steps * batch, sigma}
			if most := f.Residual*math.Sqrt(powerOf(target).product(powerOf(target))*square) + 1e-9*math.Abs(want); !(math.Abs(got-want) <= most) {
				t.Errorf("σ_rel %v: %v, kept %v; the residual %v allows %v", sigma, got, want, f.Residual, most)
			}
			scale := math.Abs(want)
			if k == 1 {
				scale = math.Sqrt(square / (steps * batch))
			} else { // closed form of ∫ p √t
				g := Exponent(sigma)
				near(t, "the average of √t", want, (g+1)/(g+1.5)*math.Sqrt(steps*batch), 2e-6*want)
			}
			if off := math.Abs(got-want) / scale; off > bound[k] {
				t.Errorf("σ_rel %v, curve %d: off by %.2g, want %.2g at most", sigma, k, off, bound[k])
			}
		}
	}
}

// TestFactorsStaySmall: many snapshots, which are alike, do not make factors that would
// magnify the rounding of their weights.
func TestFactorsStaySmall(t *testing.T) {
	for _, n := range []int{1, 2, 8, 64, 128} {
		for _, c := range []struct{ sigma, gain, residual float64 }{{.04, 2.5, .35}, {.06, 1.1, .12}, {.09, 1.1, .08}, {.15, 1.5, .5}} {
			f, err := FitProfile(profiles(n, 64, .05, .1), Profile{int64(n) * 64, c.sigma})
			if err != nil {
				t.Fatal(err)
			}
			squares := 0.0
			for _, x := range f.Factors {
				squares += x * x
			}
			if gain := math.Sqrt(squares); gain > c.gain || f.Residual > c.residual || n == 64 && f.Residual > 1e-3 {
				t.Errorf("%d snapshots, σ_rel %v: rounding is magnified %.2f times, residual %.2g", n, c.sigma, gain, f.Residual)
			}
		}
	}
}

// BenchmarkFit is a width of a long run with two averages.
func BenchmarkFit(b *testing.B) {
	have := profiles(250, 1000, .05, .1)
	for b.Loop() {
		if _, err := FitProfile(have, Profile{250_000, .075}); err != nil {
			b.Fatal(err)
		}
	}
}
