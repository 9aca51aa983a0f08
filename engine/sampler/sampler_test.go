package sampler

import (
	"math"
	"slices"
	"strings"
	"testing"

	"fluxion/engine/process"

	"pgregory.net/rapid"
)

func near(t rapid.TB, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*math.Max(1, math.Abs(want))) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func get(t rapid.TB, schedule, output string) process.Process {
	t.Helper()
	p, err := process.Get(schedule, process.ScheduleOptions{}, output)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func plan(t rapid.TB, p process.Process, name string, steps int) Table {
	t.Helper()
	s, err := Get(name)
	if err != nil {
		t.Fatal(err)
	}
	table, err := s.Plan(p, Options{Steps: steps})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// gaussian is data N(m, s²), whose best output is known: y = c + d z.
type gaussian struct{ m, s float64 }

func (g gaussian) output(q process.Point) (c, d float64) {
	gain := q.Alpha * g.s * g.s / (q.Alpha*q.Alpha*g.s*g.s + q.Sigma*q.Sigma)
	// x̂ = m + gain (z − αm), ε̂ = (z − αx̂)/σ
	xc, xd := g.m*(1-gain*q.Alpha), gain
	ec, ed := -q.Alpha*xc/q.Sigma, (1-q.Alpha*xd)/q.Sigma
	return q.A*xc + q.B*ec, q.A*xd + q.B*ed
}

// run carries the mean and the variance of z through a table, which is exact
// because everything is linear.
func (g gaussian) run(p process.Process, table Table, mean, variance float64) (float64, float64) {
	for _, r := range table.Rows {
		c, d := g.output(r.Call)
		gain := r.A + r.B[0]*d
		mean, variance = gain*mean+r.B[0]*c, gain*gain*variance+r.C*r.C
	}
	return mean, variance
}

// exact is the end of the probability-flow ODE from z: the Gaussian marginals
// are carried onto each other by the monotone map.
func (g gaussian) exact(q process.Point, z float64) float64 {
	return g.m + g.s*(z-q.Alpha*g.m)/math.Hypot(q.Alpha*g.s, q.Sigma)
}

func TestEulerIsDDIM(t *testing.T) {
	for _, schedule := range []string{"fm", "cosine", "vp-fm"} {
		for _, output := range []string{"u", "x", "eps", "v", "edm"} {
			t.Run(schedule+"/"+output, rapid.MakeCheck(func(r *rapid.T) {
				p := get(r, schedule, output)
				steps := rapid.IntRange(1, 200).Draw(r, "steps")
				a, b := plan(r, p, "euler", steps), plan(r, p, "ddim", steps)
				near(r, "start", a.Start, b.Start, 0)
				for i := range a.Rows {
					near(r, "A", a.Rows[i].A, b.Rows[i].A, 1e-9)
					near(r, "B", a.Rows[i].B[0], b.Rows[i].B[0], 1e-9)
					near(r, "C", a.Rows[i].C, b.Rows[i].C, 0)
				}
			}))
		}
	}
}

// Equal points in SNR, another schedule: the same sample (section 4). The
// grids agree where the times are mapped by TimeOf.
func TestDDIMDoesNotSeeTheSchedule(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		g := gaussian{rapid.Float64Range(-1, 1).Draw(r, "m"), rapid.Float64Range(0.1, 1).Draw(r, "s")}
		xi := rapid.Float64Range(-3, 3).Draw(r, "ξ")
		times := rapid.SliceOfNDistinct(rapid.Float64Range(0.05, 0.95), 2, 12, rapid.ID).Draw(r, "times")
		slices.Sort(times)
		slices.Reverse(times)
		for _, sampler := range samplers {
			var means, variances []float64
			for _, schedule := range []string{"fm", "cosine", "vp-fm"} {
				for _, output := range []string{"u", "x", "eps", "v", "edm"} {
					p := get(r, schedule, output)
					points := make([]process.Point, 0, len(times)+1)
					for _, at := range times {
						points = append(points, p.At(p.Schedule.TimeOf(get(r, "fm", "u").Schedule.LogSNR(at))))
					}
					table, err := sampler.Table(Grid{p, append(points, p.End())}, Options{})
					if err != nil {
						r.Fatal(err)
					}
					rows := table.Rows
					q := points[0]
					mean, variance := g.run(p, Table{Rows: rows}, math.Hypot(q.Alpha, q.Sigma)*xi, 0)
					means, variances = append(means, mean), append(variances, variance)
				}
			}
			for i := range means {
				near(r, sampler.Name+" mean", means[i], means[0], 1e-9)
				near(r, sampler.Name+" variance", variances[i], variances[0], 1e-9)
			}
		}
	})
}

