package sampler

import (
	"math"
	"slices"
	"strings"
	"testing"

	"fluxion/engine/process"
	"fluxion/kernels/update"

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

func method(t rapid.TB, name string) Sampler {
	t.Helper()
	s, err := Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func plan(t rapid.TB, p process.Process, name string, o Options) Table {
	t.Helper()
	table, err := method(t, name).Plan(p, o)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func number(x float64) *float64 { return &x }

// tables are the samplers that have one.
func tables() []Sampler {
	return slices.DeleteFunc(slices.Clone(samplers), func(s Sampler) bool { return s.Adaptive })
}

// processes are all pairs of a schedule and an output that fit.
func processes(t rapid.TB) []process.Process {
	var list []process.Process
	for _, schedule := range process.Schedules() {
		for _, output := range process.Outputs() {
			if schedule == "ve" && output == "v" {
				continue
			}
			list = append(list, get(t, schedule, output))
		}
	}
	return list
}

// gaussian is data N(m, s²), whose best output is known: y = c + d z. A network
// errs: each of its outputs is off by a number of its own, of deviation slip.
type gaussian struct{ m, s, slip float64 }

func (g gaussian) output(q process.Point) (c, d float64) {
	total := q.Alpha*q.Alpha*g.s*g.s + q.Sigma*q.Sigma
	// x̂ = m + α s² r and ε̂ = σ r with r = (z − αm)/(α²s² + σ²)
	weight := (q.A*q.Alpha*g.s*g.s + q.B*q.Sigma) / total
	return q.A*g.m - weight*q.Alpha*g.m, weight
}

// affine is a random number: a constant, and coefficients of independent
// standard normal ones.
type affine struct {
	mean  float64
	noise []float64
}

func (a affine) plus(k float64, b affine, l float64) affine {
	sum := affine{mean: k*a.mean + l*b.mean, noise: make([]float64, max(len(a.noise), len(b.noise)))}
	for i, n := range a.noise {
		sum.noise[i] += k * n
	}
	for i, n := range b.noise {
		sum.noise[i] += l * n
	}
	return sum
}

func (a affine) draw(c float64) affine {
	a.noise = append(slices.Clone(a.noise), c)
	return a
}

func (a affine) variance() float64 {
	v := 0.0
	for _, n := range a.noise {
		v += n * n
	}
	return v
}

// run carries z through a table, exactly, because everything is affine, and
// returns it at every entry of the grid.
func (g gaussian) run(table Table, z affine) []affine {
	states := []affine{z}
	var kept []affine
	for i, r := range table.Rows {
		if r.Before != (Lift{}) {
			z = z.plus(r.Before.A, affine{}, 0).draw(r.Before.C)
		}
		c, d := g.output(r.Call)
		y := affine{mean: c}.plus(1, z, d)
		if g.slip != 0 {
			y = y.draw(g.slip)
		}
		keep := y
		if r.Keep != (process.Linear{}) {
			keep = z.plus(r.Keep.Z, y, r.Keep.Y)
		}
		next := z.plus(r.A, y, r.B[0])
		for k, b := range r.B[1:] {
			next = next.plus(1, kept[i-1-k], b)
		}
		if r.C != 0 {
			next = next.draw(r.C)
		}
		kept, z = append(kept, keep), next
		if r.Arrives {
			states = append(states, z)
		}
	}
	return states
}

// marginal is z's distribution at a point.
func (g gaussian) marginal(q process.Point) affine {
	return affine{q.Alpha * g.m, []float64{math.Hypot(q.Alpha*g.s, q.Sigma)}}
}

// exact is where the probability-flow ODE takes z from one point to another:
// the Gaussian marginals are carried onto each other by the monotone map.
func (g gaussian) exact(from, to process.Point, z float64) float64 {
	return to.Alpha*g.m + math.Hypot(to.Alpha*g.s, to.Sigma)*(z-from.Alpha*g.m)/math.Hypot(from.Alpha*g.s, from.Sigma)
}

// Every sampler under every schedule and output gives a finite table that
// starts where it should, ends on x̂ without noise, and keeps no more than fits.
func TestTables(t *testing.T) {
	for _, s := range tables() {
		for _, p := range processes(t) {
			for _, steps := range []int{1, 2, 7, 30} {
				table, err := s.Plan(p, Options{Steps: steps})
				if err != nil {
					t.Errorf("%v", err)
					continue
				}
				arrivals := 0
				for i, r := range table.Rows {
					if r.Arrives {
						arrivals++
					}
					for _, v := range append([]float64{r.A, r.C, r.X.Z, r.X.Y}, r.B...) {
						if math.IsNaN(v) || math.IsInf(v, 0) {
							t.Errorf("%s on %v, row %d: %+v", s.Name, p, i, r)
						}
					}
				}
				if arrivals != steps || !table.Rows[len(table.Rows)-1].Arrives {
					t.Errorf("%s on %v: %d steps arrive, want %d", s.Name, p, arrivals, steps)
				}
				near(t, "start", table.Rows[0].Call.Time, table.Grid.Points[0].Time, 0)
				if m, err := table.Memory(update.MaxHistory); err != nil {
					t.Errorf("%s on %v: %d slots: %v", s.Name, p, m.Slots, err)
				}
				if s.Name != "ode-euler" && s.Random == (table.Draws() == 0) && steps > 1 && s.Name != "edm-churn" {
					t.Errorf("%s on %v draws %d times", s.Name, p, table.Draws())
				}
			}
		}
	}
}

// On data without variance x̂ and ε̂ do not change along a path, nor does u: a
// sampler that interpolates in these, of whatever order, is exact. Each state
// then has the marginal's mean and variance. (v turns with the path.)
func TestExactOnOnePoint(t *testing.T) {
	g := gaussian{m: 0.7}
	rapid.Check(t, func(r *rapid.T) {
		p := rapid.SampledFrom(processes(t)).Draw(r, "process")
		s := rapid.SampledFrom(tables()).Draw(r, "sampler")
		steps := rapid.IntRange(1, 12).Draw(r, "steps")
		o := Options{Steps: steps, Grid: rapid.SampledFrom([]string{"uniform", "karras", "lambda"}).Draw(r, "grid")}
		if s.Name == "ode-euler" || (s.Name == "pndm" && p.Schedule.Path().Name == "sub-vp") {
			return // not exact in this sense
		}
		const tolerance = 1e-9
		if len(s.Variables) > 0 {
			o.Variable = rapid.SampledFrom([]string{"x", "u", "eps"}).Draw(r, "variable")
			switch {
			case s.Random && s.Name != "edm-churn":
				o.Variable = "x" // along a path with noise ε̂ changes
			case s.Name == "lms":
				o.Variable = "eps" // others extrapolate from E near 0 to large E
			case s.Name == "pndm":
				o.Variable = "u" // others divide by a small α or σ at every stage
			}
		}
		if p.Schedule.Name() == "ve" && s.Name == "consistency" {
			return // leaves out the noise that the schedule begins with
		}
		table, err := s.Plan(p, o)
		if err != nil {
			r.Fatal(err)
		}
		for i, z := range g.run(table, g.marginal(table.Grid.Points[0])) {
			q := table.Grid.Points[i]
			near(r, "mean", z.mean, q.Alpha*g.m, tolerance)
			near(r, "variance", z.variance(), q.Sigma*q.Sigma, tolerance)
		}
	})
}

// randomGrid is some times from noise to less of it.
func randomGrid(r *rapid.T, least int) []float64 {
	lambdas := rapid.SliceOfNDistinct(rapid.Float64Range(-4, 4), least, 9, func(l float64) int { return int(l * 50) }).Draw(r, "λ")
	slices.Sort(lambdas)
	return lambdas
}

func onGrid(p process.Process, lambdas []float64) Grid {
	g := Grid{Process: p}
	for _, l := range lambdas {
		g.Points = append(g.Points, p.AtLogSNR(l))
	}
	return g
}

// Euler on the straight path, and the first order of every family, are DDIM row
// by row.
func TestFirstOrderIsDDIM(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := rapid.SampledFrom(processes(t)).Draw(r, "process")
		steps := rapid.IntRange(1, 200).Draw(r, "steps")
		want := plan(r, p, "ddim", Options{Steps: steps})
		for name, o := range map[string]Options{
			"euler": {}, "dpm-1": {}, "dpm++-1": {}, "dpm++-2m": {Order: 1}, "deis": {Order: 1}, "lms": {Order: 1}, "ipndm": {Order: 1},
			"churn": {Churn: number(0)}, "sde": {Eta: number(0)}, "ancestral": {Eta: number(0)}, "edm-churn": {Order: 1}, "dpm++-2m-sde": {Order: 1, Eta: number(0)},
		} {
			o.Steps = steps
			got := plan(r, p, name, o)
			near(r, "start", got.Start, want.Start, 0)
			for i := range want.Rows {
				near(r, name+" A", got.Rows[i].A, want.Rows[i].A, 1e-9)
				near(r, name+" B", got.Rows[i].B[0], want.Rows[i].B[0], 1e-9)
				near(r, name+" C", got.Rows[i].C, 0, 0)
			}
		}
	})
}

// Ancestral, churn ½, the SDE with η = 1, DDIM with η = 1 and the first order of
// the SDE form are DDPM.
func TestManyNamesOfDDPM(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := rapid.SampledFrom(processes(t)).Draw(r, "process")
		g := onGrid(p, randomGrid(r, 2))
		want, err := method(r, "ddpm").Table(g, Options{})
		if err != nil {
			r.Fatal(err)
		}
		for name, o := range map[string]Options{
			"ancestral": {}, "churn": {}, "sde": {}, "ddim": {Eta: number(1)}, "dpm++-2m-sde": {Order: 1}, "dpm++-sde": {Order: 1}, "dpm++-3m-sde": {Order: 1},
		} {
			got, err := method(r, name).Table(g, o)
			if err != nil {
				r.Fatal(err)
			}
			for i := range want.Rows {
				near(r, name+" A", got.Rows[i].A, want.Rows[i].A, 1e-9)
				near(r, name+" B", got.Rows[i].B[0], want.Rows[i].B[0], 1e-9)
				near(r, name+" C", got.Rows[i].C, want.Rows[i].C, 1e-9)
			}
		}
	})
}

