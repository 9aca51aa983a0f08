package formula

import (
	"math"
	"strings"
	"testing"
)

func TestFormulas(t *testing.T) {
	for text, want := range map[string]float64{
		"1": 1, "1/2": 0.5, "2^3 - t": 7.5, "exp(1) * z": math.E * 3, "sqrt(2)**2": 2, "cos(pi)": -1, "min(t, z) + abs(-1)": 1.5, "log(exp(2*t))": 1,
	} {
		f, err := Compile(text, "t", "z")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.At(0.5, 3); err != nil || math.Abs(got-want) > 1e-15 {
			t.Errorf("%s is %v (%v), want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{"q + 1": "q", "1 +": "1 +", "": "", "'a'": "float", "t > 0": "bool"} {
		_, err := Compile(text, "t")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %v, want one line with %q", text, err, want)
		}
	}
}

func BenchmarkAt(b *testing.B) {
	f, err := Compile("exp(-t) * z + 1", "t", "z")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := f.At(0.5, 2); err != nil {
			b.Fatal(err)
		}
	}
}
