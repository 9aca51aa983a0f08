package process

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// (f, g, η) ↔ (α, σ, ε), MATHEMATICS.md, sections 1 and 5, both ways and against closed forms.
func TestDrift(t *testing.T) {
	for name, c := range map[string]struct{ f, g func(t float64) float64 }{
		"vp-linear": {func(t float64) float64 { return -(0.1 + 19.9*t) / 2 }, func(t float64) float64 { return math.Sqrt(0.1 + 19.9*t) }},
		"fm":        {func(t float64) float64 { return -1 / (1 - t) }, func(t float64) float64 { return math.Sqrt(2 * t / (1 - t)) }},
		"cosine": {func(t float64) float64 { return -math.Pi / 2 * math.Tan(math.Pi*t/2) }, func(t float64) float64 {
			return math.Sqrt(math.Pi * math.Tan(math.Pi*t/2))
		}},
		"sub-vp": {func(t float64) float64 { return -(0.1 + 19.9*t) / 2 }, func(t float64) float64 {
			return math.Sqrt((0.1 + 19.9*t) * -math.Expm1(-2*(0.1*t+9.95*t*t)))
		}},
	} {
		t.Run(name, rapid.MakeCheck(func(r *rapid.T) {
			s, err := GetSchedule(name, ScheduleOptions{})
			if err != nil {
				r.Fatal(err)
			}
			at := rapid.Float64Range(0.02, 0.9).Draw(r, "t")
			f, g := Drift(s, at)
			near(r, "f", f, c.f(at), 1e-10)
			near(r, "g", g, c.g(at), 1e-9)
			eta := rapid.Float64Range(0, 3).Draw(r, "η")
			epsilon := Epsilon(s, at, eta)
			near(r, "η", Eta(s, at, epsilon), eta, 1e-12)
			near(r, "ε", epsilon, eta*c.g(at), 1e-9)
			// ε = η (2ασ ∂ₜ(σ/α))^{1/2} = η α (∂ₜ(σ/α)²)^{1/2}, the latter smooth at t = 0
			alpha, _ := s.AlphaSigma(at)
			rate := derivative(func(t float64) float64 { a, b := s.AlphaSigma(t); return b / a * b / a }, at)
			near(r, "ε", epsilon, eta*alpha*math.Sqrt(rate), 1e-9)
		}))
	}
}

func TestFromDrift(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for _, name := range []string{"vp-linear", "sub-vp", "ve"} {
		want, err := GetSchedule(name, ScheduleOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewFromDrift("again", func(t float64) float64 { f, _ := Drift(want, t); return f }, func(t float64) float64 { _, g := Drift(want, t); return g })
		if err != nil {
			t.Fatal(err)
		}
		for at := 0.05; at < 1; at += 0.05 {
			alpha, sigma := s.AlphaSigma(at)
			wantAlpha, wantSigma := want.AlphaSigma(at)
			if name == "ve" { // the SDE begins without noise, the schedule with 0.002
				wantSigma = math.Sqrt(wantSigma*wantSigma - 0.002*0.002)
			}
			near(t, name+" α", alpha/wantAlpha, 1, 1e-9)
			near(t, name+" σ", sigma/wantSigma, 1, 1e-9)
		}
	}
	if _, err := NewCustom("rising", func(t float64) (float64, float64) { return 1 + t, 1 }); err == nil {
		t.Error("takes a schedule whose λ rises")
	}
}