// One step of ddpm against the posterior as Ho et al. write it, and against
// MATHEMATICS.md, section 5: DDIM to λ+2Δ, then forward diffusion back to λ+Δ; churn c to
// λ + Δ/(1−c) likewise.
func TestChurnSteps(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := rapid.SampledFrom(processes(t)).Draw(r, "process")
		lambda := rapid.Float64Range(-3, 1).Draw(r, "λ")
		delta := rapid.Float64Range(0.05, 1).Draw(r, "Δ")
		c := rapid.Float64Range(0, 0.6).Draw(r, "c")
		t, s := p.AtLogSNR(lambda), p.AtLogSNR(lambda+delta)
		g := Grid{p, []process.Point{t, s}}
		row := func(name string, o Options) Row {
			table, err := method(r, name).Table(g, o)
			if err != nil {
				r.Fatal(err)
			}
			return table.Rows[0]
		}
		x, eps, err := t.Convert()
		if err != nil {
			r.Fatal(err)
		}
		ratio := t.Alpha / s.Alpha
		between := t.Sigma*t.Sigma - ratio*ratio*s.Sigma*s.Sigma
		state, data := ratio*s.Sigma*s.Sigma/(t.Sigma*t.Sigma), s.Alpha*between/(t.Sigma*t.Sigma)
		ddpm := row("ddpm", Options{})
		near(r, "A", ddpm.A, state+data*x.Z, 1e-9)
		near(r, "B", ddpm.B[0], data*x.Y, 1e-9)
		near(r, "C", ddpm.C, math.Sqrt(between)*s.Sigma/t.Sigma, 1e-9)
		large := row("ddpm", Options{Variance: "large"})
		near(r, "large A", large.A, ddpm.A, 1e-9)
		near(r, "large C", large.C, math.Sqrt(between), 1e-9)

		for share, got := range map[float64]Row{0.5: ddpm, c: row("churn", Options{Churn: &c})} {
			u := p.AtLogSNR(lambda + delta/(1-share))
			up := s.Alpha / u.Alpha
			near(r, "A by churn", got.A, up*(u.Alpha*x.Z+u.Sigma*eps.Z), 1e-9)
			near(r, "B by churn", got.B[0], up*(u.Alpha*x.Y+u.Sigma*eps.Y), 1e-9)
			near(r, "C² by churn", got.C*got.C, s.Sigma*s.Sigma-up*up*u.Sigma*u.Sigma, 1e-9)
		}
	})
}

