package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
)

// traced is what trace --json prints.
type traced struct {
	Grid []struct {
		T, Alpha, Sigma float64
		Lambda          *float64
		N               float64
	}
	States  [][]float64
	Calls   []struct{ Point, N float64 }
	Weights *struct {
		Start          float64
		Outputs, Noise []float64
	}
	Sampler, Schedule string
}

func runTrace(t *testing.T, args ...string) traced {
	t.Helper()
	out, code, err := fluxion(t, append([]string{"trace", "--json"}, args...)...)
	if err != nil {
		t.Fatalf("%v: code %d, %v", args, code, err)
	}
	var r traced
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	return r
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.json")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// The exact flow of a Gaussian, from the command line.
func TestTrace(t *testing.T) {
	r := runTrace(t, "--schedule", "fm", "--steps", "200", "--sampler", "heun", "--denoiser", "gaussian:mean=0.3,var=0.25", "--output", "u", "--z", "1.2,-0.4")
	last := r.States[len(r.States)-1]
	for i, z := range []float64{1.2, -0.4} {
		if want := 0.3 + 0.5*z; math.Abs(last[i]-want) > 1e-3 {
			t.Errorf("z = %v becomes %v, want %v", z, last[i], want)
		}
	}
	if len(r.Grid) != 201 || len(r.States) != 201 || len(r.Calls) != 399 || r.Sampler != "heun" || r.Schedule != "fm" {
		t.Errorf("%d entries, %d states, %d calls of %s on %s", len(r.Grid), len(r.States), len(r.Calls), r.Sampler, r.Schedule)
	}
	if r.Grid[0].Lambda != nil || r.Grid[200].Lambda != nil || *r.Grid[100].Lambda != 0 || r.Grid[0].N != 1000 {
		t.Errorf("ends %+v, %+v", r.Grid[0], r.Grid[200])
	}
	if r.Weights == nil || len(r.Weights.Outputs) != 399 || r.Weights.Start != 1 || len(r.Weights.Noise) != 0 {
		t.Errorf("weights %+v", r.Weights)
	}

	// Step numbers of a discrete schedule are what the network is told.
	r = runTrace(t, "--schedule", "ddpm-linear", "--grid", "trailing", "--steps", "10", "--denoiser", "formula:n", "--output", "eps", "--z", "0")
	for i, c := range r.Calls {
		if c.N != float64(999-100*i) || c.Point != float64(i) {
			t.Errorf("call %d: %+v", i, c)
		}
	}

	// Draws in order, from a file; z from a file.
	noise := write(t, "[[0.5],[-0.2],[1]]")
	args := []string{"--schedule", "cosine", "--grid", "t:0.9,0.5,0.2", "--sampler", "lcm", "--denoiser", "formula:0", "--output", "x", "--noise", "@" + noise, "--z", "@" + write(t, "[3]")}
	r = runTrace(t, args...)
	for i, xi := range []float64{0.5, -0.2} { // x̂ = 0: nothing but fresh noise
		if want := r.Grid[i+1].Sigma * xi; math.Abs(r.States[i+1][0]-want) > 1e-15 {
			t.Errorf("state %d is %v, want %v", i+1, r.States[i+1], want)
		}
	}
	if a, b := runTrace(t, append(args[:len(args)-4:len(args)-4], "--z", "1", "--seed", "4")...), runTrace(t, append(args[:len(args)-4:len(args)-4], "--z", "1", "--seed", "5")...); a.States[2][0] == b.States[2][0] {
		t.Error("two seeds draw the same noise")
	}

	out, _, err := fluxion(t, "trace", "--steps", "2", "--denoiser", "gaussian:mean=0,var=1", "--z", "1")
	if err != nil || !strings.Contains(out, "ddim on fm/x, 2 calls") || strings.Count(out, "\n") != 5 {
		t.Errorf("table:\n%s%v", out, err)
	}
}

func TestTraceNamesEverything(t *testing.T) {
	out, _, err := fluxion(t, "trace", "--list", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var list map[string][]choice
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	text, _, err := fluxion(t, "trace", "--list")
	if err != nil {
		t.Fatal(err)
	}
	for kind, names := range map[string][]string{
		"schedules": process.Schedules(), "samplers": sampler.Names(), "grids": sampler.Grids(), "outputs": process.Outputs(),
		"weightings": process.Weightings(), "time_samplers": process.TimeSamplers(),
	} {
		for _, name := range names {
			found := false
			for _, c := range list[kind] {
				found = found || c.Name == name && c.About != ""
			}
			if !found || !strings.Contains(text, "\n  "+name+" ") {
				t.Errorf("%s %s is not in the list", kind, name)
			}
		}
	}
	for _, name := range strings.Fields("fm cosine vp-fm vp-linear ddpm-linear ddpm-scaled-linear ddpm-squaredcos ddpm-sigmoid ve sub-vp ddim ddpm churn ancestral edm-churn euler ode-euler midpoint heun dpm-2 dpm-3 dpm++-1 dpm++-2s dpm++-2m dpm++-3m dpm++-2m-sde dpm++-sde unipc deis lms pndm sde lcm tcd consistency rk45") {
		if !strings.Contains(text, "\n  "+name+" ") {
			t.Errorf("%s has lost its name", name)
		}
	}
}

// What cannot be is refused with one line that says what would work.
func TestTraceRefuses(t *testing.T) {
	base := []string{"trace", "--steps", "5", "--denoiser", "gaussian:mean=0,var=1", "--z", "1"}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--sampler", "rk45", "--churn", "0.3"}, exitUsage, "churn, edm-churn do"},
		{[]string{"--schedule", "ve", "--output", "v"}, exitUsage, "want eps, x, u or edm"},
		{[]string{"--steps", "0", "--grid", "t:0.2,0.8"}, exitUsage, "t falls"},
		{[]string{"--steps", "0"}, exitUsage, "at least 1"},
		{[]string{"--schedule", "cosin"}, exitUsage, `"cosine"?`},
		{[]string{"--sampler", "dpm++2m"}, exitUsage, `"dpm++-2m"?`},
		{[]string{"--output", "noise"}, exitUsage, "eps"},
		{[]string{"--z", "a"}, exitUsage, "@FILE.json"},
		{[]string{"--z", ""}, exitUsage, "--z are needed"},
		{[]string{"--noise", "3"}, exitUsage, "@FILE.json"},
		{[]string{"--noise", "@/nowhere.json"}, exitInput, "nowhere"},
		{[]string{"--scale", "t"}, exitUsage, "positive"},
		{[]string{"--shift", "-1"}, exitUsage, "positive"},
		{[]string{"--schedule", "ve", "--zero-snr"}, exitUsage, "variance-preserving"},
		{[]string{"--start", "7"}, exitUsage, "0 to 4"},
		{[]string{"--sampler", "ddpm", "--noise", "@" + write(t, "[[1]]")}, exitUsage, "one list for each draw"},
		{[]string{"--sampler", "ddpm", "--invert"}, exitUsage, "cannot be inverted"},
	} {
		out, code, err := fluxion(t, append(base[:len(base):len(base)], c.args...)...)
		if err == nil || code != c.code || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || out != "" {
			t.Errorf("%v: code %d, %v, printed %q; want %d and %q", c.args, code, err, out, c.code, c.want)
		}
	}
}
