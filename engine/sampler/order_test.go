package sampler

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"fluxion/engine/process"
)

// multistep methods begin with lower orders: their error is that of their first
// step, unless it is short.
var multistep = map[string]bool{"dpm++-2m": true, "dpm++-3m": true, "unipc": true, "deis": true, "lms": true, "dpm++-2m-sde": true, "dpm++-3m-sde": true}

// graded begins with steps that double from a tiny one.
func graded(lambdas []float64) []float64 {
	h := lambdas[1] - lambdas[0]
	list := []float64{lambdas[0]}
	for k := 18; k > 0; k-- {
		list = append(list, lambdas[0]+h*math.Pow(2, -float64(k)))
	}
	return append(list, lambdas[1:]...)
}

// Observed orders of convergence on the Gaussian denoiser, whose ODE is solved
// in closed form. They are printed: go test -v -run Order.
func TestOrderOfConvergence(t *testing.T) {
	g := gaussian{m: 0.4, s: 0.7}
	for _, c := range []struct {
		sampler string
		o       Options
		order   float64
	}{
		{"ddim", Options{}, 1}, {"euler", Options{}, 1}, {"ode-euler", Options{}, 1}, {"dpm-1", Options{}, 1}, {"dpm++-1", Options{}, 1},
		{"midpoint", Options{}, 2}, {"heun", Options{}, 2}, {"edm-churn", Options{}, 2}, {"edm-churn", Options{Order: 1}, 1},
		{"dpm-2", Options{}, 2}, {"dpm-2", Options{Solver: "heun"}, 2}, {"dpm-3", Options{}, 3}, {"dpm-3", Options{Solver: "heun"}, 3},
		{"dpm++-2s", Options{}, 2}, {"dpm++-2s", Options{Order: 3}, 3}, {"dpm++-2m", Options{}, 2}, {"dpm++-2m", Options{Solver: "heun"}, 2},
		{"dpm++-3m", Options{}, 3}, {"dpm++-3m", Options{Compat: true}, 2}, {"dpm-singlestep", Options{}, 2}, {"dpm-singlestep", Options{Order: 3, Solver: "heun"}, 3},
		{"unipc", Options{Order: 1}, 2}, {"unipc", Options{}, 3}, {"unipc", Options{Solver: "bh1"}, 2}, {"unipc", Options{Order: 3}, 4},
		{"deis", Options{Order: 2}, 2}, {"deis", Options{}, 3}, {"lms", Options{Order: 2}, 2}, {"lms", Options{Order: 3}, 3}, {"lms", Options{}, 4},
		{"dpm++-2m-sde", Options{Eta: number(0)}, 2}, {"dpm++-3m-sde", Options{Eta: number(0)}, 3}, {"dpm++-sde", Options{Eta: number(0)}, 2},
	} {
		for _, p := range []process.Process{get(t, "cosine", "v"), get(t, "fm", "u")} {
			variables := []string{""}
			if s := method(t, c.sampler); len(s.Variables) > 0 && c.sampler != "unipc" && !c.o.Compat {
				variables = s.Variables
			}
			for _, variable := range variables {
				o := c.o
				o.Variable = variable
				failure := func(steps int) float64 {
					lambdas := spaced(-3.2, 2.4, steps)
					if multistep[c.sampler] {
						lambdas = graded(lambdas)
					}
					grid := onGrid(p, lambdas)
					table, err := method(t, c.sampler).Table(grid, o)
					if err != nil {
						t.Fatal(err)
					}
					last := len(lambdas) - 1
					states := g.run(table, affine{mean: 1.1})
					return math.Abs(states[last].mean - g.exact(grid.Points[0], grid.Points[last], 1.1))
				}
				const steps = 96
				coarse, fine := failure(steps), failure(2*steps)
				order := math.Log2(coarse / fine)
				t.Logf("%-15s order %d %-8s in %-4s on %v: observed %.2f (errors %.2e, %.2e)", c.sampler, c.o.Order, c.o.Solver, variable, p, order, coarse, fine)
				if math.Abs(order-c.order) > 0.25 && !(order > c.order && order < c.order+1.2) {
					t.Errorf("%s order %d in %q on %v: order %.2f, want %v", c.sampler, c.o.Order, variable, p, order, c.order)
				}
			}
		}
	}
}