// η form and ε form of the SDE are one where ε = ηg: for small steps their decay
// agrees to the step's second order.
func TestTwoFormsOfTheSDE(t *testing.T) {
	for _, p := range []process.Process{get(t, "fm", "u"), get(t, "cosine", "v"), get(t, "ve", "eps")} {
		const eta, h = 0.8, 1e-4
		points := []process.Point{p.At(0.5), p.At(0.5 - h)}
		epsilon := process.Epsilon(p.Schedule, 0.5-h/2, eta)
		a, err := method(t, "sde").Table(Grid{p, points}, Options{Eta: number(eta)})
		if err != nil {
			t.Fatal(err)
		}
		b, err := method(t, "sde").Table(Grid{p, points}, Options{Epsilon: number(epsilon)})
		if err != nil {
			t.Fatal(err)
		}
		near(t, "A", b.Rows[0].A-1, a.Rows[0].A-1, 1e-10)
		near(t, "C/√h", b.Rows[0].C/math.Sqrt(h), a.Rows[0].C/math.Sqrt(h), 1e-7)
		near(t, "C is ε √h", b.Rows[0].C/math.Sqrt(h), epsilon, 1e-3)
	}
	// On the straight path ∫dt/σ² is 1/s − 1/t.
	p := get(t, "fm", "u")
	b := &builder{grid: Grid{Process: p}}
	for _, c := range [][2]float64{{1, 0.9}, {0.5, 0.01}, {1, 1e-6}} {
		near(t, "∫dt/σ²", b.inverseVariance(p.At(c[0]), p.At(c[1]))/(1/c[1]-1/c[0]), 1, 1e-10)
	}
}

