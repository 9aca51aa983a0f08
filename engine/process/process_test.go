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

// variants are every schedule, plain and modified in every way it takes.
func variants(t rapid.TB) map[string]Schedule {
	t.Helper()
	list := map[string]Schedule{}
	for _, name := range Schedules() {
		for label, o := range map[string]ScheduleOptions{
			"": {}, " clipped": {MaxLogSNR: 8}, " shifted": {Shift: 0.4}, " shifted up": {Shift: 3}, " scaled": {Scale: "1 + t*t"}, " to zero": {ZeroSNR: true},
			" all": {ZeroSNR: true, Shift: 2, MaxLogSNR: 9, Scale: "exp(-t)"},
		} {
			s, err := GetSchedule(name, o)
			if o.ZeroSNR && (name == "ve" || name == "sub-vp") {
				if err == nil || !strings.Contains(err.Error(), "want a variance-preserving schedule") {
					t.Errorf("%s to zero SNR: error %v", name, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			list[name+label] = s
		}
	}
	return list
}

// below returns the schedule under all modifications, and its own time.
func below(s Schedule, t float64) (Schedule, float64) {
	for {
		m, ok := s.(Modified)
		if !ok {
			return s, t
		}
		if c, ok := m.(clipped); ok {
			t = c.time(t)
		}
		s, _ = m.Base()
	}
}

func TestSchedules(t *testing.T) {
	for name, s := range variants(t) {
		t.Run(name, rapid.MakeCheck(func(r *rapid.T) {
			at := rapid.Float64Range(1e-2, 1-1e-2).Draw(r, "t")
			h := 1e-5
			if base, inner := below(s, at); strings.HasPrefix(base.Name(), "ddpm-") { // smooth between steps only
				if _, u := math.Modf(inner * float64(base.(Discrete).Steps())); u < 0.01 || u > 0.99 {
					return
				}
				h = 1e-7
			}
			alpha, sigma := s.AlphaSigma(at)
			lambda := s.LogSNR(at)
			near(r, "λ", lambda, 2*(math.Log(alpha)-math.Log(sigma)), 1e-9)
			near(r, "t(λ)", s.TimeOf(lambda), at, 1e-11)
			pathAlpha, pathSigma := s.Path().At(lambda)
			near(r, "α on the path", pathAlpha/alpha, 1, 1e-9)
			near(r, "σ on the path", pathSigma/sigma, 1, 1e-9)

			a1, s1 := s.AlphaSigma(at + h)
			a0, s0 := s.AlphaSigma(at - h)
			dAlpha, dSigma := s.Velocity(at)
			near(r, "dα/dt", dAlpha, (a1-a0)/(2*h), 2e-5)
			near(r, "dσ/dt", dSigma, (s1-s0)/(2*h), 2e-5)
			rate := LogSNRRate(s, at)
			near(r, "dλ/dt", rate, (s.LogSNR(at+h)-s.LogSNR(at-h))/(2*h), 1e-3)
			if rate >= 0 {
				r.Errorf("λ does not decrease at %v", at)
			}
			dA, dS := s.Path().Tangent(alpha, sigma)
			near(r, "dα/dλ", dA*rate, dAlpha, 1e-9)
			near(r, "dσ/dλ", dS*rate, dSigma, 1e-9)
		}))
	}
}

// Values that others publish: ᾱ of DDPM's first and last step, Stable
// Diffusion's largest and smallest σ/α, EDM's range.
func TestPublishedNumbers(t *testing.T) {
	get := func(name string) Schedule {
		s, err := GetSchedule(name, ScheduleOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ratio := func(s Schedule, n float64) float64 {
		at, _ := StepTime(s, n)
		near(t, s.Name()+" step", s.NetworkTime(at), n, 1e-12)
		return math.Exp(-s.LogSNR(at) / 2)
	}
	near(t, "first σ/α of Stable Diffusion", ratio(get("ddpm-scaled-linear"), 0), 0.029167, 1e-4)
	near(t, "last σ/α of Stable Diffusion", ratio(get("ddpm-scaled-linear"), 999), 14.6146, 1e-5)
	near(t, "last σ/α of DDPM", ratio(get("ddpm-linear"), 999), 157.41, 1e-4)
	alpha, _ := get("ddpm-linear").AlphaSigma(0.001)
	near(t, "first α of DDPM", alpha*alpha, 0.9999, 1e-15)
	_, sigma := get("ve").AlphaSigma(1)
	near(t, "EDM's largest σ", sigma, 80, 1e-12)
	_, sigma = get("ve").AlphaSigma(0)
	near(t, "EDM's smallest σ", sigma, 0.002, 1e-15)
	alpha, _ = get("vp-linear").AlphaSigma(1)
	near(t, "last α of VP", alpha, math.Exp(-5.025), 1e-15)
	b := SquaredCosineBetas(1000)
	near(t, "last β of improved DDPM", b[999], 0.999, 0)
}

func TestScheduleEnds(t *testing.T) {
	for _, name := range []string{"fm", "cosine", "vp-fm"} {
		s, err := GetSchedule(name, ScheduleOptions{})
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
	for name, s := range variants(t) {
		for _, at := range []float64{0, 1} {
			a, b := s.AlphaSigma(at)
			for _, v := range []float64{a, b, s.NetworkTime(at), s.TimeOf(s.LogSNR(at))} {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Errorf("%s at %v: %v, %v, told %v", name, at, a, b, s.NetworkTime(at))
				}
			}
			near(t, name+" t(λ(t))", s.TimeOf(s.LogSNR(at)), at, 1e-9)
		}
		if strings.HasSuffix(name, " to zero") {
			if a, b := s.AlphaSigma(1); a != 0 || b != 1 {
				t.Errorf("%s ends at (%v, %v)", name, a, b)
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

// What each modification does to λ, α and σ: MATHEMATICS.md, section 1.
func TestModifications(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.SampledFrom(Schedules()).Draw(r, "schedule")
		at := rapid.Float64Range(0.01, 0.99).Draw(r, "t")
		shift := rapid.Float64Range(0.1, 0.9).Draw(r, "shift")
		get := func(o ScheduleOptions) Schedule {
			s, err := GetSchedule(name, o)
			if err != nil {
				r.Fatal(err)
			}
			return s
		}
		plain := get(ScheduleOptions{})
		shifted := get(ScheduleOptions{Shift: shift})
		near(r, "shifted λ", shifted.LogSNR(at), plain.LogSNR(at)+2*math.Log(shift), 1e-12)
		if name == "fm" { // SD3's formula, whose shift is the inverse
			_, sigma := shifted.AlphaSigma(at)
			k := 1 / shift
			near(r, "shifted σ", sigma, k*at/(1+(k-1)*at), 1e-12)
		}
		scaled := get(ScheduleOptions{Scale: "2 + sin(t)"})
		a, b := plain.AlphaSigma(at)
		sa, sb := scaled.AlphaSigma(at)
		near(r, "scaled α", sa, a*(2+math.Sin(at)), 1e-14)
		near(r, "scaled σ", sb, b*(2+math.Sin(at)), 1e-14)
		near(r, "scaled λ", scaled.LogSNR(at), plain.LogSNR(at), 0)
		clipped := get(ScheduleOptions{MaxLogSNR: 6})
		near(r, "clipped λ(0)", clipped.LogSNR(0), math.Min(6, plain.LogSNR(0)), 1e-9)
		near(r, "clipped λ(1)", clipped.LogSNR(1), math.Max(-6, plain.LogSNR(1)), 1e-9)
		base, o := Unmodified(get(ScheduleOptions{Shift: shift, MaxLogSNR: 6, Scale: "1 + t"}))
		if base.Name() != name || (o != ScheduleOptions{Shift: shift, MaxLogSNR: 6, Scale: "1 + t"}) {
			r.Errorf("taken apart: %s, %+v", base.Name(), o)
		}
	})
	// Lin et al.'s formula on √ᾱ, for the schedule of Stable Diffusion.
	plain, _ := GetSchedule("ddpm-scaled-linear", ScheduleOptions{})
	zero, err := GetSchedule("ddpm-scaled-linear", ScheduleOptions{ZeroSNR: true})
	if err != nil {
		t.Fatal(err)
	}
	first, _ := plain.AlphaSigma(0.001)
	last, _ := plain.AlphaSigma(1)
	for _, n := range []int{0, 1, 300, 998, 999} {
		at := float64(n+1) / 1000
		a, _ := plain.AlphaSigma(at)
		got, sigma := zero.AlphaSigma(at)
		near(t, "rescaled α", got, (a-last)*first/(first-last), 1e-12)
		near(t, "rescaled σ", sigma, math.Sqrt(1-got*got), 1e-12)
	}
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
}

// A network sampled along another schedule sees its own: the same λ, z in its
// units, its time; and its output says the same of x and ε.
func TestUnder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		schedules := rapid.SampledFrom(Schedules())
		output := rapid.SampledFrom([]string{"x", "eps", "u", "velocity", "edm", "score"}).Draw(r, "output")
		p, err := Get(schedules.Draw(r, "trained on"), ScheduleOptions{}, output)
		if err != nil {
			r.Fatal(err)
		}
		s, err := GetSchedule(schedules.Draw(r, "sampled along"), ScheduleOptions{Scale: "1 + t"})
		if err != nil {
			r.Fatal(err)
		}
		q := p.Under(s).Under(s).AtLogSNR(rapid.Float64Range(-4, 4).Draw(r, "λ"))
		own := p.AtLogSNR(q.LogSNR)
		x, eps := rapid.Float64Range(-2, 2).Draw(r, "x"), rapid.Float64Range(-2, 2).Draw(r, "ε")
		z := q.Alpha*x + q.Sigma*eps
		near(r, "input", q.Input*z, own.Input*(own.Alpha*x+own.Sigma*eps), 1e-9)
		near(r, "time", q.NetworkTime, own.NetworkTime, 1e-9)
		y := own.A*x + own.B*eps
		cx, ce, err := q.Convert()
		if err != nil {
			r.Fatal(err)
		}
		near(r, "x", cx.Z*z+cx.Y*y, x, 1e-9)
		near(r, "ε", ce.Z*z+ce.Y*y, eps, 1e-9)
	})
	// A network that never saw pure noise is not started there.
	p, _ := Get("ddpm-linear", ScheduleOptions{}, "eps")
	fm, _ := GetSchedule("fm", ScheduleOptions{})
	near(t, "start", fm.LogSNR(p.Under(fm).Start()), p.Schedule.LogSNR(1), 1e-9)
}

// Where y alone, or z alone, says what is asked for, there is a limit.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		output string
		at     float64
		a, b   float64
		want   Linear
	}{
		{"x", 0, 1, 0, Linear{Y: 1}}, {"eps", 1, 0, 1, Linear{Y: 1}}, {"eps", 0, 1, 0, Linear{Z: 1}}, {"score", 0, 1, 0, Linear{Z: 1}}, {"score", 0, 0, 1, Linear{}},
		{"edm", 0, 1, 0, Linear{Z: 1}}, {"edm", 1, 1, 0, Linear{Y: 0.5}}, {"x", 1, 0, 1, Linear{Z: 1}}, {"x", 1, 1, 0, Linear{Y: 1}},
	} {
		p, err := Get("fm", ScheduleOptions{}, c.output)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.At(c.at).To(c.a, c.b)
		if err != nil || math.Abs(got.Z-c.want.Z) > 1e-15 || math.Abs(got.Y-c.want.Y) > 1e-15 {
			t.Errorf("%s at %v: %v x + %v ε is %+v (%v), want %+v", c.output, c.at, c.a, c.b, got, err, c.want)
		}
	}
	// EDM's preconditioning (Karras et al. 2022, table 1), as it stands there.
	ve, _ := Get("ve", ScheduleOptions{}, "edm")
	for _, sigma := range []float64{0.002, 0.3, 1, 7, 80} {
		q := ve.AtLogSNR(-2 * math.Log(sigma))
		x, err := q.X()
		if err != nil {
			t.Fatal(err)
		}
		n := math.Sqrt(sigma*sigma + 0.25)
		near(t, "c_skip", x.Z, 0.25/(sigma*sigma+0.25), 1e-9)
		near(t, "c_out", x.Y, sigma*0.5/n, 1e-9)
		near(t, "c_in", q.Input, 1/n, 1e-9)
		near(t, "c_noise", q.NetworkTime, math.Log(sigma)/4, 1e-9)
	}
}

// TestErrorFactor: x̂ of ε is an error that grows with σ/α, that of other outputs is not.
func TestErrorFactor(t *testing.T) {
	for _, c := range []struct {
		schedule, output string
		at, want         float64
		limits           bool
	}{
		{"ddpm-linear", "eps", 1, 157.4, true}, {"ve", "eps", 1, 80, false}, {"fm", "eps", 1, math.Inf(1), true}, {"fm", "eps", 0.5, 1, false},
		{"cosine", "v", 1, 1, false}, {"fm", "u", 1, math.Sqrt2, false}, {"fm", "x", 1, 1, false}, {"cosine", "x", 0, 1, false},
	} {
		p, err := Get(c.schedule, ScheduleOptions{}, c.output)
		if err != nil {
			t.Fatal(err)
		}
		q := p.At(c.at)
		if got := q.ErrorFactor(); got != c.want && math.Abs(got/c.want-1) > 1e-3 || q.Limits() != c.limits {
			t.Errorf("%v at %v: errors times %g, limited: %v; want %g, %v", p, c.at, got, q.Limits(), c.want, c.limits)
		}
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

// The table of weightings (MATHEMATICS.md, section 3), each up to a constant.
func TestWeighting(t *testing.T) {
	sech := func(x float64) float64 { return 1 / math.Cosh(x) }
	normal := func(x, m, s float64) float64 { return math.Exp(-(x - m) * (x - m) / (2 * s * s)) }
	for _, c := range []struct {
		schedule, output, times string
		want                    func(l float64) float64
	}{
		{"fm", "u", "uniform", func(l float64) float64 { return math.Exp(-l / 2) }},
		{"cosine", "v", "uniform", func(l float64) float64 { return math.Exp(-l / 2) }},
		{"cosine", "velocity", "uniform", func(l float64) float64 { return math.Exp(-l / 2) }},
		{"cosine", "u", "uniform", func(l float64) float64 { return sech(l/2) * math.Pow(1+math.Exp(-l/2), 2) }},
		{"cosine", "eps", "uniform", func(l float64) float64 { return sech(l / 2) }},
		{"cosine", "x", "uniform", func(l float64) float64 { return sech(l/2) * math.Exp(-l) }},
		{"fm", "u", "logit-normal", func(l float64) float64 { return normal(l, 0, 2) * math.Pow(1+math.Exp(-l/2), 2) }},
	} {
		p, err := Get(c.schedule, ScheduleOptions{}, c.output)
		if err != nil {
			t.Fatal(err)
		}
		o, err := NewObjective(p, c.times, "plain")
		if err != nil {
			t.Fatal(err)
		}
		unit := o.Effective(0) / c.want(0)
		for l := -12.0; l <= 12; l += 0.5 {
			if ratio := o.Effective(l) / c.want(l) / unit; math.Abs(ratio-1) > 1e-9 {
				t.Errorf("%v with %s times: w(%v) is off by %v", p, c.times, l, ratio)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		err  func() error
		want []string
	}{
		{func() error { _, err := Get("cosin", ScheduleOptions{}, "u"); return err }, []string{`"cosine"?`, "vp-linear"}},
		{func() error { _, err := Get("zzzzzzz", ScheduleOptions{}, "u"); return err }, []string{`"zzzzzzz"`, "vp-linear"}},
		{func() error { _, err := Get("fm", ScheduleOptions{}, "EPS"); return err }, []string{`"eps"?`, "u, x, eps, v"}},
		{func() error { _, err := GetTimeSampler("logitnormal", nil); return err }, []string{`"logit-normal"?`}},
		{func() error { _, err := Get("ve", ScheduleOptions{}, "v"); return err }, []string{"want eps, x, u or edm"}},
		{func() error { _, err := Get("fm", ScheduleOptions{Shift: -1}, "u"); return err }, []string{"-1", "positive"}},
		{func() error { _, err := Get("fm", ScheduleOptions{Scale: "t"}, "u"); return err }, []string{"scale", "t = 0", "positive"}},
		{func() error { _, err := Get("fm", ScheduleOptions{Scale: "q"}, "u"); return err }, []string{"scale", "q"}},
		{func() error { _, err := GetTimeSampler("logit-normal:men=1", nil); return err }, []string{`"mean"?`}},
		{func() error { _, err := GetTimeSampler("uniform+stratifid", nil); return err }, []string{`"stratified"?`}},
		{func() error { _, err := GetWeighting("min-snr:gamma=x"); return err }, []string{"gamma", "x"}},
		{func() error { _, err := GetWeighting("minsnr"); return err }, []string{`"min-snr"?`}},
		{func() error { _, err := GetWeighting("elbo:a=1"); return err }, []string{"no parameters"}},
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
