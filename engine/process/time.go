package process

import (
	"fmt"
	"math"
	"strings"

	"fluxion/data/lookup"
)

// TimeSampler draws training times (MATHEMATICS.md, section 3). With a loss on the network's
// own output it decides the weighting, too; see Objective.
type TimeSampler struct {
	Name string // as GetTimeSampler reads it, with parameters
	// Time maps a uniform number in (0, 1) to a time, increasing.
	Time func(u float64) float64
	// Density of that time.
	Density func(t float64) float64
	// Spread turns the numbers of a batch's images into uniform numbers that
	// together cover (0, 1) more evenly than independent ones; nil leaves them.
	// at is an image's position in the run, batch the images of a step, draw the
	// uniform number of a position.
	Spread func(at int64, batch int, draw func(at int64) float64) float64
	// Adaptive is the sampler's state, if it learns; a checkpoint holds it.
	Adaptive *Adaptive
}

// Uniform returns the uniform number of an image; see Spread.
func (s TimeSampler) Uniform(at int64, batch int, draw func(at int64) float64) float64 {
	if s.Spread == nil {
		return draw(at)
	}
	return s.Spread(at, batch, draw)
}

// within is the same between two times, instead of 0 and 1.
func (s TimeSampler) within(from, to float64) TimeSampler {
	time, density := s.Time, s.Density
	s.Time = func(u float64) float64 { return from + (to-from)*time(u) }
	s.Density = func(t float64) float64 { return density((t-from)/(to-from)) / (to - from) }
	return s
}

// TimeKind is a time sampler's place in the list.
type TimeKind struct {
	Name, About string
	Defaults    Parameters
	make        func(s Schedule, p Parameters) (TimeSampler, error)
}

// Adding a time sampler is a line here, and a function.
var timeKinds = []TimeKind{
	{"uniform", "uniform in t", nil, uniformTime},
	{"logit-normal", "ln(t/(1−t)) normal: SD3", Parameters{"mean": 0, "std": 1}, logitNormal},
	{"mode", "SD3's mode sampling with heavy tails", Parameters{"scale": 1.29}, modeTime},
	{"cosmap", "SD3's CosMap: the cosine's log-SNR on the straight path", nil, cosmap},
	{"u-shaped", "more near both ends, as improved reflow has it: density ∝ e^(at) + e^(a(1−t))", Parameters{"a": 4}, uShaped},
	{"uniform-lambda", "uniform in λ, |λ| at most max", Parameters{"max": 20}, uniformLambda},
	{"edm", "ln(σ/α) normal: EDM", Parameters{"mean": -1.2, "std": 1.2}, edmTime},
	{"adaptive", "VDM++: λ in proportion to the weighted loss, learned in bins of λ", Parameters{"bins": 100, "max": 15, "decay": 0.99}, adaptiveTime},
}

// spreads are suffixes of time samplers, as in uniform+stratified.
var spreads = []struct {
	Name, About string
	spread      func(at int64, batch int, draw func(at int64) float64) float64
}{
	{"stratified", "each image of a batch draws in its own part of (0, 1)", func(at int64, batch int, draw func(int64) float64) float64 {
		return (float64(at%int64(batch)) + draw(at)) / float64(batch)
	}},
	{"low-discrepancy", "the images of a batch are equally spaced after one draw: VDM, appendix I.1", func(at int64, batch int, draw func(int64) float64) float64 {
		i := at % int64(batch)
		_, u := math.Modf(draw(at-i) + float64(i)/float64(batch))
		return math.Max(u, 0x1p-54) // a draw of exactly 1 − i/batch
	}},
}

// TimeSamplers returns the names that GetTimeSampler knows.
func TimeSamplers() []string { return names(timeKinds, func(k TimeKind) string { return k.Name }) }

// ListTimeSamplers returns every time sampler, and the suffixes that spread the
// draws of a batch.
func ListTimeSamplers() []TimeKind {
	all := append([]TimeKind(nil), timeKinds...)
	for _, s := range spreads {
		all = append(all, TimeKind{Name: "…+" + s.Name, About: s.About})
	}
	return all
}

// GetTimeSampler returns a time sampler for a schedule. The text is a name, and
// perhaps parameters and a suffix: logit-normal:mean=0.5,std=1+stratified.
func GetTimeSampler(text string, s Schedule) (TimeSampler, error) {
	spec, suffix, spread := strings.Cut(text, "+")
	name, parameters, _ := strings.Cut(spec, ":")
	i, err := lookup.Find("time sampler", name, TimeSamplers())
	if err != nil {
		return TimeSampler{}, err
	}
	k := timeKinds[i]
	p, err := ParseParameters("time sampler", name, parameters, k.Defaults)
	if err != nil {
		return TimeSampler{}, err
	}
	t, err := k.make(s, p)
	if err != nil {
		return TimeSampler{}, fmt.Errorf("time sampler %s: %w", text, err)
	}
	t.Name = text
	if spread {
		var known []string
		for _, s := range spreads {
			known = append(known, s.Name)
		}
		i, err := lookup.Find("spread of times", suffix, known)
		if err != nil {
			return TimeSampler{}, err
		}
		t.Spread = spreads[i].spread
	}
	return t, nil
}

func uniformTime(Schedule, Parameters) (TimeSampler, error) {
	return TimeSampler{Time: func(u float64) float64 { return u }, Density: func(float64) float64 { return 1 }}, nil
}