// Multiplying (α, σ) by any s_t multiplies the states and nothing else.
func TestScaleInvariance(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := get(r, rapid.SampledFrom([]string{"fm", "cosine", "vp-fm"}).Draw(r, "schedule"), rapid.SampledFrom([]string{"x", "eps"}).Draw(r, "output"))
		grid, err := NewGrid(p, Options{Steps: rapid.IntRange(1, 20).Draw(r, "steps")})
		if err != nil {
			r.Fatal(err)
		}
		points := grid.Points
		scale := make([]float64, len(points))
		scaled := slices.Clone(points)
		for i := range points {
			scale[i] = rapid.Float64Range(0.1, 10).Draw(r, "scale")
			if i == len(points)-1 {
				scale[i] = 1 // the data is the data
			}
			scaled[i].Alpha *= scale[i]
			scaled[i].Sigma *= scale[i]
		}
		for _, s := range samplers {
			unscaled, err := s.Table(grid, Options{})
			if err != nil {
				r.Fatal(err)
			}
			table, err := s.Table(Grid{p, scaled}, Options{})
			if err != nil {
				r.Fatal(err)
			}
			plain, rows := unscaled.Rows, table.Rows
			for i := range rows {
				near(r, s.Name+" A", rows[i].A*scale[i]/scale[i+1], plain[i].A, 1e-9)
				near(r, s.Name+" B", rows[i].B[0]/scale[i+1], plain[i].B[0], 1e-9)
				near(r, s.Name+" C", rows[i].C/scale[i+1], plain[i].C, 1e-9)
				near(r, s.Name+" X", rows[i].X.Z*scale[i], plain[i].X.Z, 1e-9)
			}
		}
	})
}

func TestDDIMConvergesInFirstOrder(t *testing.T) {
	g := gaussian{0.3, 0.6}
	for _, schedule := range []string{"fm", "cosine", "vp-fm"} {
		for _, output := range []string{"u", "x", "eps", "v", "edm"} {
			p := get(t, schedule, output)
			const xi = 1.3
			failure := func(steps int) float64 {
				table := plan(t, p, "ddim", steps)
				got, _ := g.run(p, table, table.Start*xi, 0)
				return math.Abs(got - g.exact(p.At(table.Rows[0].Call.Time), table.Start*xi))
			}
			coarse, fine := failure(400), failure(800)
			if order := math.Log2(coarse / fine); math.Abs(order-1) > 0.05 || fine > 2e-3 {
				t.Errorf("%v: errors %v, %v: order %v, want 1", p, coarse, fine, order)
			}
		}
	}
}

// With many steps DDPM gives the data's distribution; and from a start exactly
// on the marginal, so does DDIM.
func TestDDPMConverges(t *testing.T) {
	g := gaussian{0.3, 0.6}
	for _, schedule := range []string{"fm", "cosine", "vp-fm"} {
		for _, output := range []string{"u", "x", "eps", "v", "edm"} {
			p := get(t, schedule, output)
			failure := func(steps int) (float64, float64) {
				table := plan(t, p, "ddpm", steps)
				q := p.At(table.Rows[0].Call.Time)
				mean, variance := g.run(p, table, q.Alpha*g.m, q.Alpha*q.Alpha*g.s*g.s+q.Sigma*q.Sigma)
				return math.Abs(mean - g.m), math.Abs(variance - g.s*g.s)
			}
			m, v := failure(4000)
			if m > 1e-3 || v > 2e-3 {
				t.Errorf("%v: mean off by %v, variance by %v", p, m, v)
			}
			if _, w := failure(8000); math.Abs(math.Log2(v/w)-1) > 0.1 {
				t.Errorf("%v: variance errors %v, %v are not of first order", p, v, w)
			}
		}
	}
}

