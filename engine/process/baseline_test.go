package process

import (
	"math"
	"math/rand/v2"
	"testing"
)

// LinearError is the residual of a regression: drawn pairs, regressed.
func TestLinearErrorOfRegression(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const n, mean, deviation = 200_000, -0.4, 0.6
	for _, c := range [][2]string{{"fm", "u"}, {"cosine", "eps"}, {"cosine", "v"}, {"ve", "edm"}, {"ddpm-linear", "x"}} {
		p, err := Get(c[0], ScheduleOptions{}, c[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, time := range []float64{0.1, 0.5, 0.9} {
			q := p.At(time)
			var z, y, zz, zy, yy float64
			for range n {
				x, e := mean+deviation*(2*float64(random.IntN(2))-1), random.NormFloat64()
				a, b := q.Alpha*x+q.Sigma*e, q.A*x+q.B*e
				z, y, zz, zy, yy = z+a, y+b, zz+a*a, zy+a*b, yy+b*b
			}
			variance, covariance := zz/n-z/n*z/n, zy/n-z/n*y/n
			want := yy/n - y/n*y/n - covariance*covariance/variance
			near(t, c[0]+"/"+c[1], q.LinearError(deviation*deviation)/want, 1, 0.02)
		}
	}
}

// BaselineLoss in closed form. On the straight path u = ε − x leaves
// s²/((1−t)²s² + t²), and the integral over uniform times is
// s (atan(1/s) + atan(s)) = sπ/2. On any variance preserving path with s = 1, v
// has the residual 1.
func TestBaselineLoss(t *testing.T) {
	for _, c := range []struct {
		schedule, output, times, weighting string
		deviation, want                    float64
	}{
		{"fm", "u", "uniform", "plain", 0.5, 0.25 * math.Pi},
		{"fm", "u", "uniform", "plain", 1, math.Pi / 2},
		{"fm", "u", "uniform", "plain", 0, 0},
		{"cosine", "v", "uniform", "plain", 1, 1},
		{"cosine", "v", "logit-normal", "plain", 1, 1},
		{"cosine", "v", "edm+low-discrepancy", "min-snr", 1, 1},
	} {
		p, err := Get(c.schedule, ScheduleOptions{}, c.output)
		if err != nil {
			t.Fatal(err)
		}
		o, err := NewObjective(p, c.times, c.weighting)
		if err != nil {
			t.Fatal(err)
		}
		near(t, o.String(), o.BaselineLoss(c.deviation*c.deviation), c.want, 1e-6)
	}
}

// BaselineLoss is the mean of weighted residuals at times drawn at random, for
// every sort of weights; adaptive times that have learned do not move it.
func TestBaselineLossOfDraws(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for _, c := range [][4]string{
		{"fm", "u", "logit-normal+low-discrepancy", "plain"}, {"cosine", "eps", "uniform", "sigmoid"},
		{"ve", "edm", "edm", "edm"}, {"cosine", "v", "adaptive:bins=20", "sigmoid"},
	} {
		p, err := Get(c[0], ScheduleOptions{}, c[1])
		if err != nil {
			t.Fatal(err)
		}
		o, err := NewObjective(p, c[2], c[3])
		if err != nil {
			t.Fatal(err)
		}
		const variance = 0.3
		mean, err := o.MeanLossWeight()
		if err != nil {
			t.Fatal(err)
		}
		want := o.BaselineLoss(variance)
		if a := o.Times.Adaptive; a != nil {
			for i := range 2000 {
				lambda := a.Low + (a.High-a.Low)*float64(i%200)/200
				a.Observe(lambda, math.Exp(-lambda*lambda/50))
			}
		}
		random := rand.New(rand.NewPCG(3, 4))
		sum := 0.0
		const n = 400_000
		for range n {
			at := o.Times.Time(random.Float64())
			sum += o.Draw(at).Weight / mean * o.Process.At(at).LinearError(variance)
		}
		near(t, o.String(), sum/n/want, 1, 0.01)
	}
}

// ZeroLoss in closed form: E u² = 1 + E x², E ε² = 1, and E v² is the mean of 1 and E x² at uniform times.
func TestZeroLoss(t *testing.T) {
	for _, c := range [][3]string{{"fm", "u", "uniform"}, {"cosine", "eps", "logit-normal"}, {"cosine", "v", "uniform"}} {
		p, err := Get(c[0], ScheduleOptions{}, c[1])
		if err != nil {
			t.Fatal(err)
		}
		o, err := NewObjective(p, c[2], "plain")
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]float64{"u": 1 + 0.3, "eps": 1, "v": (1 + 0.3) / 2}[c[1]] // E cos² = E sin² = 1/2
		near(t, o.String(), o.ZeroLoss(0.3), want, 1e-6)
	}
}
