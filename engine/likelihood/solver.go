package likelihood

import (
	"fmt"
	"math"

	"fluxion/data/lookup"
	"fluxion/engine/sampler"
)

// Field is a velocity: it writes dz/dt at (t, z) to v and returns its divergence there.
type Field func(t float64, z, v []float64) (divergence float64, err error)

// Solver is a method of integration.
type Solver struct {
	Name, About string
	tableau     sampler.Tableau
}

// Adaptive says that the solver chooses its steps by tolerances.
func (s Solver) Adaptive() bool { return s.tableau.E != nil }

// Solvers are all, the default first.
var Solvers = []Solver{
	{"rk45", "Dormand-Prince 5(4), with tolerances", sampler.DormandPrince},
	{"euler", "first order", sampler.Euler},
	{"midpoint", "second order, two calls a step", sampler.Midpoint},
	{"heun", "second order, two calls a step", sampler.Heun},
	{"rk4", "fourth order, four calls a step", sampler.RungeKutta4},
}

// FindSolver returns a solver by name.
func FindSolver(name string) (Solver, error) {
	names := make([]string, len(Solvers))
	for i, s := range Solvers {
		names[i] = s.Name
	}
	i, err := lookup.Find("solver", name, names)
	if err != nil {
		return Solver{}, err
	}
	return Solvers[i], nil
}

// Steps say how finely a solver goes.
type Steps struct {
	Count      int     // of a solver without tolerances
	Rtol, Atol float64 // of one with
}

// maxCalls bounds a run that does not get on, minTolerance what float64 can hold.
const (
	maxCalls     = 100_000
	minTolerance = 1e-12
)

// Check says what is wrong with the steps of a solver.
func (s Solver) Check(o Steps) error {
	for _, t := range []float64{o.Rtol, o.Atol} {
		if s.Adaptive() && !(t >= minTolerance && t < 1) {
			return fmt.Errorf("tolerance %g of %s, want from %g to less than 1", t, s.Name, minTolerance)
		}
	}
	if !s.Adaptive() && (o.Count < 1 || o.Count > maxCalls/len(s.tableau.C)) {
		return fmt.Errorf("%d steps of %s, want 1 to %d", o.Count, s.Name, maxCalls/len(s.tableau.C))
	}
	return nil
}

// integration is a run of a solver on z, with the integral of the divergence as one
// number more behind it: steps are controlled for both.
type integration struct {
	Solver
	field  Field
	slopes [][]float64
	stage  []float64
	calls  int
}

// Integrate moves z from one time to another, and returns the integral of the
// divergence along its way and the calls of the field.
func (s Solver) Integrate(f Field, z []float64, from, to float64, o Steps) (divergence float64, calls int, err error) {
	if err := s.Check(o); err != nil {
		return 0, 0, err
	}
	n := len(z) + 1
	i := &integration{Solver: s, field: f, stage: make([]float64, n)}
	for range s.tableau.C {
		i.slopes = append(i.slopes, make([]float64, n))
	}
	w := append(append(make([]float64, 0, n), z...), 0)
	if s.Adaptive() {
		err = i.controlled(w, from, to, o)
	} else {
		err = i.uniform(w, from, to, o.Count)
	}
	copy(z, w)
	return w[n-1], i.calls, err
}

// SolverError is tolerances that cannot be kept.
type SolverError struct{ Solver, Problem string }

func (e *SolverError) Error() string { return "solver " + e.Solver + ": " + e.Problem }

// NotFiniteError is a network whose answers are no numbers.
type NotFiniteError struct{ Time float64 }

func (e *NotFiniteError) Error() string {
	return fmt.Sprintf("what the model says at t = %.4g of the linear path is no finite number", e.Time)
}

// call evaluates the field at w.
func (i *integration) call(t float64, w, slope []float64) (err error) {
	if i.calls++; i.calls > maxCalls {
		return &SolverError{i.Name, fmt.Sprintf("%d calls and not at the end; want a larger tolerance", maxCalls)}
	}
	n := len(w) - 1
	slope[n], err = i.field(t, w[:n], slope[:n])
	if err != nil {
		return err
	}
	for _, v := range slope {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return &NotFiniteError{t}
		}
	}
	return nil
}

// to sets the stage to w and a sum of slopes.
func (i *integration) to(w []float64, h float64, weights []float64) {
	copy(i.stage, w)
	for k, a := range weights {
		if a == 0 {
			continue
		}
		for j, s := range i.slopes[k] {
			i.stage[j] += h * a * s
		}
	}
}

// stages evaluates slopes from one on.
func (i *integration) stages(w []float64, t, h float64, from int) error {
	for j := from; j < len(i.tableau.C); j++ {
		i.to(w, h, i.tableau.A[j])
		if err := i.call(t+i.tableau.C[j]*h, i.stage, i.slopes[j]); err != nil {
			return err
		}
	}
	return nil
}

func (i *integration) uniform(w []float64, from, to float64, steps int) error {
	at := func(k int) float64 { return from + (to-from)*float64(k)/float64(steps) }
	for k := range steps {
		t := at(k)
		h := at(k+1) - t
		if err := i.stages(w, t, h, 0); err != nil {
			return err
		}
		i.to(w, h, i.tableau.W)
		copy(w, i.stage)
	}
	return nil
}

// controlled takes steps whose error, over rtol |w| + atol, is at most 1 in the mean of
// squares over all numbers, as SciPy's solve_ivp does.
func (i *integration) controlled(w []float64, from, to float64, o Steps) error {
	t, step := from, (to-from)/20
	last := len(i.slopes) - 1
	if err := i.call(t, w, i.slopes[0]); err != nil {
		return err
	}
	for t != to {
		h, whole := step, math.Abs(step) >= math.Abs(to-t)
		if whole {
			h = to - t
		}
		if err := i.stages(w, t, h, 1); err != nil {
			return err
		}
		mistake := 0.0
		for j := range w {
			d := 0.0
			for k, c := range i.tableau.E {
				d += h * c * i.slopes[k][j]
			}
			d /= o.Atol + o.Rtol*math.Max(math.Abs(w[j]), math.Abs(i.stage[j]))
			mistake += d * d / float64(len(w))
		}
		mistake = math.Sqrt(mistake)
		if math.IsNaN(mistake) || mistake > 1 && math.Abs(h) < 1e-13*math.Abs(to-from) {
			return &SolverError{i.Name, fmt.Sprintf("at t = %.6g no step is short enough for rtol %g and atol %g; want larger ones", t, o.Rtol, o.Atol)}
		}
		factor := math.Min(5, math.Max(0.2, 0.9*math.Pow(math.Max(mistake, 1e-10), -0.2)))
		if mistake <= 1 {
			copy(w, i.stage)
			i.slopes[0], i.slopes[last] = i.slopes[last], i.slopes[0]
			if t += h; whole {
				t = to
			}
		}
		if mistake > 1 || !whole || factor < 1 {
			step = h * factor
		}
	}
	return nil
}
