package process

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func all(t *testing.T) []Process {
	t.Helper()
	var ps []Process
	for _, output := range Outputs() {
		for _, s := range []struct {
			name string
			o    ScheduleOptions
		}{{"fm", ScheduleOptions{}}, {"cosine", ScheduleOptions{}}, {"cosine", ScheduleOptions{MaxLogSNR: 20}}} {
			p, err := Get(s.name, s.o, output)
			if err != nil {
				t.Fatal(err)
			}
			ps = append(ps, p)
		}
	}
	return ps
}

func near(t rapid.TB, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*math.Max(1, math.Abs(want))) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestSchedules(t *testing.T) {
	for _, p := range all(t) {
		s := p.Schedule
		t.Run(p.String(), rapid.MakeCheck(func(r *rapid.T) {
			at := rapid.Float64Range(1e-3, 1-1e-3).Draw(r, "t")
			alpha, sigma := s.AlphaSigma(at)
			lambda := s.LogSNR(at)
			near(r, "λ", lambda, math.Log(alpha*alpha/(sigma*sigma)), 1e-12)
			near(r, "t(λ)", s.TimeOf(lambda), at, 1e-12)
			near(r, "n", s.NetworkTime(at), 1000*at, 1e-12)

			const h = 1e-5
			a1, s1 := s.AlphaSigma(at + h)
			a0, s0 := s.AlphaSigma(at - h)
			dAlpha, dSigma := s.Velocity(at)
			near(r, "dα/dt", dAlpha, (a1-a0)/(2*h), 1e-9)
			near(r, "dσ/dt", dSigma, (s1-s0)/(2*h), 1e-9)
			rate := LogSNRRate(s, at)
			near(r, "dλ/dt", rate, (s.LogSNR(at+h)-s.LogSNR(at-h))/(2*h), 1e-3)
			if rate >= 0 {
				r.Errorf("λ does not decrease at %v", at)
			}
		}))
	}
}

func TestScheduleEnds(t *testing.T) {
	for name, limit := range map[string]float64{"fm": 0, "cosine": 0} {
		s, err := GetSchedule(name, ScheduleOptions{MaxLogSNR: limit})
		if err != nil {
			t.Fatal(err)
		}
		for at, want := range map[float64][2]float64{0: {1, 0}, 1: {0, 1}} {
			if a, b := s.AlphaSigma(at); [2]float64{a, b} != want {
				t.Errorf("%s at %v is (%v, %v), want exactly %v", name, at, a, b, want)
			}
			if l := s.LogSNR(at); !math.IsInf(l, int(1-2*at)) || s.TimeOf(l) != at {
				t.Errorf("%s: λ(%v) = %v, back to %v", name, at, l, s.TimeOf(l))
			}
		}
	}
	s, _ := GetSchedule("cosine", ScheduleOptions{MaxLogSNR: 15})
	near(t, "λ(0)", s.LogSNR(0), 15, 1e-9)
	near(t, "λ(1)", s.LogSNR(1), -15, 1e-9)
	near(t, "λ(½)", s.LogSNR(0.5), 0, 1e-9)
	near(t, "t(99)", s.TimeOf(99), 0, 0)
	near(t, "t(−99)", s.TimeOf(-99), 1, 0)
}

func TestConvertInvertsTheRow(t *testing.T) {
	for _, p := range all(t) {
		t.Run(p.String(), rapid.MakeCheck(func(r *rapid.T) {
			q := p.At(rapid.Float64Range(0.01, 0.99).Draw(r, "t"))
			x := rapid.Float64Range(-3, 3).Draw(r, "x")
			eps := rapid.Float64Range(-3, 3).Draw(r, "eps")
			z, y := q.Alpha*x+q.Sigma*eps, q.A*x+q.B*eps
			cx, ce, err := q.Convert()
			if err != nil {
				r.Fatal(err)
			}
			near(r, "x", cx.Z*z+cx.Y*y, x, 1e-9)
			near(r, "ε", ce.Z*z+ce.Y*y, eps, 1e-9)

			s := rapid.Float64Range(0.1, 10).Draw(r, "scale") // s_t changes α and σ, and the coefficient of z
			q.Alpha, q.Sigma = s*q.Alpha, s*q.Sigma
			if p.Output.Name == "v" || p.Output.Name == "u" {
				return // their rows would change, too
			}
			sx, se, err := q.Convert()
			if err != nil {
				r.Fatal(err)
			}
			near(r, "scaled x", sx.Z*s*z+sx.Y*y, x, 1e-9)
			near(r, "scaled ε", se.Z*s*z+se.Y*y, eps, 1e-9)
		}))
	}
}

