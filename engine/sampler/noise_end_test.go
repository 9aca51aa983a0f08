package sampler

import (
	"math"
	"testing"

	"fluxion/engine/process"
)

// noiseEnds are runs that begin where there is next to no data, σ/α from 665 to
// 20 300, and leave in one leap.
func noiseEnds(t *testing.T) []process.Process {
	return []process.Process{
		get(t, "ddpm-squaredcos", "u"), get(t, "ddpm-squaredcos", "v"), get(t, "ddpm-squaredcos", "eps"),
		get(t, "cosine", "eps"), get(t, "fm", "eps"), get(t, "vp-fm", "eps"),
	}
}

// From the noise end, whatever the method, a sample is as good as DDIM's, and
// what the network errs by at each call does not grow more than in DDIM by much.
func TestFromTheNoiseEnd(t *testing.T) {
	const slip = 0.02
	g, slipping := gaussian{m: 0.3, s: 0.5}, gaussian{0.3, 0.5, slip}
	for _, p := range noiseEnds(t) {
		for _, steps := range []int{8, 12, 30, 50} {
			ends := func(s Sampler, o Options) (off, gain float64) {
				o.Steps = steps
				table, err := s.Plan(p, o)
				if err != nil {
					t.Fatal(err)
				}
				begin := table.Grid.Points[0]
				z := affine{mean: begin.Sigma * 1.2}
				off = math.Abs(g.run(table, z)[steps].mean - g.exact(begin, p.End(), z.mean))
				return off, math.Sqrt(slipping.run(table, z)[steps].variance()) / slip
			}
			off, gain := ends(method(t, "ddim"), Options{})
			for _, s := range tables() {
				if s.Random && s.Name != "edm-churn" || len(s.Variables) == 0 {
					continue
				}
				for _, variable := range s.Variables {
					if s.Name == "lms" && variable == "x" {
						continue // extrapolates in α/σ, which has no bound at the data
					}
					for _, solver := range append([]string{""}, s.Solvers...) {
						o := Options{Variable: variable, Solver: solver}
						if got, grown := ends(s, o); got > off+0.25 || grown > 4*gain {
							t.Errorf("%s in %s on %v, %d steps: off by %.3g, errors grow by %.3g; DDIM %.3g, %.3g", s.Name, variable, p, steps, got, grown, off, gain)
						}
					}
				}
			}
		}
	}
}

// Taken as it stands, a leap from the noise end in ε is what it is in the
// literature: without bound.
func TestLiteralNoiseEnd(t *testing.T) {
	p := get(t, "ddpm-squaredcos", "u")
	g := gaussian{m: 0.3, s: 0.5}
	table := plan(t, p, "pndm", Options{Steps: 12, Literal: true})
	if end := g.run(table, affine{mean: 1.2})[12].mean; math.Abs(end) < 1e5 {
		t.Errorf("pndm taken literally ends at %v", end)
	}
}

// pndm begins with its first step of several calls: what comes before does not
// change the rows after.
func TestPNDMBeginsLater(t *testing.T) {
	for _, c := range []struct {
		p      process.Process
		before []process.Point
	}{
		{get(t, "cosine", "v"), []process.Point{get(t, "cosine", "v").At(1)}},
		{get(t, "ddpm-squaredcos", "u"), []process.Point{get(t, "ddpm-squaredcos", "u").At(1)}},
	} {
		points := []process.Point{}
		for _, at := range []float64{0.9, 0.8, 0.7, 0.5, 0.4, 0.2, 0.1} {
			points = append(points, c.p.At(at))
		}
		for _, solver := range []string{"prk", "plms"} {
			o := Options{Solver: solver}
			want, err := method(t, "pndm").Table(Grid{c.p, points}, o)
			if err != nil {
				t.Fatal(err)
			}
			got, err := method(t, "pndm").Table(Grid{c.p, append(c.before, points...)}, o)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Rows) != len(want.Rows)+1 {
				t.Fatalf("%s: %d rows, want one more than %d", solver, len(got.Rows), len(want.Rows))
			}
			for i, r := range want.Rows {
				s := got.Rows[i+1]
				near(t, "A", s.A, r.A, 0)
				if len(s.B) != len(r.B) {
					t.Fatalf("%s, row %d: %d coefficients, want %d", solver, i, len(s.B), len(r.B))
				}
				for k := range r.B {
					near(t, "B", s.B[k], r.B[k], 0)
				}
			}
		}
	}
}
