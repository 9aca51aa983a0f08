package objective

import (
	"math"
	"strings"
	"testing"
)

// TestUncertaintyGradient: the slope that is gathered over a step is that of the mean of
// e^−u ℓ + u, by differences in each weight.
func TestUncertaintyGradient(t *testing.T) {
	levels, errors := []float64{-6, 0.5, 3, math.Inf(1)}, []float64{0.2, 1.5, 0.01, 4}
	u := NewUncertainty(len(levels) + 1) // so that there is no step
	for k := range u.Weights {
		u.Weights[k] = math.Sin(float64(k)) / 4
	}
	loss := func() (sum float64) {
		for i, lambda := range levels {
			sum += math.Exp(-u.At(lambda))*errors[i] + u.At(lambda)
		}
		return sum
	}
	for i, lambda := range levels {
		u.Observe(lambda, errors[i])
	}
	for k, got := range u.gradient {
		const h = 1e-5
		u.Weights[k] += h
		above := loss()
		u.Weights[k] -= 2 * h
		want := (above - loss()) / (2 * h)
		u.Weights[k] += h
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("weight %d has slope %v, want %v", k, got, want)
		}
	}
}

// TestUncertaintyOptimum: of errors with a mean ℓ(λ) it comes to be ln ℓ(λ).
func TestUncertaintyOptimum(t *testing.T) {
	const batch, steps = 32, 1500
	u := NewUncertainty(batch)
	mean := func(lambda float64) float64 { return math.Exp(lambda/4 - 1) }
	for i := range steps * batch {
		q := math.Mod(float64(i)*0.6180339887498949, 1)
		lambda := 16*q - 8
		u.Observe(lambda, mean(lambda)*(0.5+math.Mod(float64(i)*0.7548776662466927, 1))) // of mean 1
	}
	for lambda := -7.0; lambda <= 7; lambda++ {
		if got, want := u.At(lambda), math.Log(mean(lambda)); math.Abs(got-want) > 0.1 {
			t.Errorf("at %v it is %.3f, want %.3f", lambda, got, want)
		}
	}
	if u.Steps != steps {
		t.Errorf("%d steps", u.Steps)
	}
}

// TestUncertaintyState: what is stored goes on to the bit; what cannot be is refused.
func TestUncertaintyState(t *testing.T) {
	a, b := NewUncertainty(2), NewUncertainty(2)
	for i := range 10 {
		a.Observe(float64(i), 0.3)
	}
	text, err := a.state().Store()
	if err != nil {
		t.Fatal(err)
	}
	take, err := b.state().Load(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := take(); err != nil {
		t.Fatal(err)
	}
	for _, u := range []*Uncertainty{a, b} {
		u.Observe(1, 2)
		u.Observe(-1, 0.1)
	}
	if a.At(0.7) != b.At(0.7) || a.At(0.7) == 0 {
		t.Errorf("%v goes on as %v", a.At(0.7), b.At(0.7))
	}
	for bad, want := range map[string]string{
		`{"weights":[1]}`: "129", strings.Replace(string(text), `"steps":5`, `"steps":-1`, 1): "key steps: -1, want 0 or more",
	} {
		if _, err := b.state().Load([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v", bad, err)
		}
	}
}