func TestConvertAtTheEnds(t *testing.T) {
	for _, c := range []struct {
		schedule, output string
		limit, at        float64
		fails            bool
	}{
		{"fm", "u", 0, 0, false}, {"fm", "u", 0, 1, false}, {"fm", "v", 0, 0, false}, {"fm", "v", 0, 1, false},
		{"fm", "x", 0, 0, true}, {"fm", "x", 0, 1, false}, {"fm", "eps", 0, 0, false}, {"fm", "eps", 0, 1, true},
		{"cosine", "u", 0, 0, false}, {"cosine", "u", 0, 1, false}, {"cosine", "v", 0, 1, false},
		{"cosine", "eps", 0, 1, true}, {"cosine", "x", 0, 0, true}, {"cosine", "eps", 20, 1, false}, {"cosine", "x", 20, 0, false},
	} {
		p, err := Get(c.schedule, ScheduleOptions{MaxLogSNR: c.limit}, c.output)
		if err != nil {
			t.Fatal(err)
		}
		x, eps, err := p.At(c.at).Convert()
		if (err != nil) != c.fails {
			t.Errorf("%v at %v: error %v", p, c.at, err)
		}
		for _, v := range []float64{x.Z, x.Y, eps.Z, eps.Y} {
			if math.IsInf(v, 0) || math.IsNaN(v) {
				t.Errorf("%v at %v: %v %v", p, c.at, x, eps)
			}
		}
	}
	if _, _, err := Data.Convert(); err == nil {
		t.Error("Data has an output")
	}
}

func TestStart(t *testing.T) {
	for _, c := range []struct {
		schedule, output string
		limit, want      float64
	}{{"fm", "u", 0, 1}, {"fm", "x", 0, 1}, {"cosine", "v", 0, 1}, {"cosine", "eps", 10, 1},
		{"cosine", "eps", 0, 1 - 2/math.Pi*math.Atan(math.Exp(-6.5))}, {"fm", "eps", 0, 1 / (1 + math.Exp(-6.5))}} {
		p, _ := Get(c.schedule, ScheduleOptions{MaxLogSNR: c.limit}, c.output)
		near(t, p.String()+" start", p.Start(), c.want, 1e-12)
	}
}

// The table of section 3, each up to a constant.
func TestWeighting(t *testing.T) {
	sech := func(x float64) float64 { return 1 / math.Cosh(x) }
	normal := func(x, m, s float64) float64 { return math.Exp(-(x - m) * (x - m) / (2 * s * s)) }
	for _, c := range []struct {
		schedule, output, times string
		want                    func(l float64) float64
	}{
		{"fm", "u", "uniform", func(l float64) float64 { return math.Exp(-l / 2) }},
		{"cosine", "v", "uniform", func(l float64) float64 { return math.Exp(-l / 2) }},
		{"cosine", "u", "uniform", func(l float64) float64 { return math.Exp(-l / 2) }},
		{"cosine", "eps", "uniform", func(l float64) float64 { return sech(l / 2) }},
		{"cosine", "x", "uniform", func(l float64) float64 { return sech(l/2) * math.Exp(-l) }},
		{"fm", "u", "logit-normal", func(l float64) float64 { return normal(l, 0, 2) * math.Pow(1+math.Exp(-l/2), 2) }},
	} {
		p, err := Get(c.schedule, ScheduleOptions{}, c.output)
		if err != nil {
			t.Fatal(err)
		}
		times, err := GetTimeSampler(c.times)
		if err != nil {
			t.Fatal(err)
		}
		unit := p.Weighting(times, 0) / c.want(0)
		for l := -12.0; l <= 12; l += 0.5 {
			if ratio := p.Weighting(times, l) / c.want(l) / unit; math.Abs(ratio-1) > 1e-9 {
				t.Errorf("%v with %s times: w(%v) is off by %v", p, c.times, l, ratio)
			}
		}
	}
}

func TestTimeSamplers(t *testing.T) {
	for _, name := range TimeSamplers() {
		s, err := GetTimeSampler(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, rapid.MakeCheck(func(r *rapid.T) {
			u := rapid.Float64Range(0.001, 0.999).Draw(r, "u")
			const h = 1e-6
			rate := (s.Time(u+h) - s.Time(u-h)) / (2 * h) // dt/du = 1/p(t)
			near(r, "density", s.Density(s.Time(u))*rate, 1, 1e-5)
		}))
		for _, u := range []float64{0x1p-53, 0.5, 1 - 0x1p-53} {
			if at := s.Time(u); !(at > 0 && at < 1) {
				t.Errorf("%s: %v becomes %v", name, u, at)
			}
		}
		near(t, "median", s.Time(0.5), 0.5, 1e-15)
	}
	// 0.975 of the normal distribution is 1.959963984540054.
	s, _ := GetTimeSampler("logit-normal")
	near(t, "quantile", s.Time(0.975), 1/(1+math.Exp(-1.959963984540054)), 1e-12)
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		err  func() error
		want []string
	}{
		{func() error { _, err := Get("cosin", ScheduleOptions{}, "u"); return err }, []string{`"cosine"?`, "fm, cosine"}},
		{func() error { _, err := Get("zzzzzzz", ScheduleOptions{}, "u"); return err }, []string{`"zzzzzzz"`, "fm, cosine"}},
		{func() error { _, err := Get("fm", ScheduleOptions{}, "EPS"); return err }, []string{`"eps"?`, "u, x, eps, v"}},
		{func() error { _, err := GetTimeSampler("logitnormal"); return err }, []string{`"logit-normal"?`}},
		{func() error { _, err := Get("fm", ScheduleOptions{MaxLogSNR: 20}, "u"); return err }, []string{"fm", "cosine"}},
		{func() error { _, err := Get("cosine", ScheduleOptions{MaxLogSNR: -1}, "u"); return err }, []string{"-1"}},
	} {
		err := c.err()
		if err == nil {
			t.Errorf("no error, want one with %q", c.want)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("error %q does not say %q", err, w)
			}
		}
	}
}
