package process

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"
	"pgregory.net/rapid"
)

func timesOf(t rapid.TB, name, schedule string) TimeSampler {
	t.Helper()
	s, err := GetSchedule(schedule, ScheduleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	times, err := GetTimeSampler(name, s)
	if err != nil {
		t.Fatal(err)
	}
	return times
}

// The density is dt/du's inverse, increasing times stay in (0, 1), and the
// density integrates to 1.
func TestTimeSamplers(t *testing.T) {
	for _, name := range append(TimeSamplers(), "logit-normal:mean=-0.7,std=1.4", "mode:scale=0.8", "edm:mean=0.5,std=0.6", "u-shaped:a=1", "uniform-lambda:max=5") {
		for _, schedule := range []string{"fm", "cosine", "ve", "ddpm-linear"} {
			s := timesOf(t, name, schedule)
			if s.Adaptive != nil {
				continue // steps in its density; see TestAdaptive
			}
			t.Run(name+" "+schedule, rapid.MakeCheck(func(r *rapid.T) {
				u := rapid.Float64Range(0.01, 0.99).Draw(r, "u")
				const h = 1e-6
				if schedule == "ddpm-linear" && (name != "uniform") {
					a, b := s.Time(u), s.Time(u+0.005)
					if !(a < b) {
						r.Errorf("times fall: %v, %v", a, b)
					}
					return // λ has kinks at the steps
				}
				rate := (s.Time(u+h) - s.Time(u-h)) / (2 * h) // dt/du = 1/p(t)
				near(r, "density", s.Density(s.Time(u))*rate, 1, 1e-5)
			}))
			for _, u := range []float64{0x1p-53, 0.5, 1 - 0x1p-53} {
				if at := s.Time(u); !(at >= 0 && at <= 1) {
					t.Errorf("%s: %v becomes %v", name, u, at)
				}
			}
		}
	}
	for _, name := range []string{"uniform", "logit-normal", "mode", "cosmap"} {
		near(t, name+" median", timesOf(t, name, "fm").Time(0.5), 0.5, 1e-12)
	}
	// 0.975 of the normal distribution is 1.959963984540054.
	near(t, "quantile", timesOf(t, "logit-normal", "fm").Time(0.975), 1/(1+math.Exp(-1.959963984540054)), 1e-12)
	near(t, "EDM's quantile", -2*math.Log(math.Exp(-1.2+1.2*1.959963984540054)), math.Log(math.Pow(math.Exp(-1.2+1.2*1.959963984540054), -2)), 1e-12)
	ve, _ := GetSchedule("ve", ScheduleOptions{})
	_, sigma := ve.AlphaSigma(timesOf(t, "edm", "ve").Time(0.5))
	near(t, "EDM's median σ", sigma, math.Exp(-1.2), 1e-3)
}

// Spread draws of a batch: one in each part, or equally spaced.
func TestSpread(t *testing.T) {
	draw := func(at int64) float64 { return math.Mod(float64(at)*0.37+0.21, 1) }
	const batch = 8
	for suffix, spaced := range map[string]bool{"stratified": false, "low-discrepancy": true} {
		s := timesOf(t, "uniform+"+suffix, "fm")
		for first := int64(0); first < 5*batch; first += batch {
			seen := [batch]int{}
			for i := range int64(batch) {
				u := s.Uniform(first+i, batch, draw)
				if !(u > 0 && u < 1) {
					t.Errorf("%s: %v", suffix, u)
				}
				seen[int(u*batch)]++
				if spaced && i > 0 {
					gap := math.Mod(u-s.Uniform(first+i-1, batch, draw)+1, 1)
					near(t, "gap", gap, 1.0/batch, 1e-12)
				}
			}
			if seen != [batch]int{1, 1, 1, 1, 1, 1, 1, 1} {
				t.Errorf("%s: images in the parts of (0, 1): %v", suffix, seen)
			}
		}
	}
	near(t, "independent", timesOf(t, "uniform", "fm").Uniform(5, batch, draw), draw(5), 0)
}

// The table of weightings (MATHEMATICS.md, section 3): what each is in closed form, whatever the
// configuration that asks for it.
func TestWeightings(t *testing.T) {
	normal := func(x, m, s float64) float64 { return math.Exp(-(x - m) * (x - m) / (2 * s * s)) }
	flow := func(l float64) float64 { return math.Pow(1+math.Exp(-l/2), 2) }
	time := func(l float64) float64 { return 1 / (1 + math.Exp(l/2)) }
	for name, want := range map[string]func(l float64) float64{
		"elbo":                 func(float64) float64 { return 1 },
		"fm":                   func(l float64) float64 { return math.Exp(-l / 2) },
		"sech":                 func(l float64) float64 { return 2 / (math.Exp(l/2) + math.Exp(-l/2)) },
		"edm":                  func(l float64) float64 { return normal(l, 2.4, 2.4) * (math.Exp(-l) + 0.25) },
		"sd3":                  func(l float64) float64 { return normal(l, 0, 2) * flow(l) },
		"sd3:mean=0.5,std=0.6": func(l float64) float64 { return normal(l, -1, 1.2) * flow(l) },
		"sd3-cosmap": func(l float64) float64 {
			u := time(l)
			return u * (1 - u) / (1 - 2*u + 2*u*u) * flow(l)
		},
		"sigmoid":        func(l float64) float64 { return 1 / (1 + math.Exp(l-2)) },
		"sigmoid:bias=0": func(l float64) float64 { return 1 / (1 + math.Exp(l)) },
	} {
		for _, c := range [][3]string{{"fm", "u", "uniform"}, {"cosine", "eps", "logit-normal"}, {"ve", "edm", "edm"}} {
			p, err := Get(c[0], ScheduleOptions{}, c[1])
			if err != nil {
				t.Fatal(err)
			}
			o, err := NewObjective(p, c[2], name)
			if err != nil {
				t.Fatal(err)
			}
			unit := o.Effective(0) / want(0)
			for l := -6.0; l <= 10; l += 0.5 {
				near(t, name, o.Effective(l)/want(l)/unit, 1, 1e-9)
			}
		}
	}
	// SD3's mode sampling, by its density's definition.
	w, _ := GetWeighting("sd3-mode")
	s := timesOf(t, "mode", "fm")
	near(t, "mode", w.Of(1.3, 0, 0)/w.Of(0.2, 0, 0),
		s.Density(time(1.3))*time(1.3)*(1-time(1.3))*flow(1.3)/(s.Density(time(0.2))*time(0.2)*(1-time(0.2))*flow(0.2)), 1e-12)
	edm, _ := GetWeighting("edm")
	monotone, _ := GetWeighting("monotone-edm")
	peak := 0.0
	for l := -20.0; l <= 20; l += 0.001 {
		peak = math.Max(peak, edm.Of(l, 0, 0))
	}
	for l := -20.0; l <= 20; l += 0.25 {
		m, e := monotone.Of(l, 0, 0), edm.Of(l, 0, 0)
		if m < e*(1-1e-12) || m > monotone.Of(l-0.25, 0, 0)*(1+1e-12) || (l > 3 && m != e) {
			t.Errorf("monotone EDM at %v is %v where EDM is %v", l, m, e)
		}
	}
	near(t, "monotone EDM's height", monotone.Of(-20, 0, 0), peak, 1e-6)
}

// Weightings that are factors on a loss: the factor on each output's error, as
// their papers and MATHEMATICS.md, section 3, have it.
func TestFactorsOnALoss(t *testing.T) {
	for _, c := range []struct {
		output, weighting string
		want              func(snr float64) float64
	}{
		{"x", "min-snr", func(snr float64) float64 { return math.Min(snr, 5) }},
		{"eps", "min-snr", func(snr float64) float64 { return math.Min(snr, 5) / snr }},
		{"v", "min-snr", func(snr float64) float64 { return math.Min(snr, 5) / (snr + 1) }},
		{"v", "min-snr:gamma=1", func(snr float64) float64 { return math.Min(snr, 1) / (snr + 1) }},
		{"eps", "p2", func(snr float64) float64 { return 1 / (1 + snr) }},
		{"eps", "p2:k=2,gamma=0.5", func(snr float64) float64 { return 1 / math.Sqrt(2+snr) }},
		{"x", "truncated-snr", func(snr float64) float64 { return math.Max(snr, 1) }},
		{"eps", "plain", func(float64) float64 { return 1 }},
		{"u", "plain", func(float64) float64 { return 1 }},
	} {
		for _, times := range []string{"uniform", "logit-normal"} {
			p, err := Get("cosine", ScheduleOptions{}, c.output)
			if err != nil {
				t.Fatal(err)
			}
			o, err := NewObjective(p, times, c.weighting)
			if err != nil {
				t.Fatal(err)
			}
			for at := 0.02; at < 1; at += 0.03 {
				near(t, o.String(), o.Draw(at).Weight/c.want(math.Exp(p.Schedule.LogSNR(at))), 1, 1e-9)
			}
		}
	}
}

// The loss does not depend on the schedule, only on its ends, nor on the times
// or the output (MATHEMATICS.md, section 3): E over t of the weighted error of an imperfect
// network is the same integral over λ.
func TestLossDoesNotSeeTheSchedule(t *testing.T) {
	mistake := func(l float64) float64 { return 0.3 + 0.2*math.Sin(l) + 0.1*math.Exp(-l*l) } // ‖ε̂−ε‖²
	for _, weighting := range []string{"elbo", "edm", "sigmoid", "sd3"} {
		var first float64
		for i, c := range [][3]string{
			{"fm", "u", "uniform"}, {"fm", "x", "logit-normal"}, {"cosine", "v", "uniform"}, {"cosine", "eps", "cosmap"}, {"vp-fm", "u", "mode"},
			{"vp-linear", "eps", "uniform"}, {"ve", "eps", "edm"}, {"ve", "edm", "uniform-lambda"}, {"sub-vp", "x", "uniform"}, {"cosine", "score", "uniform"},
			{"cosine", "velocity", "adaptive"},
		} {
			s, err := GetSchedule(c[0], ScheduleOptions{MaxLogSNR: 4})
			if err != nil {
				t.Fatal(err)
			}
			y, _ := GetOutput(c[1])
			p, err := New(s, y)
			if err != nil {
				t.Fatal(err)
			}
			o, err := NewObjective(p, c[2], weighting)
			if err != nil {
				t.Fatal(err)
			}
			// E over the times of Weight·‖ŷ−y‖², in λ where it is smooth.
			low, high := s.LogSNR(1), s.LogSNR(0)
			loss := quad.Fixed(func(l float64) float64 {
				at := s.TimeOf(l)
				q := p.At(at)
				return o.Density(l) * o.Draw(at).Weight * q.Factor() * mistake(l)
			}, low, high, 400, quad.Legendre{}, 0)
			if i == 0 {
				first = loss
				near(t, weighting, loss, quad.Fixed(func(l float64) float64 { return o.Weighting.Of(l, 0, 0) * mistake(l) }, -4, 4, 400, quad.Legendre{}, 0), 1e-9)
			}
			near(t, weighting+" "+o.String(), loss/first, 1, 1e-9)
		}
	}
}

// VDM++: with a loss that depends on λ, the draws come to follow it, and what
// is left is constant. The state survives a checkpoint to the bit.
func TestAdaptive(t *testing.T) {
	s, _ := GetSchedule("cosine", ScheduleOptions{MaxLogSNR: 10})
	times, err := GetTimeSampler("adaptive:bins=40,decay=0.9", s)
	if err != nil {
		t.Fatal(err)
	}
	height := func(l float64) float64 { return 0.5 + math.Exp(-(l-2)*(l-2)/8) }
	for i := range 40000 {
		l := s.LogSNR(times.Time((float64(i%997) + 0.5) / 997))
		times.Adaptive.Observe(l, height(l))
	}
	times.Adaptive.Observe(1, math.NaN())
	rate := func(l float64) float64 { return times.Density(s.TimeOf(l)) / math.Abs(LogSNRRate(s, s.TimeOf(l))) }
	for l := -9.25; l < 10; l += 0.5 {
		near(t, "density over loss", rate(l)/height(l)/(rate(-9.25)/height(-9.25)), 1, 0.05)
	}
	total := 0.0
	for l := -9.75; l < 10; l += 0.5 {
		total += rate(l) * 0.5
	}
	near(t, "total", total, 1, 1e-9)
	state, err := times.Adaptive.MarshalState()
	if err != nil {
		t.Fatal(err)
	}
	again, _ := GetTimeSampler("adaptive:bins=40,decay=0.9", s)
	if err := restore(again.Adaptive, string(state)); err != nil {
		t.Fatal(err)
	}
	for _, u := range []float64{0.01, 0.3, 0.77, 0.999} {
		near(t, "time after a checkpoint", again.Time(u), times.Time(u), 0)
	}
	other, _ := GetTimeSampler("adaptive:bins=30", s)
	if err := restore(other.Adaptive, string(state)); err == nil {
		t.Error("takes the state of other bins")
	}
}

// TestUShaped: the density at the ends and in the middle, as the authors of improved
// reflow plot it for a = 4.
func TestUShaped(t *testing.T) {
	s, err := GetTimeSampler("u-shaped", nil)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[float64]float64{0: 2.0746, 0.5: 0.5514, 1: 2.0746} {
		if got := s.Density(at); math.Abs(got-want) > 5e-5 {
			t.Errorf("density %.4f at %g, want %.4f", got, at, want)
		}
	}
}
