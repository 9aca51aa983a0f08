package sampler

import (
	"context"
	"math"
	"strings"
	"testing"

	"fluxion/engine/process"
)

func onBridge(t *testing.T, schedule, output, bridge string) process.Process {
	t.Helper()
	p, err := get(t, schedule, output).With(process.Gaussian, bridge)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// interpolant is what a network knows that learnt y between two Gaussians of mean and
// variance, from (0.5, 0.25), the source, to (−1, 0.64).
func interpolant(q process.Point, z float64) float64 {
	const m0, s0, m1, s1 = 0.5, 0.25, -1, 0.64
	m, v := q.Alpha*m1+q.Sigma*m0, q.Alpha*q.Alpha*s1+q.Sigma*q.Sigma*s0+q.Gamma*q.Gamma
	c := q.A*q.Alpha*s1 + q.B*q.Sigma*s0
	if q.Gamma != 0 { // at the ends the rate of γ may be infinite
		c += q.C * q.Gamma
	} else if q.C != 0 {
		c += endRate(q)
	}
	return q.A*m1 + q.B*m0 + c/v*(z-m)
}

// endRate is the limit of cγ for γ = σ√(e(1−e)) on the straight path, at its ends.
func endRate(q process.Point) float64 {
	if !math.IsInf(q.C, 0) {
		return 0
	}
	return math.Copysign(0.5, q.C)
}

// follow runs a table on one number; draws are the noise.
func follow(table Table, z float64, draw func() float64) float64 {
	var kept []float64
	for i, r := range table.Rows {
		y := interpolant(r.Call, z)
		keep := y
		if r.Keep != (process.Linear{}) {
			keep = r.Keep.Z*z + r.Keep.Y*y
		}
		z = r.A*z + r.B[0]*y
		for lag := 1; lag < len(r.B); lag++ {
			z += r.B[lag] * kept[i-lag]
		}
		kept = append(kept, keep)
		if r.C != 0 {
			z += r.C * draw()
		}
	}
	return z
}

// The flow of every interpolant between two Gaussians has the same end, −0.36 from 0.9.
func TestFlowOfInterpolants(t *testing.T) {
	for _, c := range []struct{ schedule, output, bridge string }{
		{"fm", "u", "none"}, {"fm", "u", "brownian"}, {"fm", "velocity", "quadratic"}, {"fm", "u", "sine"},
		{"i2sb", "u", "brownian"}, {"cosine", "v", "quadratic"}, {"cosine", "velocity", "sine"}, {"vp-fm", "v", "sine"},
	} {
		p := onBridge(t, c.schedule, c.output, c.bridge)
		for name, within := range map[string]float64{"euler": 2e-2, "ode-euler": 2e-2, "heun": 2e-3, "midpoint": 2e-3} {
			if name == "euler" && p.Schedule.Path().Natural != "u" {
				continue // the straight path's
			}
			method, err := Get(name)
			if err != nil {
				t.Fatal(err)
			}
			table, err := method.Plan(p, Options{Steps: 400})
			if err != nil {
				t.Fatal(c, name, err)
			}
			if z := follow(table, 0.9, nil); math.Abs(z+0.36) > within {
				t.Errorf("%v by %s: %.4f, want −0.36", c, name, z)
			}
		}
		method, _ := Get("rk45")
		grid, err := NewGrid(p, Options{Steps: 1})
		if err != nil {
			t.Fatal(err)
		}
		path, err := method.Adapt(context.Background(), grid, Options{Tolerance: 1e-7}, []float64{0.9}, func(q process.Point, z []float64) ([]float64, error) {
			return []float64{interpolant(q, z[0])}, nil
		})
		if err != nil {
			t.Fatal(c, err)
		}
		if z := path.States[len(path.States)-1][0]; math.Abs(z+0.36) > 1e-3 {
			t.Errorf("%v by rk45: %.5f, want −0.36", c, z)
		}
	}
}

// The sampler bridge goes from the source to the data's mean and variance, of any γ for
// which it is one, whether the network says x or I²SB's target.
func TestBridgeBetweenGaussians(t *testing.T) {
	for _, c := range []struct{ schedule, output, bridge string }{
		{"fm", "x", "brownian"}, {"i2sb", "i2sb", "brownian:sigma=0.376"}, {"fm", "x", "quadratic"}, {"cosine", "x", "brownian:sigma=0.5"},
	} {
		method, err := Get("bridge")
		if err != nil {
			t.Fatal(err)
		}
		table, err := method.Plan(onBridge(t, c.schedule, c.output, c.bridge), Options{Steps: 600})
		if err != nil {
			t.Fatal(c, err)
		}
		// All is linear: mean and variance go through the rows.
		mean := follow(table, 0.5, func() float64 { return 0 })
		slope := (follow(table, 1.5, func() float64 { return 0 }) - mean)
		variance := slope * slope * 0.25
		for k := range table.Draws() {
			n := 0
			d := follow(table, 0.5, func() float64 {
				n++
				if n-1 == k {
					return 1
				}
				return 0
			}) - mean
			variance += d * d
		}
		if math.Abs(mean+1) > 1e-6 || math.Abs(variance-0.64) > 1e-2 {
			t.Errorf("%v: mean %.4f and variance %.4f, want −1 and 0.64", c, mean, variance)
		}
	}
}

// I²SB's posterior of β = 0.1, 0.3, 0.3, 0.1 from entry 2 to 1.
func TestI2SBPosterior(t *testing.T) {
	p := onBridge(t, "fm", "x", "brownian:sigma=0.8944271909999159") // √0.8
	method, _ := Get("bridge")
	g := Grid{Process: p, Points: []process.Point{p.At(0.7 / 0.8), p.At(0.4 / 0.8)}}
	table, err := method.Table(g, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := table.Rows[0]
	if math.Abs(r.B[0]-0.428571) > 1e-6 || math.Abs(r.A-0.571429) > 1e-6 || math.Abs(r.C*r.C-0.171429) > 1e-6 {
		t.Errorf("%.6f x̂ + %.6f x, variance %.6f", r.B[0], r.A, r.C*r.C)
	}
}

// Each sampler on a bridge is right, or refused with a sentence.
func TestSamplersOnBridges(t *testing.T) {
	allowed := map[string]map[string]bool{
		"u": {"euler": true, "ode-euler": true, "midpoint": true, "heun": true, "map": true},
		"x": {"bridge": true},
	}
	for output, names := range allowed {
		p := onBridge(t, "fm", output, "brownian")
		for _, s := range List() {
			if s.Adaptive {
				continue
			}
			_, err := s.Plan(p, Options{Steps: 5})
			if names[s.Name] != (err == nil) {
				t.Errorf("%s by %s: error %v", output, s.Name, err)
			}
			if err != nil && (!strings.Contains(err.Error(), "want") || strings.Contains(err.Error(), "\n")) {
				t.Errorf("%s by %s: %v", output, s.Name, err)
			}
		}
	}
	for _, name := range []string{"dpm++-2m", "unipc", "deis", "dpm-2"} { // multistep in z
		s, _ := Get(name)
		table, err := s.Plan(onBridge(t, "fm", "u", "quadratic"), Options{Steps: 300, Variable: "u"})
		if err != nil {
			t.Errorf("%s in u: %v", name, err)
		} else if z := follow(table, 0.9, nil); math.Abs(z+0.36) > 5e-3 {
			t.Errorf("%s in u: %.4f, want −0.36", name, z)
		}
	}
	s, _ := Get("bridge")
	if table, err := s.Plan(get(t, "fm", "x"), Options{Steps: 300}); err != nil || table.Draws() > 0 || math.Abs(follow(table, 0.9, nil)+0.36) > 1e-2 {
		t.Errorf("without a bridge: %d draws, error %v", table.Draws(), err)
	}
	if _, err := s.Plan(onBridge(t, "fm", "x", "sine"), Options{Steps: 20}); err == nil || !strings.Contains(err.Error(), "γ/σ grows") {
		t.Errorf("of sine: error %v", err)
	}
}
