package likelihood

import (
	"math"
	"testing"

	"fluxion/engine/process"
)

// gaussianTerms is the bound of data of variance s² whose denoiser is the best there
// is: E(ε−ε̂)² = s²e^λ/(1+s²e^λ), for one dimension of mean 0.
func gaussianTerms(b Bound, variance float64, n int) Terms {
	diffusion := 0.0
	for i := range n {
		lambda, weight := b.At((float64(i) + 0.5) / float64(n))
		snr := variance * math.Exp(lambda)
		diffusion += weight * snr / (1 + snr) / float64(n)
	}
	return Terms{b.ReconstructDensity(), b.PriorTerm([]float64{math.Sqrt(variance)}), diffusion}
}

// TestBoundOfGaussian has the three terms in closed form, and their sum next to the
// entropy.
func TestBoundOfGaussian(t *testing.T) {
	const variance = 0.25
	near := func(what string, got, want, within float64) {
		t.Helper()
		if math.Abs(got-want) > within {
			t.Errorf("%s: %.9g, want %.9g", what, got, want)
		}
	}
	b := Bound{Max: LambdaMax, Min: LambdaMin}
	terms := gaussianTerms(b, variance, 200_000)
	near("reconstruction", terms.Reconstruction, -5.23106147, 5e-9)
	near("prior", terms.Prior, 0.00084786, 5e-9)
	near("diffusion", terms.Diffusion, 5.95601463, 1e-8)
	near("bound", terms.Sum(), 0.72580102, 1e-8)
	closed := (math.Log1p(variance*math.Exp(b.Max)) - math.Log1p(variance*math.Exp(b.Min))) / 2
	near("diffusion in closed form", terms.Diffusion, closed, 1e-8)
	entropy := math.Log(2*math.Pi*math.E*variance) / 2
	near("entropy", entropy, 0.72579135, 5e-9)
	wide := gaussianTerms(Bound{Max: 20, Min: -20}, variance, 400_000)
	near("bound over 40", wide.Sum(), 0.72579136, 1e-8)
	if terms.Sum() < entropy || wide.Sum() < entropy {
		t.Error("a bound is below the entropy")
	}
	for _, c := range []struct {
		steps int
		want  float64
	}{{10, 15.7276}, {100, 6.4857}, {1000, 6.0062}} {
		b.Steps = c.steps
		near("diffusion in steps", gaussianTerms(b, variance, c.steps).Diffusion, c.want, 5e-5)
	}
}

// TestReconstruct compares the few levels that are looked at with all.
func TestReconstruct(t *testing.T) {
	for _, b := range []Bound{{Max: LambdaMax, Min: -5}, {Max: 5, Min: -5}, {Max: -2, Min: -5}} {
		for _, k := range []int{0, 3, 140, 255} {
			for _, noise := range []float64{0, 0.3, -1.7, 4, -6} {
				z := Bytes.Value(k) + noise*math.Exp(-b.Max/2)
				energy := func(j int) float64 { d := z - Bytes.Value(j); return math.Exp(b.Max) / 2 * d * d }
				least := math.Inf(1)
				for j := range 256 {
					least = math.Min(least, energy(j))
				}
				sum := 0.0
				for j := range 256 {
					sum += math.Exp(least - energy(j))
				}
				want := energy(k) - least + math.Log(sum)
				if got := b.Reconstruct(Bytes, k, z); math.Abs(got-want) > 1e-12*(1+want) {
					t.Errorf("λ = %g, k = %d, %g deviations off: %.15g nats, want %.15g", b.Max, k, noise, got, want)
				}
			}
		}
	}
	// Over all values the probabilities sum to 1.
	b, sum := Bound{Max: 8, Min: -5}, 0.0
	for k := range 256 {
		sum += math.Exp(-b.Reconstruct(Bytes, k, 0.1234))
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("the probabilities of all values sum to %g", sum)
	}
}

// TestBoundOf: the bound is within what a process knows.
func TestBoundOf(t *testing.T) {
	for _, c := range []struct {
		schedule, output string
		max, min         float64
	}{{"fm", "u", LambdaMax, LambdaMin}, {"cosine", "x", LambdaMax, LambdaMin}, {"ddpm-linear", "eps", 9.21, LambdaMin}} {
		p, err := process.Get(c.schedule, process.ScheduleOptions{}, c.output)
		if err != nil {
			t.Fatal(err)
		}
		b, err := BoundOf(p)
		if err != nil || math.Abs(b.Max-c.max) > 0.01 || b.Min != c.min || b.Fits(p) != nil {
			t.Errorf("%v: %+v, %v", p, b, err)
		}
		if b.Max = 20; (b.Fits(p) == nil) != (c.max == LambdaMax) {
			t.Errorf("%v: up to λ = 20: %v", p, b.Fits(p))
		}
		if b.Max, b.Min = 9, -20; (b.Fits(p) == nil) != (c.output == "u" || c.output == "x") {
			t.Errorf("%v: down to λ = -20: %v", p, b.Fits(p))
		}
	}
}

func TestBoundCheck(t *testing.T) {
	for _, b := range []Bound{{Max: -5, Min: 13}, {Max: math.Inf(1), Min: -5}, {Max: 50, Min: 0}, {Max: 13, Min: -5, Steps: -1}, {Max: math.NaN(), Min: 0}} {
		if b.Check() == nil {
			t.Errorf("%+v is taken", b)
		}
	}
}