// blind samplers see neither the schedule nor its scaling: of the process they
// use nothing but the noise levels of the grid.
func blind() []Sampler {
	return slices.DeleteFunc(tables(), func(s Sampler) bool {
		// These use the time, or move along the schedule's own path.
		return slices.Contains([]string{"ode-euler", "midpoint", "heun", "pndm", "tcd", "consistency"}, s.Name)
	})
}

// Equal points in SNR, another schedule, another output, another scale: the
// same sample (MATHEMATICS.md, section 4).
func TestSamplersDoNotSeeTheSchedule(t *testing.T) {
	all := processes(t)
	for _, output := range []string{"x", "eps", "u", "score"} {
		p, err := process.Get("cosine", process.ScheduleOptions{Scale: "exp(2*t)/(1+t)"}, output)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	custom, err := process.NewCustom("custom", func(t float64) (float64, float64) { return 1 - t*t, t + t*t*t })
	if err != nil {
		t.Fatal(err)
	}
	u, _ := process.GetOutput("u")
	p, _ := process.New(custom, u)
	all = append(all, p)
	rapid.Check(t, func(r *rapid.T) {
		g := gaussian{m: rapid.Float64Range(-1, 1).Draw(r, "m"), s: rapid.Float64Range(0.1, 1).Draw(r, "s")}
		xi := rapid.Float64Range(-3, 3).Draw(r, "ξ")
		lambdas := randomGrid(r, 2)
		sampler := rapid.SampledFrom(blind()).Draw(r, "sampler")
		o := Options{}
		if len(sampler.Variables) > 0 {
			o.Variable = rapid.SampledFrom(sampler.Variables).Draw(r, "variable")
		}
		if len(sampler.Orders) > 0 {
			o.Order = rapid.SampledFrom(sampler.Orders).Draw(r, "order")
		}
		if sampler.takes("eta") && sampler.Random {
			o.Eta = number(rapid.Float64Range(0.1, 1).Draw(r, "η"))
		}
		var first affine
		for i, p := range []process.Process{rapid.SampledFrom(all).Draw(r, "process"), rapid.SampledFrom(all).Draw(r, "other")} {
			table, err := sampler.Table(onGrid(p, lambdas), o)
			if err != nil {
				r.Fatal(err)
			}
			// Units in which α² + σ² = 1.
			begin, end := table.Grid.Points[0], table.Grid.Points[len(lambdas)-1]
			states := g.run(table, affine{mean: math.Hypot(begin.Alpha, begin.Sigma) * xi})
			last := states[len(states)-1].plus(1/math.Hypot(end.Alpha, end.Sigma), affine{}, 0)
			if i == 0 {
				first = last
				continue
			}
			near(r, sampler.Name+" mean", last.mean, first.mean, 1e-9)
			near(r, sampler.Name+" variance", last.variance(), first.variance(), 1e-9)
		}
	})
}

// The probability-flow ODE's own Euler does see the scaling (MATHEMATICS.md, section 4).
func TestODEEulerSeesTheScaling(t *testing.T) {
	g := gaussian{m: 0.3, s: 0.6}
	var ends []float64
	for _, scale := range []string{"", "1 + t"} {
		p, err := process.Get("fm", process.ScheduleOptions{Scale: scale}, "u")
		if err != nil {
			t.Fatal(err)
		}
		table := plan(t, p, "ode-euler", Options{Grid: "t:1,0.6,0.3,0"})
		states := g.run(table, affine{mean: table.Start * 1.2})
		ends = append(ends, states[len(states)-1].mean)
	}
	if math.Abs(ends[0]-ends[1]) < 1e-3 {
		t.Errorf("both scalings give %v", ends)
	}
	// On the straight path it is flow matching's Euler.
	p := get(t, "fm", "u")
	a, b := plan(t, p, "ode-euler", Options{Steps: 9}), plan(t, p, "euler", Options{Steps: 9})
	for i := range a.Rows {
		near(t, "A", a.Rows[i].A, b.Rows[i].A, 1e-12)
		near(t, "B", a.Rows[i].B[0], b.Rows[i].B[0], 1e-12)
	}
}

// DDIM upwards undoes DDIM downwards when x̂ and ε̂ stay, and comes back in first
// order when they do not.
func TestReversedDDIM(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := rapid.SampledFrom(processes(t)).Draw(r, "process")
		lambdas := randomGrid(r, 2)
		x, eps := rapid.Float64Range(-2, 2).Draw(r, "x"), rapid.Float64Range(-2, 2).Draw(r, "ε")
		down := onGrid(p, lambdas)
		up := Grid{p, slices.Clone(down.Points)}
		slices.Reverse(up.Points)
		begin := down.Points[0]
		z := begin.Alpha*x + begin.Sigma*eps
		for _, c := range []struct {
			g Grid
			o Options
		}{{down, Options{}}, {up, Options{Invert: true}}} {
			table, err := method(r, "ddim").Table(c.g, c.o)
			if err != nil {
				r.Fatal(err)
			}
			for _, row := range table.Rows {
				z = row.A*z + row.B[0]*(row.Call.A*x+row.Call.B*eps)
			}
		}
		near(r, "z", z, begin.Alpha*x+begin.Sigma*eps, 1e-9)
	})
	g := gaussian{m: 0.3, s: 0.6}
	for _, name := range []string{"ddim", "heun", "dpm++-2m"} {
		p := get(t, "cosine", "v")
		failure := func(steps int) float64 {
			o := Options{Steps: steps, Invert: true}
			if name != "ddim" { // interpolates in λ, which is infinite at both ends
				o = Options{Points: onGrid(p, spaced(4, -4, steps)).Points, Invert: true}
			}
			table := plan(t, p, name, o)
			begin, end := table.Grid.Points[0], table.Grid.Points[steps]
			z := begin.Alpha*0.9 + begin.Sigma*0.2
			states := g.run(table, affine{mean: z})
			return math.Abs(states[steps].mean - g.exact(begin, end, z))
		}
		if coarse, fine := failure(100), failure(200); fine > 1e-2 || coarse/fine < 1.8 {
			t.Errorf("inverted %s misses the noise by %v with 100 steps, %v with 200", name, coarse, fine)
		}
	}
}

