package sampler

import (
	"math"
	"strings"
	"testing"

	"fluxion/engine/process"
)

func from(t *testing.T, p process.Process, text string) process.Process {
	t.Helper()
	s, err := process.GetSource(text)
	if err == nil {
		p, err = p.From(s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// With noise of covariance K in the place of I, samplers of white noise do in K^½ z what
// they do in z: here at a frequency at which the noise has the variance k, and data of
// variance s are known to the network as data of variance s/k of white noise are.
func TestWhitening(t *testing.T) {
	const s, k = 0.7, 2.5
	for _, name := range []string{"ddim", "heun", "dpm++-2m", "ddpm", "ancestral", "dpm++-2m-sde", "edm-churn"} {
		method, err := Get(name)
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Steps: 7}
		if name == "edm-churn" {
			churn := 3.0
			o.Churn = &churn
		}
		table, err := method.Plan(from(t, get(t, "cosine", "v"), "offset:1"), o)
		if err != nil {
			t.Fatal(err)
		}
		run := func(data, noise float64) (states []float64) {
			z, draws := table.Start*math.Sqrt(noise)*0.8, 0
			var kept []float64
			draw := func() float64 { draws++; return math.Sqrt(noise) * math.Sin(float64(draws)) }
			for i, r := range table.Rows {
				q := r.Call
				if r.Before != (Lift{}) {
					z = r.Before.A*z + r.Before.C*draw()
				}
				variance := q.Alpha*q.Alpha*data + q.Sigma*q.Sigma*noise
				y := (q.A*q.Alpha*data + q.B*q.Sigma*noise) / variance * z // E[ax + bε | z]
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
				states = append(states, z)
			}
			return states
		}
		white := run(s/k, 1)
		for i, z := range run(s, k) {
			if want := math.Sqrt(k) * white[i]; math.Abs(z-want) > 1e-12 {
				t.Errorf("%s, step %d: %g, want %g", name, i, z, want)
			}
		}
	}
}

// Noise on the way is refused where the source is not Gaussian, whoever draws it.
func TestNoiseOnTheWay(t *testing.T) {
	p, one := from(t, get(t, "fm", "u"), "uniform"), 1.0
	for _, s := range List() {
		o := Options{Steps: 5}
		if s.Name == "ddim" {
			o.Eta = &one
		}
		if s.Name == "edm-churn" {
			o.Churn = &one
		}
		if s.Adaptive {
			continue
		}
		_, err := s.Plan(p, o)
		if random := s.Random || o.Eta != nil; random != (err != nil) || random && !strings.Contains(err.Error(), "source is uniform") {
			t.Errorf("%s: error %v", s.Name, err)
		}
	}
}
