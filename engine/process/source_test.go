package process

import (
	"math"
	"strings"
	"testing"
)

func source(t *testing.T, text string) Source {
	t.Helper()
	s, err := GetSource(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The covariance of an offset is I + C·11ᵀ, that of a spectrum has the trace of I.
func TestAmplitudes(t *testing.T) {
	const h, w, c = 6, 4, 0.25
	a := source(t, "offset:0.25").Amplitudes(h, w)
	if math.Abs(a[0]-math.Sqrt(1+c*h*w)) > 1e-12 || a[1] != 1 || a[h*w-1] != 1 {
		t.Errorf("offset: %v", a)
	}
	for _, alpha := range []string{"-2", "0", "1", "4"} {
		a, power := source(t, "spectrum:"+alpha).Amplitudes(h, w), 0.0
		for _, x := range a {
			power += x * x / (h * w)
		}
		if math.Abs(power-1) > 1e-12 {
			t.Errorf("spectrum %s: mean power %g", alpha, power)
		}
	}
	// f(2, 0) is twice f(1, 0): power falls by 2^α.
	if a := source(t, "spectrum:3").Amplitudes(8, 8); math.Abs(a[8]/a[16]-math.Pow(2, 1.5)) > 1e-12 || a[0] != a[8] {
		t.Errorf("spectrum 3: amplitudes %v", a[:17])
	}
	if source(t, "gaussian").Amplitudes(h, w) != nil || !source(t, "gaussian").White() || source(t, "offset:1").White() || source(t, "uniform").Gaussian() {
		t.Error("gaussian is white, offset is not, uniform is not Gaussian")
	}
}

func TestSourceErrors(t *testing.T) {
	for text, want := range map[string]string{
		"gausian": `"gaussian"`, "uniform:3": "want uniform", "offset": "want offset:C", "offset:-1": "from 0 to 100", "offset:x": "from 0 to 100",
		"spectrum:9": "from -4 to 4", "spectrum:NaN": "from -4 to 4",
	} {
		if s, err := GetSource(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, error %v, want %q", text, s, err, want)
		}
	}
	for _, output := range Outputs() {
		p, err := Get("fm", ScheduleOptions{}, output)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.From(source(t, "offset:1")); err != nil {
			t.Errorf("%s: %v", output, err)
		}
		_, err = p.From(source(t, "laplace"))
		if score := output == "eps" || output == "score" || output == "edm"; score != (err != nil) {
			t.Errorf("%s of laplace: error %v", output, err)
		}
	}
	p, _ := Get("fm", ScheduleOptions{}, "u")
	p, _ = p.From(source(t, "uniform"))
	if _, err := NewObjective(p, "uniform", "elbo"); err == nil || !strings.Contains(err.Error(), "want plain") {
		t.Errorf("elbo of uniform: error %v", err)
	}
	if p.String() != "fm/u from uniform" || p.Under(p.Schedule).Source.String() != "uniform" {
		t.Errorf("%v", p)
	}
}
