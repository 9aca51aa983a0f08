package sampler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"fluxion/engine/process"
)

// Model is a network, or what stands for one: its output at a point for a state
// in the schedule's own units.
type Model func(q process.Point, z []float64) (y []float64, err error)

// Path is what an adaptive run went through: the states at the entries of the
// grid, the calls in order, and what enters the last state; calls of rejected
// steps do not.
type Path struct {
	States  [][]float64
	Calls   []process.Point
	Places  []float64 // of the calls in the grid
	Weights Weights
}

// lastLevel is ln(α/σ) down to which noise is integrated away; the rest, of
// σ/α = 1.2e-4, goes in one step to x̂, with an error of its square.
const lastLevel = 9

// maxCalls bounds a run that does not get on.
const maxCalls = 100_000

// minTolerance is a little above what float64 can hold.
const minTolerance = 1e-13

// Adapt integrates the probability-flow ODE from the first entry of a grid
// through all others, choosing its own steps so that each errs by at most the
// tolerance. The network's calls depend on the state, so this is the one sampler
// without a table: the host drives it.
func (s Sampler) Adapt(ctx context.Context, g Grid, o Options, z []float64, model Model) (Path, error) {
	if !s.Adaptive {
		return Path{}, fmt.Errorf("sampler %s is not adaptive", s.Name)
	}
	o, err := s.Check(o)
	if err == nil {
		err = s.checkBridge(g.Process, variables[o.Variable])
	}
	if err != nil {
		return Path{}, err
	}
	name := o.Variable
	if name == onPath[0] {
		name = g.Process.Schedule.Path().Natural
	}
	r := &adaptive{ctx: ctx, grid: g, variable: variables[name], model: model, tolerance: o.Tolerance}
	if r.tolerance == 0 {
		r.tolerance = 1e-6
	}
	r.path.States = append(r.path.States, z)
	for i := range g.Points[1:] {
		if z, err = r.interval(i, z); err != nil {
			return Path{}, fmt.Errorf("sampler %s on %v: %w", s.Name, g.Process, err)
		}
		r.path.States = append(r.path.States, z)
	}
	r.path.Weights = r.weights()
	return r.path, nil
}

// adaptive is a run of Adapt.
type adaptive struct {
	ctx       context.Context
	grid      Grid
	variable  *variable
	model     Model
	tolerance float64
	step      float64 // proposed, in E
	path      Path
	kept      []process.Linear // of each call, the variable from z and y
	tape      []taken
}

// taken is a part of a run that was kept: a step of length h with its calls, of
// which the first was the last of the step before; the first call after an entry
// of the grid; or the last one, which leaves z and y so much.
type taken struct {
	h     float64
	calls []int
	last  process.Linear
}

// weights follows the run backwards: adjoint is what the last state gains from
// z/N, and slope what it gains from the first slope of the step after.
func (r *adaptive) weights() Weights {
	w := Weights{Outputs: make([]float64, len(r.path.Calls))}
	norm := func(call int) float64 { return r.variable.norm(r.path.Calls[call]) }
	end := r.grid.Points[len(r.grid.Points)-1]
	adjoint, slope := r.variable.norm(end), 0.0
	for _, t := range slices.Backward(r.tape) {
		first := t.calls[0]
		switch {
		case t.last != process.Linear{}:
			w.Outputs[first] += t.last.Y
			adjoint = t.last.Z * norm(first)
		case len(t.calls) == 1:
			w.Outputs[first] += slope * r.kept[first].Y
			adjoint += slope * r.kept[first].Z * norm(first)
			slope = 0
		default:
			slopes := make([]float64, len(t.calls))
			slopes[len(slopes)-1] = slope
			result := adjoint
			adjoint = 0
			for j := len(t.calls) - 1; j > 0; j-- {
				call := t.calls[j]
				w.Outputs[call] += slopes[j] * r.kept[call].Y
				state := slopes[j]*r.kept[call].Z*norm(call) + result
				result = 0 // the last stage's state alone is the step's result
				adjoint += state
				for k, a := range DormandPrince.A[j] {
					slopes[k] += t.h * a * state
				}
			}
			slope = slopes[0]
		}
	}
	w.Start = adjoint / r.variable.norm(r.grid.Points[0])
	return w
}