// One step of ddpm against the posterior as Ho et al. write it, and against
// section 5: DDIM to λ+2Δ, then forward diffusion back to λ+Δ.
func TestDDPMStep(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := get(r, rapid.SampledFrom([]string{"fm", "cosine", "vp-fm"}).Draw(r, "schedule"), rapid.SampledFrom([]string{"u", "x", "eps", "v", "edm"}).Draw(r, "output"))
		from := rapid.Float64Range(0.1, 0.9).Draw(r, "t")
		t, s := p.At(from), p.At(from*rapid.Float64Range(0.3, 0.95).Draw(r, "s/t"))
		method, _ := Get("ddpm")
		table, err := method.Table(Grid{p, []process.Point{t, s}}, Options{})
		if err != nil {
			r.Fatal(err)
		}
		rows := table.Rows
		x, eps, err := t.Convert()
		if err != nil {
			r.Fatal(err)
		}
		ratio := t.Alpha / s.Alpha
		between := t.Sigma*t.Sigma - ratio*ratio*s.Sigma*s.Sigma
		state, data := ratio*s.Sigma*s.Sigma/(t.Sigma*t.Sigma), s.Alpha*between/(t.Sigma*t.Sigma)
		near(r, "A", rows[0].A, state+data*x.Z, 1e-9)
		near(r, "B", rows[0].B[0], data*x.Y, 1e-9)
		near(r, "C", rows[0].C, math.Sqrt(between)*s.Sigma/t.Sigma, 1e-9)

		lambda := 2*p.Schedule.LogSNR(s.Time) - p.Schedule.LogSNR(t.Time)
		u := p.At(p.Schedule.TimeOf(lambda))
		up := s.Alpha / u.Alpha
		near(r, "A by churn", rows[0].A, up*(u.Alpha*x.Z+u.Sigma*eps.Z), 1e-8)
		near(r, "B by churn", rows[0].B[0], up*(u.Alpha*x.Y+u.Sigma*eps.Y), 1e-8)
		near(r, "C by churn", rows[0].C, math.Sqrt(s.Sigma*s.Sigma-up*up*u.Sigma*u.Sigma), 1e-8)
	})
}

// Every table is finite, starts where it should and ends on x̂ without noise.
func TestTables(t *testing.T) {
	for _, name := range Names() {
		for _, schedule := range []string{"fm", "cosine", "vp-fm"} {
			for _, output := range []string{"u", "x", "eps", "v", "edm"} {
				p := get(t, schedule, output)
				for _, steps := range []int{1, 2, 50, 1000} {
					table := plan(t, p, name, steps)
					if len(table.Rows) != steps {
						t.Fatalf("%s on %v: %d rows, want %d", name, p, len(table.Rows), steps)
					}
					for i, r := range table.Rows {
						near(t, "time", r.Call.Time, p.Start()*(1-float64(i)/float64(steps)), 1e-12)
						if len(r.B) < 1 || len(r.B) > 1 {
							t.Errorf("%d coefficients", len(r.B))
						}
						for _, v := range append([]float64{r.A, r.C, r.X.Z, r.X.Y}, r.B...) {
							if math.IsNaN(v) || math.Abs(v) > 1000 {
								t.Errorf("%s on %v, row %d: %+v", name, p, i, r)
							}
						}
					}
					last := table.Rows[steps-1]
					near(t, "last A", last.A, last.X.Z, 1e-9)
					near(t, "last B", last.B[0], last.X.Y, 1e-9)
					near(t, "last C", last.C, 0, 0)
				}
			}
		}
	}
}

func TestErrors(t *testing.T) {
	if _, err := Get("dimm"); err == nil || !strings.Contains(err.Error(), `"ddim"`) {
		t.Errorf("error %v", err)
	}
	s, _ := Get("ddim")
	if _, err := s.Plan(get(t, "fm", "u"), Options{}); err == nil || !strings.Contains(err.Error(), "0 steps") {
		t.Errorf("error %v", err)
	}
	p := get(t, "fm", "eps")
	if _, err := s.Table(Grid{p, []process.Point{p.At(1), p.At(0.5)}}, Options{}); err == nil {
		t.Error("DDIM starts where ε says nothing of x")
	}
}