// With noise, the mean and the variance of the sample converge to the data's.
func TestStochasticSamplersConverge(t *testing.T) {
	g := gaussian{m: 0.3, s: 0.6}
	for _, c := range []struct {
		sampler string
		o       Options
		order   float64 // of the variance
	}{
		{"ddpm", Options{}, 1}, {"ancestral", Options{}, 1}, {"ancestral", Options{Eta: number(0.5)}, 1}, {"churn", Options{}, 1}, {"churn", Options{Churn: number(0.3)}, 1},
		{"sde", Options{}, 1}, {"sde", Options{Eta: number(1.5)}, 1}, {"sde", Options{Epsilon: number(0.7)}, 1}, {"ddim", Options{Eta: number(0.7)}, 1},
		{"dpm++-2m-sde", Options{}, 2}, {"dpm++-2m-sde", Options{Solver: "heun"}, 2}, {"dpm++-2m-sde", Options{Eta: number(0.6)}, 2}, {"dpm++-3m-sde", Options{}, 2},
		{"dpm++-sde", Options{}, 1}, {"dpm++-sde", Options{Eta: number(0.5)}, 1},
	} {
		for _, p := range []process.Process{get(t, "cosine", "v"), get(t, "fm", "u"), get(t, "ve", "edm")} {
			variables := []string{""}
			if s := method(t, c.sampler); len(s.Variables) > 0 {
				variables = s.Variables
			}
			for _, variable := range variables {
				o := c.o
				o.Variable = variable
				failure := func(steps int) (mean, variance float64) {
					grid := onGrid(p, spaced(-4, 5, steps))
					table, err := method(t, c.sampler).Table(grid, o)
					if err != nil {
						t.Fatal(err)
					}
					want := g.marginal(grid.Points[steps])
					last := g.run(table, g.marginal(grid.Points[0]))[steps]
					return math.Abs(last.mean - want.mean), math.Abs(last.variance() - want.variance())
				}
				const steps = 100
				m, v := failure(steps)
				m2, v2 := failure(2 * steps)
				order := math.Log2(v / v2)
				t.Logf("%-15s in %-4s on %v: mean off by %.1e, variance by %.1e, order %.2f", c.sampler, variable, p, m2, v2, order)
				if m2 > 3e-3 || v2 > 2e-2 || m2 > m+1e-9 || order < c.order-0.35 {
					t.Errorf("%s in %q on %v: mean off by %.1e and %.1e, variance by %.1e and %.1e", c.sampler, variable, p, m, m2, v, v2)
				}
			}
		}
	}
}

// The noise that is added does not bring a sampler off the marginals (MATHEMATICS.md,
// section 5): EDM's churn, done before the call and with α rescaled, on every path.
func TestChurnKeepsTheMarginals(t *testing.T) {
	g := gaussian{m: 0.3, s: 0.6}
	for _, p := range []process.Process{get(t, "ve", "eps"), get(t, "fm", "u"), get(t, "cosine", "v")} {
		for _, order := range []int{1, 2} {
			failure := func(steps int) float64 {
				grid := onGrid(p, spaced(-4, 5, steps))
				table, err := method(t, "edm-churn").Table(grid, Options{Churn: number(10), Order: order})
				if err != nil {
					t.Fatal(err)
				}
				worst := 0.0
				for i, z := range g.run(table, g.marginal(grid.Points[0])) {
					want := g.marginal(grid.Points[i])
					worst = math.Max(worst, math.Max(math.Abs(z.mean-want.mean), math.Abs(z.variance()-want.variance())/want.variance()))
				}
				return worst
			}
			coarse, fine := failure(100), failure(200)
			if observed := math.Log2(coarse / fine); math.Abs(observed-float64(order)) > 0.3 || fine > 0.05 {
				t.Errorf("%v of order %d: marginals off by %.1e and %.1e, order %.2f", p, order, coarse, fine, observed)
			}
		}
	}
}