// logitNormal draws ln(t/(1−t)) ~ N(m, s²): Esser et al., "Scaling Rectified
// Flow Transformers" (2024), equation 19.
func logitNormal(_ Schedule, p Parameters) (TimeSampler, error) {
	m, s := p["mean"], p["std"]
	return TimeSampler{
		Time: func(u float64) float64 { return 1 / (1 + math.Exp(-m-s*normalQuantile(u))) },
		Density: func(t float64) float64 {
			return normalDensity(math.Log(t/(1-t)), m, s) / (t * (1 - t))
		},
	}, p.positive("std")
}

// modeTime is t = f(1−u) with f(u) = 1 − u − s(cos²(πu/2) − 1 + u), which falls
// for −1 ≤ s ≤ 2/(π−2): Esser et al. (2024), equation 20. Its density is dt/du's
// inverse, equation 21's.
func modeTime(_ Schedule, p Parameters) (TimeSampler, error) {
	s := p["scale"]
	if !(s >= -1 && s <= 2/(math.Pi-2)) {
		return TimeSampler{}, fmt.Errorf("scale = %g, want a number from -1 to 2/(π-2) = 1.75", s)
	}
	at := func(u float64) float64 {
		c := math.Sin(math.Pi / 2 * u) // cos(π(1−u)/2)
		return u - s*(c*c-u)
	}
	return TimeSampler{
		Time: at,
		Density: func(t float64) float64 {
			u := increasingInverse(at, t)
			return 1 / (1 + s - s*math.Pi/2*math.Sin(math.Pi*u))
		},
	}, nil
}

// cosmap is t = 1 − 1/(tan(πu/2) + 1), of density 2/(π(1−2t+2t²)): Esser et al.
// (2024), section 3.1.
func cosmap(Schedule, Parameters) (TimeSampler, error) {
	return TimeSampler{
		Time: func(u float64) float64 {
			sin, cos := math.Sincos(math.Pi / 2 * u)
			return sin / (sin + cos)
		},
		Density: func(t float64) float64 { return 2 / (math.Pi * (1 - 2*t + 2*t*t)) },
	}, nil
}

// uShaped has the density a(e^{at} + e^{a(1−t)})/(2(e^a − 1)): S. Lee, Z. Lin, G. Fanti,
// "Improving the Training of Rectified Flows" (2024), section 4.1.
func uShaped(_ Schedule, p Parameters) (TimeSampler, error) {
	a := p["a"]
	if err := p.positive("a"); err != nil {
		return TimeSampler{}, err
	}
	if a > 100 {
		return TimeSampler{}, fmt.Errorf("a = %g, want at most 100", a)
	}
	return TimeSampler{
		Time:    func(u float64) float64 { return 0.5 + math.Asinh((2*u-1)*math.Sinh(a/2))/a },
		Density: func(t float64) float64 { return a * math.Cosh(a*(t-0.5)) / (2 * math.Sinh(a/2)) },
	}, nil
}

// uniformLambda is uniform in λ between the schedule's ends, or ±max.
func uniformLambda(s Schedule, p Parameters) (TimeSampler, error) {
	if err := p.positive("max"); err != nil {
		return TimeSampler{}, err
	}
	low, high := math.Max(s.LogSNR(1), -p["max"]), math.Min(s.LogSNR(0), p["max"])
	return byLogSNR(s, low, high,
		func(u float64) float64 { return low + (high-low)*u },
		func(float64) float64 { return 1 / (high - low) })
}

// edmTime has ln(σ/α) ~ N(m, s²) within the schedule's ends: Karras et al.
// (2022), table 1, with λ = −2 ln(σ/α).
func edmTime(s Schedule, p Parameters) (TimeSampler, error) {
	m, deviation := -2*p["mean"], 2*p["std"]
	if err := p.positive("std"); err != nil {
		return TimeSampler{}, err
	}
	low, high := s.LogSNR(1), s.LogSNR(0)
	first, last := normalCumulative((low-m)/deviation), normalCumulative((high-m)/deviation)
	return byLogSNR(s, low, high,
		func(u float64) float64 { return m + deviation*normalQuantile(first+(last-first)*u) },
		func(l float64) float64 { return normalDensity(l, m, deviation) / (last - first) })
}

// byLogSNR makes a time sampler of a quantile function and a density in λ.
func byLogSNR(s Schedule, low, high float64, quantile, density func(float64) float64) (TimeSampler, error) {
	if !(low < high) {
		return TimeSampler{}, fmt.Errorf("the schedule has no λ from %g to %g", low, high)
	}
	return TimeSampler{
		Time: func(u float64) float64 { return s.TimeOf(quantile(1 - u)) },
		Density: func(t float64) float64 {
			l := s.LogSNR(t)
			if l < low || l > high {
				return 0
			}
			return density(l) * math.Abs(LogSNRRate(s, t))
		},
	}, nil
}

func normalQuantile(u float64) float64 { return math.Sqrt2 * math.Erfinv(2*u-1) }

func normalCumulative(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

func normalDensity(x, m, s float64) float64 {
	d := (x - m) / s
	return math.Exp(-d*d/2) / (s * math.Sqrt(2*math.Pi))
}

// increasingInverse solves f(u) = y on [0, 1].
func increasingInverse(f func(float64) float64, y float64) float64 {
	low, high := 0.0, 1.0
	for range 60 {
		if mid := (low + high) / 2; f(mid) < y {
			low = mid
		} else {
			high = mid
		}
	}
	return (low + high) / 2
}
