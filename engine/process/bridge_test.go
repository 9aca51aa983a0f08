package process

import (
	"math"
	"strings"
	"testing"
)

func bridged(t *testing.T, schedule, output, bridge string) Process {
	t.Helper()
	p, err := Get(schedule, ScheduleOptions{}, output)
	if err == nil {
		p, err = p.With(Gaussian, bridge)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func closeTo(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s is %.10g, want %.10g", what, got, want)
	}
}

// Two Gaussians, (m, S) of the source and of the data, and any γ: what z knows of
// y = ax + bε + cξ is its regression.
type gaussians struct{ m0, s0, m1, s1 float64 }

var two = gaussians{0.5, 0.25, -1, 0.64}

func (g gaussians) variance(q Point) float64 {
	return q.Alpha*q.Alpha*g.s1 + q.Sigma*q.Sigma*g.s0 + q.Gamma*q.Gamma
}
func (g gaussians) mean(q Point) float64 { return q.Alpha*g.m1 + q.Sigma*g.m0 }

func (g gaussians) expects(q Point, a, b, c, z float64) float64 {
	covariance := a*q.Alpha*g.s1 + b*q.Sigma*g.s0 + c*q.Gamma
	return a*g.m1 + b*g.m0 + covariance/g.variance(q)*(z-g.mean(q))
}

// The closed forms of an interpolant at s = 0.3 from the source on, which is t = 0.7:
// b = ṁ + V̇/2V (x−m), score −(x−m)/V, η = γ(x−m)/V. Their b is ours with another sign.
func TestInterpolantOfGaussians(t *testing.T) {
	const x = 0.2
	for bridge, want := range map[string]struct{ v, b float64 }{
		"none": {0.1801, -1.4858411993}, "brownian": {0.3901, -1.4165598564}, "sine": {0.6084813729, -1.0137332971},
	} {
		for _, output := range []string{"u", "velocity"} {
			p := bridged(t, "fm", output, bridge)
			q := p.At(0.7)
			closeTo(t, bridge+": V", two.variance(q), want.v, 1e-10)
			closeTo(t, bridge+": b", -two.expects(q, q.A, q.B, q.C, x), want.b, 1e-9)
		}
	}
	q := bridged(t, "fm", "u", "brownian").At(0.7)
	closeTo(t, "η", two.expects(q, 0, 0, 1, x), 0.1762077299, 1e-10)
	closeTo(t, "score", -two.expects(q, 0, 0, 1, x)/q.Gamma, -0.3845167906, 1e-10)
}

// A Brownian bridge: x_s, its velocity u°, its score, and u° + σ²/2·score = (x₁−x_s)/(1−s),
// at s = 0.3, which is t = 0.7.
func TestBrownianBridge(t *testing.T) {
	const sigma, x0, x1, xi = 0.5, 0.7, -0.4, 0.8
	q := bridged(t, "fm", "velocity", "brownian:sigma=0.5").At(0.7)
	z := q.Alpha*x1 + q.Sigma*x0 + q.Gamma*xi
	velocity := -(q.A*x1 + q.B*x0 + q.C*xi)
	score := -xi / q.Gamma
	closeTo(t, "x_s", z, 0.5533030278, 1e-10)
	closeTo(t, "u°", velocity, -0.9254256878, 1e-10)
	closeTo(t, "score", score, -3.4914862438, 1e-9)
	closeTo(t, "drift", velocity+sigma*sigma/2*score, -1.3618614683, 1e-9)
	closeTo(t, "(x₁−x)/(1−s)", (x1-z)/0.7, -1.3618614683, 1e-9)
}

// I²SB's marginals: of σ_f² and σ_b² before and behind an entry, the weight of x₀, the
// deviation, and its target; here of β = 0.1, 0.3, 0.3, 0.1, each counted on both sides.
func TestI2SBMarginals(t *testing.T) {
	for i, c := range []struct{ before, behind, deviation, weight, std float64 }{
		{0.1, 0.8, 0.316228, 0.888889, 0.298142}, {0.4, 0.7, 0.632456, 0.636364, 0.504525},
		{0.7, 0.4, 0.836660, 0.363636, 0.504525}, {0.8, 0.1, 0.894427, 0.111111, 0.298142},
	} {
		b, err := GetBridge("brownian")
		if err != nil {
			t.Fatal(err)
		}
		total := c.before + c.behind
		b = bridges[1].make(Parameters{"sigma": math.Sqrt(total)})
		b.text = "brownian"
		p := bridged(t, "fm", "i2sb", "brownian")
		p.Bridge = b
		q := p.At(c.before / total)
		closeTo(t, "weight", q.Alpha, c.weight, 1e-6)
		closeTo(t, "deviation", q.Gamma, c.std, 1e-6)
		closeTo(t, "σ_f", math.Sqrt(c.before), c.deviation, 1e-6)
		const x, e, xi = 0.3, -0.8, 1.1
		z := q.Alpha*x + q.Sigma*e + q.Gamma*xi
		closeTo(t, "target", q.A*x+q.B*e+q.C*xi, (z-x)/math.Sqrt(c.before), 1e-12)
		l, err := q.X()
		if err != nil {
			t.Fatal(i, err)
		}
		closeTo(t, "x̂", l.Z*z+l.Y*(z-x)/math.Sqrt(c.before), x, 1e-9)
	}
}

// The clock of I²SB is that of its list of a thousand, of which an entry lies between both
// sums.
func TestI2SBClock(t *testing.T) {
	const n = 1000
	var betas [n]float64
	for i := range n / 2 {
		root := 0.01 + (math.Sqrt(0.3/n)-0.01)*float64(i)/(n-1)
		betas[i], betas[n-1-i] = root*root, root*root
	}
	s, err := GetSchedule("i2sb", ScheduleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	total, sum := 0.0, 0.0
	for _, b := range betas {
		total += b
	}
	closeTo(t, "variance", I2SBSigma*I2SBSigma, total, 2e-4)
	for i, b := range betas {
		sum += b
		_, sigma := s.AlphaSigma(float64(i+1) / n)
		closeTo(t, "σ", sigma, sum/total, 1e-3)
	}
}

// What z and y say where there is a third noise: of the flow its velocity alone, of x all
// but the rest.
func TestThirdNoise(t *testing.T) {
	for _, schedule := range []string{"fm", "cosine", "i2sb"} {
		for _, bridge := range []string{"brownian:sigma=0.4", "quadratic", "sine:sigma=2"} {
			p := bridged(t, schedule, "velocity", bridge)
			const x, e, xi, h = 0.3, -0.8, 1.1, 1e-6
			state := func(at float64) float64 { q := p.At(at); return q.Alpha*x + q.Sigma*e + q.Gamma*xi }
			for _, at := range []float64{0.2, 0.5, 0.9} {
				q := p.At(at)
				closeTo(t, schedule+" "+bridge+": velocity", q.A*x+q.B*e+q.C*xi, (state(at+h)-state(at-h))/(2*h), 1e-6)
				if _, err := q.X(); err == nil {
					t.Errorf("%s: the velocity tells x", bridge)
				}
				l, err := q.Flow(-q.DAlpha, -q.DSigma)
				if err != nil || l.Z != 0 || math.Abs(l.Y+1) > 1e-12 {
					t.Errorf("%s: the flow backwards is %v, error %v", bridge, l, err)
				}
				of := bridged(t, schedule, "x", bridge).At(at)
				if l, err := of.X(); err != nil || math.Abs(l.Z) > 1e-12 || math.Abs(l.Y-1) > 1e-12 {
					t.Errorf("%s: x is %v, error %v", bridge, l, err)
				}
				if _, err := of.Eps(); err == nil {
					t.Errorf("%s: x tells the source", bridge)
				}
			}
		}
	}
}

// TestParameterSizes: parameters whose squares are no numbers of float32 are refused, wherever
// they stand behind a name.
func TestParameterSizes(t *testing.T) {
	for _, value := range []string{"1e308", "-1e308", "1e-300", "1e10", "1e-10"} {
		if _, err := ParseParameters("bridge", "sine", "sigma="+value, Parameters{"sigma": 1}); err == nil || !strings.Contains(err.Error(), "out of range; want 0, or a size of 1e-09 to 1e+09") {
			t.Errorf("sigma=%s: %v", value, err)
		}
	}
	for _, value := range []string{"0", "1e9", "-1e-9", "0.5"} {
		if _, err := ParseParameters("bridge", "sine", "sigma="+value, Parameters{"sigma": 1}); err != nil {
			t.Errorf("sigma=%s: %v", value, err)
		}
	}
}

func TestBridgeErrors(t *testing.T) {
	for text, want := range map[string]string{
		"brown": `"brown"`, "brownian:sigma=0": "positive", "brownian:sigma=-1": "positive", "sine:a=2": `"a"`, "none:sigma=1": "no parameters",
	} {
		if _, err := GetBridge(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
	for _, c := range [][4]string{
		{"ve", "x", "sine", "schedule ve"}, {"ddpm-linear", "v", "sine", "schedule ddpm-linear"}, {"fm", "eps", "sine", "want u or velocity"},
		{"cosine", "u", "brownian", "want v or velocity"}, {"fm", "i2sb", "sine", "want bridge brownian"}, {"cosine", "i2sb", "brownian", "want bridge brownian"},
	} {
		p, err := Get(c[0], ScheduleOptions{}, c[1])
		if err != nil {
			t.Fatal(err)
		}
		if _, err = p.With(Gaussian, c[2]); err == nil || !strings.Contains(err.Error(), c[3]) {
			t.Errorf("%v: error %v", c, err)
		}
	}
}

// TestTimesOfBridges: whatever sampler of times an objective takes, those of a bridge keep
// away from the ends.
func TestTimesOfBridges(t *testing.T) {
	p, err := Get("fm", ScheduleOptions{}, "u")
	if err != nil {
		t.Fatal(err)
	}
	times, err := GetTimeSampler("u-shaped:a=4", p.Schedule)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Times(times); got.Time(0) != times.Time(0) {
		t.Errorf("without a bridge the first time is %g", got.Time(0))
	}
	b, err := GetBridge("brownian:sigma=1")
	if err == nil {
		p, err = p.Bridged(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Times(times); got.Time(0) < timeCut || got.Time(1) > 1-timeCut {
		t.Errorf("times from %g to %g", got.Time(0), got.Time(1))
	}
}

// TestUnboundedRate: where a Brownian bridge begins, its velocity has no bound, and what
// cannot be had of it is told without.
func TestUnboundedRate(t *testing.T) {
	q := bridged(t, "fm", "u", "brownian:sigma=0.5").At(1)
	if _, err := q.X(); err == nil || strings.Contains(err.Error(), "Inf") || !strings.Contains(err.Error(), "ode-euler") {
		t.Errorf("of C = %g: %v", q.C, err)
	}
}