// The rows of edm-churn on σ are Karras et al.'s algorithm 2, line by line.
func TestEDMAlgorithm(t *testing.T) {
	p := get(t, "ve", "eps")
	sigmas := []float64{20, 5, 1.5, 0.4, 0}
	const churn, scale = 3.0, 1.007
	table := plan(t, p, "edm-churn", Options{Grid: "sigma:20,5,1.5,0.4,0", Churn: number(churn), NoiseMin: 0.5, NoiseMax: 10, NoiseScale: scale})
	denoised := func(x, sigma float64) float64 { return math.Sin(x) / (1 + sigma) } // any function
	draws := []float64{0.3, -1.2, 0.8, 0.5}
	x, k := 11.0, 0
	for i, sigma := range sigmas[:4] {
		gamma := 0.0
		if sigma >= 0.5 && sigma <= 10 {
			gamma = math.Min(churn/4, math.Sqrt2-1)
		}
		hat := sigma * (1 + gamma)
		xHat := x
		if gamma > 0 {
			xHat = x + math.Sqrt(hat*hat-sigma*sigma)*scale*draws[k]
			k++
		}
		d := (xHat - denoised(xHat, hat)) / hat
		x = xHat + (sigmas[i+1]-hat)*d
		if sigmas[i+1] != 0 {
			d2 := (x - denoised(x, sigmas[i+1])) / sigmas[i+1]
			x = xHat + (sigmas[i+1]-hat)*(d/2+d2/2)
		}
	}
	z, k := 11.0, 0
	var outputs []float64
	for i, r := range table.Rows {
		if r.Before != (Lift{}) {
			z = r.Before.A*z + r.Before.C*draws[k]
			k++
		}
		outputs = append(outputs, (z-denoised(z, r.Call.Sigma))/r.Call.Sigma)
		next := r.A*z + r.B[0]*outputs[i]
		for lag, b := range r.B[1:] {
			next += b * outputs[i-1-lag]
		}
		z = next
	}
	near(t, "sample", z, x, 1e-12)
	if k != 2 {
		t.Errorf("drew %d times, want 2", k)
	}
}

// Dormand-Prince meets its tolerance in every variable, and gets there in fewer
// calls when it may err more.
func TestRungeKutta45(t *testing.T) {
	g := gaussian{m: 0.4, s: 0.3}
	s := method(t, "rk45")
	for _, p := range []process.Process{get(t, "fm", "u"), get(t, "cosine", "v"), get(t, "ve", "edm"), get(t, "vp-linear", "eps"), get(t, "ddpm-linear", "x")} {
		model := func(q process.Point, z []float64) ([]float64, error) {
			c, d := g.output(q)
			y := make([]float64, len(z))
			for i := range z {
				y[i] = c + d*z[i]
			}
			return y, nil
		}
		for _, variable := range s.Variables {
			grid, err := NewGrid(p, Options{Steps: 4})
			if err != nil {
				t.Fatal(err)
			}
			if variable == "eps" && grid.Points[0].Alpha == 0 || variable == "x" && p.Schedule.Name() == "ddpm-linear" {
				continue // infinite at the start; stiff towards the data
			}
			begin := grid.Points[0]
			z := []float64{begin.Sigma * 0.8, -begin.Sigma * 1.3}
			calls := []int{}
			var said [][]float64
			model := func(q process.Point, z []float64) ([]float64, error) {
				y, err := model(q, z)
				said = append(said, y)
				return y, err
			}
			for _, tolerance := range []float64{1e-3, 1e-8} {
				said = nil
				path, err := s.Adapt(context.Background(), grid, Options{Variable: variable, Tolerance: tolerance}, z, model)
				if err != nil {
					t.Fatalf("%v in %s: %v", p, variable, err)
				}
				for k := range z { // the linear contributions of MATHEMATICS.md, section 6
					sum, size := path.Weights.Start*z[k], math.Abs(path.Weights.Start*z[k])
					for i, w := range path.Weights.Outputs {
						sum += w * said[i][k]
						size += math.Abs(w * said[i][k])
					}
					near(t, p.String()+" in "+variable+", by weights", sum/size, path.States[len(path.States)-1][k]/size, 1e-12)
				}
				for i, state := range path.States {
					for k, v := range state {
						near(t, p.String()+" in "+variable, v, g.exact(begin, grid.Points[i], z[k]), 100*tolerance)
					}
				}
				calls = append(calls, len(path.Calls))
			}
			t.Logf("%v in %s: %v calls", p, variable, calls)
			if calls[0] >= calls[1] {
				t.Errorf("%v in %s: %v calls for tolerances 1e-3 and 1e-8", p, variable, calls)
			}
		}
	}
	grid, _ := NewGrid(get(t, "fm", "u"), Options{Steps: 3})
	_, err := s.Adapt(context.Background(), grid, Options{Variable: "eps"}, []float64{1}, func(q process.Point, z []float64) ([]float64, error) { return z, nil })
	if err == nil || !strings.Contains(err.Error(), "such as u") {
		t.Errorf("error %v", err)
	}
}

