package average

import (
	"math"
	"testing"
)

func near(t *testing.T, what string, got, want, bound float64) {
	t.Helper()
	if !(math.Abs(got-want) <= bound) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// TestExponent: pairs of σ_rel and γ, and back again.
func TestExponent(t *testing.T) {
	for sigma, want := range map[float64]float64{.01: 96.994898, .05: 16.972199, .075: 10.289116, .10: 6.937204, .15: 3.557869, .20: 1.826214, 1 / math.Sqrt(12): 0} {
		near(t, "γ", Exponent(sigma), want, 5e-7)
	}
	for sigma := MinSigma; sigma <= MaxSigma; sigma += 0.001 {
		near(t, "σ_rel", Sigma(Exponent(sigma)), sigma, 1e-14)
	}
}

// TestSigmaIsWidth: σ_rel is the standard deviation of the profile, by sums over its density.
func TestSigmaIsWidth(t *testing.T) {
	for _, sigma := range []float64{MinSigma, 0.05, 0.1, MaxSigma} {
		gamma := Exponent(sigma)
		var m [3]float64
		const n = 1 << 18
		for i := range n {
			x := (float64(i) + 0.5) / n
			p := (gamma + 1) * math.Pow(x, gamma) / n
			m[0], m[1], m[2] = m[0]+p, m[1]+p*x, m[2]+p*x*x
		}
		near(t, "the sum", m[0], 1, 1e-6)
		m[1], m[2] = m[1]/m[0], m[2]/m[0]
		near(t, "the width", math.Sqrt(m[2]-m[1]*m[1]), sigma, 1e-6)
	}
}

// TestKept: steps of uneven sizes make the integral of the profile over weights that hold
// for a step each.
func TestKept(t *testing.T) {
	for _, sigma := range []float64{MinSigma, 0.05, 0.1, MaxSigma} {
		gamma, seen, got := Exponent(sigma), int64(0), 17.0 // what it begins with is forgotten
		var ends []int64
		var weights []float64
		for i := range 500 {
			next, w := seen+1+int64(i*i%7)*8, math.Sin(float64(i)/9)+float64(i)/100
			keep := Kept(sigma, seen, next)
			got = keep*got + (1-keep)*w
			ends, weights, seen = append(ends, next), append(weights, w), next
		}
		want, before := 0.0, 0.0
		for i, w := range weights {
			after := math.Pow(float64(ends[i])/float64(seen), gamma+1)
			want, before = want+w*(after-before), after
		}
		near(t, "the average", got, want, 1e-12)
	}
}

func TestParseSigma(t *testing.T) {
	for text, want := range map[string]float64{"0.05": 0.05, "0.10": 0.1, "5e-2": 0.05, "0.28": 0.28} {
		got, err := ParseSigma(text)
		again, _ := ParseSigma(FormatSigma(got))
		if err != nil || got != want || again != got {
			t.Errorf("%s is %v (%v)", text, got, err)
		}
	}
	for _, text := range []string{"", "a", "0", "0.009", "0.29", "-1", "NaN", "Inf", "1e400"} {
		if x, err := ParseSigma(text); err == nil {
			t.Errorf("%q is taken as %v", text, x)
		}
	}
}
