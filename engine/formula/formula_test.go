package formula

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestFormulas: values are those of expr-lang 1.17 and of Python, whose powers
// bind alike.
func TestFormulas(t *testing.T) {
	for text, want := range map[string]float64{
		"1": 1, "1/2": 0.5, "2^3 - t": 7.5, "exp(1) * z": math.E * 3, "sqrt(2)**2": 2, "cos(pi)": -1, "min(t, z) + abs(-1)": 1.5, "log(exp(2*t))": 1,
		"-2^2": -4, "2^3^2": 512, "2^-1": 0.5, "2^-2^2": 1. / 16, "-t*z": -1.5, "1-2-3": -4, "8/4/2": 1, "2*-3": -6, "- -1": 1, "+t": 0.5,
		".5e1": 5, "1e-3": 1e-3, "2.": 2, "max(1,2,t,z)": 3, "min(z)": 3, "ceil(t)+floor(t)+round(2.5)": 4, "erf(0)": 0, "(1+t)*(1-t)": 0.75,
		"1 + t*t": 1.25, "2 + sin(t)": 2 + math.Sin(0.5), "exp(-t)": math.Exp(-0.5), "2-t": 1.5, "0.3*z + 0.6*sin(1.7*z + 0.004*t)": 0.9 + 0.6*math.Sin(5.1+0.002),
		"1/0": math.Inf(1), "t2": 7,
	} {
		f, err := Compile(text, "t", "z", "t2")
		if err != nil {
			t.Fatal(err)
		}
		if got := f.At(0.5, 3, 7); got != want && !(math.Abs(got-want) <= 1e-15) {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"q + 1": `"q"`, "1 +": "ends", "": "ends", "'a'": `'\''`, "t > 0": `'>'`, "t t": `"t"`, "(t": "ends", "t)": `")"`, "sin": `"sin"`, "sin()": `")"`,
		"sin(t, t)": "want one", "t(1)": `function "t"`, "map(1..1e9, # * 2)": `'#'`, "let x = 1; x": `'='`, "[1, 2]": `'['`, "t ? 1 : 2": `'?'`, "sum(t)": `"sum"`,
		"1e999": "too large", "1.2.3": "no number", "1e": `"e"`, "a.b": `"a"`, "t % 2": `'%'`, "t\x00": `'\x00'`, "π": "'π'",
		strings.Repeat("(", MaxDepth+1) + "t" + strings.Repeat(")", MaxDepth+1): "deeper", strings.Repeat("-", MaxDepth+1) + "t": "deeper",
		strings.Repeat("2^", MaxDepth+1) + "t": "deeper", strings.Repeat("t+", MaxLength) + "t": "at most",
		strings.Repeat("v", 900): "…", "t " + strings.Repeat("v", 900): "…", strings.Repeat("v", 900) + "(t)": "…", strings.Repeat("1.", 450): "…", strings.Repeat("9", 900): "…",
	} {
		_, err := Compile(text, "t")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 600 {
			t.Errorf("%q: error %v, want one line with %q", text, err, want)
		}
	}
}

// TestLargest: a formula as long and as deep as one may be takes no time.
func TestLargest(t *testing.T) {
	deep := strings.Repeat("(", MaxDepth/3) + strings.Repeat("max(t,2)^-", MaxDepth/5) + "t" + strings.Repeat(")", MaxDepth/3)
	for _, text := range []string{deep, strings.Repeat("t+", MaxLength/2-1) + "t", "max(" + strings.Repeat("t,", 400) + "t)"} {
		begin := time.Now()
		f, err := Compile(text, "t")
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			f.At(0.5)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%.20s…: a thousand values took %v", text, took)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		"1+t", "exp(-t) * z + 1", "-2^-3^2", "max(t,z,pi)", "map(1..1e9, #)", "((((", "1e+", "..5", "t**z**t", "'a'", "π",
		strings.Repeat("(", 1000), strings.Repeat("-", 999) + "t", "repeat('a', 1e9)", "let x = 1; x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Compile(text, "t", "z")
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000 || !utf8.ValidString(err.Error()) {
				t.Errorf("%q: error %q, want one line", text, err)
			}
			return
		}
		if x, y := c.At(0.5, 2), c.At(0.5, 2); x != y && !(math.IsNaN(x) && math.IsNaN(y)) {
			t.Errorf("%q is %v, then %v", text, x, y)
		}
	})
}

func BenchmarkAt(b *testing.B) {
	f, err := Compile("exp(-t) * z + 1", "t", "z")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f.At(0.5, 2)
	}
}