func spaced(from, to float64, steps int) []float64 {
	l := make([]float64, steps+1)
	for i := range l {
		l[i] = from + (to-from)*float64(i)/float64(steps)
	}
	return l
}

func TestErrors(t *testing.T) {
	fm, ve := get(t, "fm", "u"), get(t, "ve", "eps")
	for _, c := range []struct {
		p       process.Process
		sampler string
		o       Options
		want    []string
	}{
		{fm, "rk45", Options{Steps: 5, Churn: number(0.3)}, []string{"rk45", "churn", "edm-churn do"}},
		{fm, "ddim", Options{}, []string{"0 steps", "at least 1"}},
		{fm, "ddim", Options{Steps: 5, Tolerance: 1e-3}, []string{"takes no tolerance; rk45 does"}},
		{fm, "heun", Options{Steps: 5, NoiseScale: 1.1}, []string{"takes no noise scale; edm-churn does"}},
		{fm, "edm-churn", Options{Steps: 5, NoiseMax: -1}, []string{"negative"}},
		{fm, "ddim", Options{Steps: 5, Grid: "karas"}, []string{`"karras"?`}},
		{fm, "ddim", Options{Grid: "t:0.2,0.8"}, []string{"entries 0 and 1", "t falls"}},
		{fm, "ddim", Options{Grid: "t:0.8,0.8"}, []string{"entries 0 and 1"}},
		{fm, "ddim", Options{Grid: "t:0.8,1.8"}, []string{"t = 1.8", "0 to 1"}},
		{fm, "ddim", Options{Grid: "t:0.8"}, []string{"1 points", "2 or more"}},
		{fm, "ddim", Options{Grid: "t:0.8,x"}, []string{`"x"`, "as in t:"}},
		{fm, "ddim", Options{Grid: "t:0.8,0.5", Steps: 7}, []string{"7 steps", "has 1"}},
		{ve, "ddim", Options{Grid: "sigma:200,1"}, []string{"σ = 200", "0.002 to 80"}},
		{ve, "ddim", Options{Grid: "lambda:1,30"}, []string{"λ = 30", "inf is the data"}},
		{fm, "ddpm", Options{Steps: 5, Invert: true}, []string{"cannot be inverted", "ddim"}},
		{fm, "ddim", Options{Steps: 5, Invert: true, Eta: number(1)}, []string{"cannot be inverted"}},
		{fm, "dpm++-2m", Options{Steps: 5, Order: 7}, []string{"no order 7", "1 2"}},
		{fm, "dpm++-2m", Options{Steps: 5, Variable: "w"}, []string{`"w"`, "x, eps, v, u"}},
		{fm, "ddim", Options{Steps: 5, Variable: "x"}, []string{"takes no variable"}},
		{fm, "ddpm", Options{Steps: 5, Variance: "smal"}, []string{`"small"?`, "small, large"}},
		{fm, "heun", Options{Steps: 5, LowerOrderFinal: true}, []string{"takes no lower order at the end", "dpm++-2m"}},
		{fm, "sde", Options{Steps: 5, Eta: number(1), Epsilon: number(1)}, []string{"eta and epsilon", "one of them"}},
		{fm, "churn", Options{Steps: 5, Churn: number(1)}, []string{"churn = 1", "below 1"}},
		{fm, "churn", Options{Steps: 5, Churn: number(-1)}, []string{"churn = -1"}},
		{fm, "ddim", Options{Steps: 5, Begin: 5}, []string{"begin at entry 5", "0 to 4"}},
		{fm, "ddim", Options{Steps: 5, Grid: "karras:rho=-1"}, []string{"rho = -1"}},
		{fm, "ddim", Options{Steps: 5000, Grid: "leading"}, []string{"5000 steps", "1000"}},
		{get(t, "fm", "eps"), "ddim", Options{Grid: "t:1,0.5"}, []string{"do not determine"}},
		{get(t, "cosine", "x"), "ode-euler", Options{Grid: "t:0,0.5", Invert: true}, []string{"do not determine"}},
	} {
		s := method(t, c.sampler)
		_, err := s.Plan(c.p, c.o)
		if err == nil {
			t.Errorf("%s with %+v: no error, want one with %q", c.sampler, c.o, c.want)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: error %q does not say %q on one line", c.sampler, err, w)
			}
		}
	}
	if _, err := Get("dimm"); err == nil || !strings.Contains(err.Error(), `"ddim"`) {
		t.Errorf("error %v", err)
	}
}