// call evaluates the variable at a point.
func (r *adaptive) call(i int, q process.Point, z []float64) ([]float64, error) {
	if err := context.Cause(r.ctx); err != nil {
		return nil, err
	}
	if len(r.path.Calls) >= maxCalls {
		return nil, fmt.Errorf("%d calls and not at the end; want a larger tolerance", maxCalls)
	}
	y, err := r.model(q, z)
	if err != nil {
		return nil, err
	}
	keep, err := r.variable.of(q)
	if err != nil {
		return nil, err
	}
	b := builder{grid: r.grid, interval: i}
	r.path.Calls, r.path.Places = append(r.path.Calls, q), append(r.path.Places, b.position(q))
	r.kept = append(r.kept, keep)
	h := make([]float64, len(z))
	for k := range h {
		h[k] = keep.Z*z[k] + keep.Y*y[k]
	}
	return h, nil
}

// interval goes from entry i of the grid to the next.
func (r *adaptive) interval(i int, z []float64) ([]float64, error) {
	v, t, s := r.variable, r.grid.Points[i], r.grid.Points[i+1]
	target := s
	if s.Sigma == 0 {
		target = r.grid.Process.AtLogSNR(2 * math.Max(lastLevel, half(t)))
	}
	if !v.regular(t, target) {
		return nil, errors.New("variable " + v.name + " has no finite step from there; want another one, such as u")
	}
	if half(t) != half(target) {
		var err error
		if z, err = r.integrate(i, z, t, target); err != nil {
			return nil, err
		}
	}
	if s.Sigma != 0 {
		return z, nil
	}
	h, err := r.call(i, target, z)
	if err != nil {
		return nil, err
	}
	x, err := v.in(target).X()
	call := len(r.kept) - 1
	keep := r.kept[call]
	r.tape = append(r.tape, taken{calls: []int{call}, last: process.Linear{Z: s.Alpha * (x.Z + x.Y*keep.Z), Y: s.Alpha * x.Y * keep.Y}})
	last := make([]float64, len(z))
	for k := range last {
		last[k] = s.Alpha * (x.Z*z[k] + x.Y*h[k])
	}
	return last, err
}

// integrate is the controlled loop on w = z/N, dw = y dE.
func (r *adaptive) integrate(i int, z []float64, t, s process.Point) ([]float64, error) {
	v := r.variable
	e, end := v.level(half(t)), v.level(half(s))
	direction := math.Copysign(1, end-e)
	if r.step == 0 {
		r.step = math.Abs(end-e) / 20
	}
	w, at := scaled(z, 1/v.norm(t)), t
	first, err := r.call(i, t, z)
	calls := []int{len(r.kept) - 1} // of the coming step, and those it tries
	r.tape = append(r.tape, taken{calls: calls})
	for err == nil && e != end {
		calls = calls[:1:1]
		h := direction * math.Min(r.step, math.Abs(end-e))
		whole := math.Abs(h) == math.Abs(end-e)
		slopes := [][]float64{first}
		next, to := w, at
		for j := 1; j < len(DormandPrince.C) && err == nil; j++ {
			next = scaled(w, 1)
			for k, a := range DormandPrince.A[j] {
				addTo(next, h*a, slopes[k])
			}
			switch c := DormandPrince.C[j]; {
			case c == 1 && whole:
				to = s
			default:
				to = r.grid.Process.AtLogSNR(2 * v.inverse(e+c*h))
			}
			var y []float64
			y, err = r.call(i, to, scaled(next, v.norm(to)))
			slopes, calls = append(slopes, y), append(calls, len(r.kept)-1)
		}
		if err != nil {
			break
		}
		mistake := 0.0
		for k := range w {
			d := 0.0
			for j, c := range DormandPrince.E {
				d += h * c * slopes[j][k]
			}
			d /= r.tolerance * (1 + math.Max(math.Abs(w[k]), math.Abs(next[k])))
			mistake += d * d / float64(len(w))
		}
		mistake = math.Sqrt(mistake)
		if mistake <= 1 {
			w, at, first = next, to, slopes[len(slopes)-1]
			r.tape = append(r.tape, taken{h: h, calls: calls})
			calls = calls[len(calls)-1:]
			if e += h; whole {
				e = end
			}
		} else if math.Abs(h) < 1e-14*math.Abs(end) || math.IsNaN(mistake) {
			return nil, fmt.Errorf("at t = %.6g no step is short enough for tolerance %g", at.Time, r.tolerance)
		}
		// The step itself, not what the end of the interval left of it, is
		// lengthened or shortened.
		factor := math.Min(5, math.Max(0.2, 0.9*math.Pow(math.Max(mistake, 1e-10), -0.2)))
		if mistake > 1 || !whole || factor < 1 {
			r.step = math.Abs(h) * factor
		}
	}
	return scaled(w, v.norm(s)), err
}

func scaled(z []float64, by float64) []float64 {
	w := make([]float64, len(z))
	addTo(w, by, z)
	return w
}

func addTo(z []float64, by float64, y []float64) {
	for k := range z {
		z[k] += by * y[k]
	}
}
