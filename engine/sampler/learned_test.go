package sampler

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"fluxion/engine/process"
)

// TestLearned: steps of a learnt variance are those of diffusers' DDPMScheduler with variance_type
// learned_range, of all steps of the schedule and of some.
func TestLearned(t *testing.T) {
	var cases []struct {
		Schedule                string
		Steps, Row              int
		Eps, V, Z, Noise, After []float64
	}
	text, err := os.ReadFile("testdata/learned.json")
	if err == nil {
		err = json.Unmarshal(text, &cases)
	}
	if err != nil || len(cases) == 0 {
		t.Fatal(len(cases), err)
	}
	s, err := Get("ddpm")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		p, err := process.Get(c.Schedule, process.ScheduleOptions{Shift: 1}, "eps")
		if err != nil {
			t.Fatal(err)
		}
		table, err := s.Plan(p, Options{Grid: "leading", Steps: c.Steps, Variance: Learned})
		if err != nil {
			t.Fatal(err)
		}
		r := table.Rows[c.Row]
		if (r.Spread != 0) != (c.Row < c.Steps-1) {
			t.Errorf("%s, row %d of %d: a spread of %g", c.Schedule, c.Row, c.Steps, r.Spread)
		}
		for i, want := range c.After {
			got := r.A*c.Z[i] + r.B[0]*c.Eps[i] + r.C*math.Exp(r.Spread*(1+c.V[i])/4)*c.Noise[i]
			if !(math.Abs(got-want) <= 1e-5*math.Max(1, math.Abs(want))) {
				t.Errorf("%s, row %d of %d: %g, want %g", c.Schedule, c.Row, c.Steps, got, want)
				break
			}
		}
	}
	for _, c := range []struct {
		given string
		says  bool
		want  string
	}{{"", true, Learned}, {"", false, ""}, {"large", true, "large"}, {"large", false, "large"}} {
		if o, err := s.Learning(Options{Variance: c.given}, c.says); err != nil || o.Variance != c.want {
			t.Errorf("%q of a network that says %v is %q, %v", c.given, c.says, o.Variance, err)
		}
	}
	if _, err := s.Learning(Options{Variance: Learned}, false); err == nil || !strings.Contains(err.Error(), "this one says none") {
		t.Errorf("a variance that nobody says: %v", err)
	}
}