// Grids by name end on the data and fall; those of diffusers have its numbers.
func TestGrids(t *testing.T) {
	for _, k := range gridKinds {
		for _, p := range processes(t) {
			for _, n := range []int{1, 2, 9} {
				g, err := NewGrid(p, Options{Grid: k.Name, Steps: n})
				if k.Name == "ays" && err != nil && strings.Contains(err.Error(), "want 0.029 to 14.615") {
					continue
				}
				if err != nil {
					t.Errorf("%s on %v: %v", k.Name, p, err)
					continue
				}
				last := g.Points[n]
				if len(g.Points) != n+1 || last.Sigma != 0 || last.Alpha != 1 {
					t.Errorf("%s on %v ends with %+v", k.Name, p, last)
				}
			}
		}
	}
	ve := get(t, "ve", "edm")
	g, err := NewGrid(ve, Options{Grid: "karras", Steps: 18})
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range g.Points[:18] { // EDM, equation 5
		a, b := math.Pow(80, 1./7), math.Pow(0.002, 1./7)
		near(t, "EDM's σ", q.Sigma/math.Pow(a+float64(i)/17*(b-a), 7), 1, 1e-11)
		near(t, "c_noise", q.NetworkTime, math.Log(q.Sigma)/4, 1e-12)
	}
	ddpm := get(t, "ddpm-linear", "eps")
	for name, want := range map[string][]float64{
		"leading": {900, 800, 700, 600, 500, 400, 300, 200, 100, 0}, "leading:offset=1": {901, 801, 701, 601, 501, 401, 301, 201, 101, 1},
		"trailing": {999, 899, 799, 699, 599, 499, 399, 299, 199, 99}, "linspace": {999, 888, 777, 666, 555, 444, 333, 222, 111, 0},
	} {
		g, err := NewGrid(ddpm, Options{Grid: name, Steps: 10})
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range want {
			near(t, name, g.Points[i].NetworkTime, n, 1e-9)
		}
	}
	for list, want := range map[string][]float64{"t:1,0.25,0": {1, 0.25, 0}, "sigma:0.9,0.3,0": {0.9, 0.3, 0}, "lambda:-2,0,inf": {1 / (1 + math.Exp(-1)), 0.5, 0}} {
		g, err := NewGrid(get(t, "fm", "u"), Options{Grid: list})
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range want {
			near(t, list, g.Points[i].Time, at, 1e-12)
		}
	}
	up, err := NewGrid(ve, Options{Grid: "karras", Steps: 5, Invert: true})
	if err != nil || up.Points[0].Sigma != 0 || !slices.IsSortedFunc(up.Points, func(a, b process.Point) int { return int(math.Copysign(1, a.Sigma-b.Sigma)) }) {
		t.Errorf("inverted: %v, %+v", err, up.Points)
	}
	part, err := NewGrid(ve, Options{Grid: "karras", Steps: 18, Begin: 7})
	if err != nil || len(part.Points) != 12 || part.Points[0] != g.Points[7] {
		t.Errorf("part-way: %v, %d points", err, len(part.Points))
	}
}
