package objective

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"fluxion/engine/process"
	"fluxion/kernels/philox"
)

// TestStepSampler: shares of steps are those of the paper's code, and of what is drawn.
func TestStepSampler(t *testing.T) {
	var cases []struct {
		Steps         []int
		Terms, Shares []float64
	}
	text, err := os.ReadFile("testdata/resampler.json")
	if err == nil {
		err = json.Unmarshal(text, &cases)
	}
	if err != nil || len(cases) == 0 {
		t.Fatal(len(cases), err)
	}
	s := newStepSampler(3, 2, 0.001, 4)
	for k, c := range cases {
		for i, n := range c.Steps {
			s.observe(n, c.Terms[i])
		}
		s.observe(0, math.NaN()) // of the next training step: left out
		s.seen = 0
		for n, want := range c.Shares {
			if got := s.share(n); math.Abs(got-want) > 1e-12 {
				t.Errorf("after %d steps, step %d of the chain has a share of %g, want %g", k+1, n, got, want)
			}
		}
	}
	const draws = 100_000
	counts := make([]float64, 3)
	for i := range draws {
		counts[s.step((float64(i)+0.5)/draws)]++
	}
	for n := range counts {
		if math.Abs(counts[n]/draws-s.share(n)) > 2./draws {
			t.Errorf("step %d is drawn %g times of %d, want a share of %g", n, counts[n], draws, s.share(n))
		}
	}
	if a, b := s.step(math.Nextafter(1, 0)), s.step(0); a != 2 || b != 0 {
		t.Errorf("the ends are steps %d and %d", b, a)
	}
}

// theBound is the objective on a schedule.
func theBound(t *testing.T, name string) *vlb {
	t.Helper()
	h := ofSteps(t, "ddpm-linear", "eps", true)
	kind, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	made, err := kind.New(Setup{Seed: 3, Batch: 4, Objective: process.Objective{Process: h.Process(), Times: h.Times, Weighting: h.Weighting}})
	if err != nil {
		t.Fatal(err)
	}
	return made.(*vlb)
}

// TestVLBUnbiased: whatever the shares, the mean over draws of what an image weighs times its
// term is the sum over all steps; with shares by the terms it scatters least.
func TestVLBUnbiased(t *testing.T) {
	v := theBound(t, "vlb:history=1,uniform=0")
	term := func(n int) float64 { return 10 / (1 + float64(n)) }
	want := 0.0
	for n := range v.chain.Steps {
		want += term(n)
	}
	estimate := func() (mean, deviation float64) {
		const images = 4000
		var squares float64
		for at := range int64(images) {
			n := v.stepAt(at)
			q := v.chain.At(v.chain.Time(n))
			x := v.numbers(n, q, 1/v.steps.share(n))[0] * term(n)
			mean, squares = mean+x/images, squares+x*x/images
		}
		return mean, math.Sqrt((squares - mean*mean) / images)
	}
	mean, before := estimate()
	if math.Abs(mean-want) > 4*before {
		t.Errorf("uniform: %g ± %g, want %g", mean, before, want)
	}
	for n := range v.chain.Steps {
		v.Observe(Observation{Step: n}, term(n))
	}
	if mean, after := estimate(); math.Abs(mean-want) > 1e-9*want || after > 1e-5*before {
		t.Errorf("by terms that are known: %g ± %g, want %g and no scatter", mean, after, want)
	}
}

// TestVLBState: what is learnt is stored and goes on, and what no run leaves is refused.
func TestVLBState(t *testing.T) {
	v, other := theBound(t, "vlb:history=2"), theBound(t, "vlb:history=2")
	for i := range 4 * 1000 {
		v.Observe(Observation{Step: i % 1000}, philox.Uniform64(1, philox.Time, uint64(i), 0))
	}
	text, err := v.State().Store()
	if err != nil {
		t.Fatal(err)
	}
	take, err := other.State().Load(text)
	if err == nil {
		err = take()
	}
	if err != nil {
		t.Fatal(err)
	}
	differ, fresh := 0, theBound(t, "vlb")
	for at := range int64(100) {
		if a, b := v.stepAt(at), other.stepAt(at); a != b || v.steps.share(a) != other.steps.share(a) {
			t.Fatalf("image %d is of step %d, and of %d after going on", at, a, b)
		} else if a != fresh.stepAt(at) {
			differ++
		}
	}
	if differ == 0 {
		t.Error("steps are drawn as without what was learnt")
	}
	if theBound(t, "vlb:history=0").State() != nil {
		t.Error("uniform times have a state")
	}
	for want, bad := range map[string]string{
		"terms of 1 steps":  `{"terms":[[1]]}`,
		"3 terms of step 0": `{"terms":[[1,2,3]` + strings.Repeat(",[]", 999) + `]}`,
		"is a string":       `{"terms":"x"}`,
		"term 1e+200":       `{"terms":[[1e200]` + strings.Repeat(",[]", 999) + `]}`,
	} {
		if _, err := other.State().Load([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: %v, want %q", bad, err, want)
		}
	}
}

func TestVLBRefuses(t *testing.T) {
	p, err := process.Get("ddpm-linear", process.ScheduleOptions{Shift: 1}, "eps")
	if err != nil {
		t.Fatal(err)
	}
	of := func(times, weighting string) process.Objective {
		o, err := process.NewObjective(p, times, weighting)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	uniform := of("uniform", "plain")
	if uniform.Process.Source, err = process.GetSource("uniform"); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]struct {
		name  string
		setup Setup
	}{
		"the source is uniform": {"vlb", Setup{Objective: uniform}},
		"history is 0.5":        {"vlb:history=0.5", Setup{Objective: of("uniform", "plain")}},
		"uniform is 1":          {"vlb:uniform=1", Setup{Objective: of("uniform", "plain")}},
		"draws its own times":   {"vlb", Setup{Objective: of("adaptive", "elbo")}},
		"bound is of squares":   {"vlb", Setup{Objective: of("uniform", "plain"), Distance: "huber"}},
		"what the bound weighs": {"vlb", Setup{Objective: of("uniform", "plain"), Uncertainty: NewUncertainty(4)}},
	} {
		kind, err := Find(c.name)
		if err == nil {
			_, err = kind.New(c.setup)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", c.name, err, want)
		}
	}
}
