// Package sampler plans every sampler as a table of coefficients. A row of the table is one
// call of the network and the update that follows it, the same formula for every method
// (MATHEMATICS.md, section 6):
//
//	z' = A z + B₀ y + Σₖ Bₖ hₖ + C ξ
//
// where y is the network's output, h₁ what was kept of the call before, h₂ of the one
// before that, and so on, and ξ standard normal noise. A method of higher order keeps the
// variable that it interpolates: y, or x, ε, v or u computed from it. A sampler is a short
// function, in float64, from a grid to rows. One kernel (kernels/update) runs them all,
// and package trace runs them without a network.
package sampler

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"fluxion/data/lookup"
	"fluxion/engine/process"
)

// Row is one call of the network and the update that follows it.
type Row struct {
	Call     process.Point // where the network is called
	Position float64       // of the call in the grid: between two entries for a call between them

	// Before is done to z first: z ← A z + C ξ. The zero value does nothing.
	Before Lift

	A float64   // of the state
	B []float64 // of the output of this call, of what was kept of the one before, …
	C float64   // of fresh noise

	// Spread is what the logarithm of the variance of fresh noise, C², grows by from where the
	// network says −1 of it to where it says 1; 0: the noise is what C says.
	Spread float64

	// Recall is the coefficient of the noise of the row before, again.
	Recall float64

	X    process.Linear // x̂ of this call from z and y: for clipping and previews
	Keep process.Linear // what is kept of this call, from z and y; zero: y itself

	Arrives bool // z' is the state at the next entry of the grid

	// Jump is how much of its time the network's output is to lead over, as flow maps are
	// told; 0 is a velocity, or what else says it.
	Jump float64
}

// Lift raises the noise of a state: z ← A z + C ξ.
type Lift struct{ A, C float64 }

func (r Row) infinite() bool {
	for _, c := range append([]float64{r.A, r.C, r.Spread, r.Recall, r.Before.A, r.Before.C, r.Keep.Z, r.Keep.Y}, r.B...) {
		if math.IsInf(c, 0) || math.IsNaN(c) {
			return true
		}
	}
	return false
}

// Table is a whole run: z = Start·ξ, then the rows. What the last one gives is
// a sample of the data, if the grid ends there.
type Table struct {
	Sampler string
	Grid    Grid
	Start   float64
	Rows    []Row
}

// Options of a run. A sampler refuses options that it does not take; see List.
type Options struct {
	Steps  int             // intervals of the grid
	Grid   string          // as ParseGrid reads it; "" is uniform
	Points []process.Point // the grid itself, instead of Grid and Steps
	Begin  int             // entry of the grid at which the run begins: image to image
	Invert bool            // run the grid upwards, from data to noise

	Order    int      // of a method that has several; 0 is its own
	Variable string   // x, eps, v or u, in which a method interpolates; "" is its own
	Solver   string   // variant: midpoint or heun, bh1 or bh2, prk or plms; "" is the first
	Variance string   // of ddpm: small, large or Learned; "" is small
	Churn    *float64 // c of churn; S_churn of edm-churn
	Eta      *float64 // share of noise; what it multiplies is the sampler's
	Epsilon  *float64 // of sde in interpolant form, instead of Eta

	NoiseMin, NoiseMax float64 // σ/α between which edm-churn adds noise; 0, 0 is everywhere
	NoiseScale         float64 // of edm-churn's noise; 0 is 1

	LowerOrderFinal bool // the last steps of multistep methods have lower order, as for few steps
	FirstOrderFinal bool // the last step has first order

	Uncorrected []int // steps, from 0, after which unipc leaves its corrector out

	// Boundary returns c_skip and c_out of consistency models, by which x̂ of lcm
	// and consistency is c_skip z + c_out x̂; nil is (0, 1).
	Boundary func(q process.Point) (skip, out float64)

	Tolerance float64 // of rk45, relative and absolute; 0 is 1e-6

	// Literal takes a step from the noise end as the method has it, where
	// otherwise it would be DDIM's; see builder.regular.
	Literal bool

	// Compat repeats what diffusers does where it departs from theory; see each sampler.
	Compat bool
}

// Sampler turns a grid into rows.
type Sampler struct {
	Name, About string
	// Takes names the options beyond the grid that the sampler takes.
	Takes []string
	// Variables that it can interpolate in, its own first; none if it has none.
	Variables []string
	Orders    []int    // that it has, its own first
	Solvers   []string // that it has, its own first
	// Random samplers draw noise while they run, and cannot be inverted.
	Random bool
	// Multistep samplers use the calls of earlier steps, from first order up, and
	// may end with lower orders.
	Multistep bool
	// Bridges says that the noise it draws is that of a bridge.
	Bridges bool
	// Adaptive samplers choose their steps as they run: they have no table.
	Adaptive bool

	step func(b *builder, i int, t, s process.Point)
	// begin prepares a builder whose options have been checked; nil does nothing.
	begin func(b *builder) error
}

// Names returns the names that Get knows.
func Names() []string {
	names := make([]string, len(samplers))
	for i, s := range samplers {
		names[i] = s.Name
	}
	return names
}

// List returns every sampler.
func List() []Sampler { return samplers }

// Get returns a sampler by name.
func Get(name string) (Sampler, error) {
	i, err := lookup.Find("sampler", name, Names())
	if err != nil {
		return Sampler{}, err
	}
	return samplers[i], nil
}

// Plan returns the table of a sampler for a process.
func (s Sampler) Plan(p process.Process, o Options) (Table, error) {
	g, err := NewGrid(p, o)
	if err != nil {
		return Table{}, fmt.Errorf("sampler %s: %w", s.Name, err)
	}
	return s.Table(g, o)
}

// Table returns the table of a sampler on a grid.
func (s Sampler) Table(g Grid, o Options) (Table, error) {
	o, err := s.Check(o)
	if err != nil {
		return Table{}, err
	}
	if s.Adaptive {
		return Table{}, fmt.Errorf("sampler %s chooses its steps while it runs and has no table; want another one here, such as heun or dpm++-2m", s.Name)
	}
	b := &builder{grid: g, options: o, base: Sum{Z: 1}}
	if len(s.Variables) > 0 {
		b.variable = variables[o.Variable]
	}
	if s.begin != nil {
		err = s.begin(b)
	}
	if err == nil {
		err = s.checkBridge(g.Process, b.variable)
	}
	for i := 0; i+1 < len(g.Points) && err == nil; i++ {
		b.interval = i
		b.calls = append(b.calls, len(b.rows))
		b.hold = false
		s.step(b, i, g.Points[i], g.Points[i+1])
		if err = b.err; !b.hold {
			b.base = Sum{Z: 1}
		}
	}
	if err != nil {
		return Table{}, fmt.Errorf("sampler %s on %v: %w", s.Name, g.Process, err)
	}
	b.resolve()
	for _, r := range b.rows {
		if bad := r.infinite(); bad {
			return Table{}, fmt.Errorf("sampler %s on %v: the step from t = %.6g has an infinite coefficient; want a grid that begins and ends between the schedule's ends, or another variable", s.Name, g.Process, r.Call.Time)
		}
	}
	t := Table{Sampler: s.Name, Grid: g, Start: g.Points[0].Sigma, Rows: b.rows}
	if source := g.Process.Source; !source.Gaussian() && t.Draws() > 0 && !s.Bridges {
		return Table{}, fmt.Errorf("sampler %s draws Gaussian noise on the way, and the model's source is %v: with it states would no longer be those that the network knows; want a deterministic one, such as euler, heun, rk45 or dpm++-2m, without eta or churn", s.Name, source)
	}
	return t, nil
}

// Check refuses options that the sampler does not take, with what would work,
// and fills in its own choices.
func (s Sampler) Check(o Options) (Options, error) {
	for _, c := range []struct {
		name string
		set  bool
	}{
		{"churn", o.Churn != nil}, {"eta", o.Eta != nil}, {"epsilon", o.Epsilon != nil}, {"order", o.Order != 0},
		{"variable", o.Variable != ""}, {"solver", o.Solver != ""}, {"variance", o.Variance != ""},
		{"noise range", o.NoiseMin != 0 || o.NoiseMax != 0}, {"noise scale", o.NoiseScale != 0}, {"tolerance", o.Tolerance != 0},
		{"lower order at the end", o.LowerOrderFinal || o.FirstOrderFinal},
	} {
		if c.set && !s.takes(c.name) {
			var able []string
			for _, other := range samplers {
				if other.takes(c.name) {
					able = append(able, other.Name)
				}
			}
			do := "do"
			if len(able) == 1 {
				do = "does"
			}
			return o, fmt.Errorf("sampler %s takes no %s; %s %s", s.Name, c.name, strings.Join(able, ", "), do)
		}
	}
	if o.Tolerance != 0 && !(o.Tolerance >= minTolerance && o.Tolerance <= 1) {
		return o, fmt.Errorf("sampler %s: tolerance = %g, want a number from %g to 1, or 0 for its own", s.Name, o.Tolerance, minTolerance)
	}
	if !(o.NoiseScale >= 0 && o.NoiseMin >= 0 && o.NoiseMax >= 0) {
		return o, fmt.Errorf("sampler %s: its noise is negative or no number, want 0 (its own) or more", s.Name)
	}
	if o.Invert && (s.Random || value(o.Eta, 0) > 0) {
		return o, fmt.Errorf("sampler %s draws noise and cannot be inverted; want a deterministic one, such as ddim or heun", s.Name)
	}
	if o.Order == 0 && len(s.Orders) > 0 {
		o.Order = s.Orders[0]
	}
	if len(s.Orders) > 0 && !slices.Contains(s.Orders, o.Order) {
		return o, fmt.Errorf("sampler %s has no order %d; it has %s", s.Name, o.Order, strings.Trim(fmt.Sprint(sorted(s.Orders)), "[]"))
	}
	var err error
	if o.Variable, err = choose(s.Name, "variable", o.Variable, s.Variables); err != nil {
		return o, err
	}
	if o.Solver, err = choose(s.Name, "solver", o.Solver, s.Solvers); err != nil {
		return o, err
	}
	if s.takes("variance") {
		if o.Variance, err = choose(s.Name, "variance", o.Variance, []string{"small", "large", Learned}); err != nil {
			return o, err
		}
	}
	if o.Eta != nil && o.Epsilon != nil {
		return o, fmt.Errorf("sampler %s: eta and epsilon are two forms of the same noise; want one of them", s.Name)
	}
	for name, v := range map[string]*float64{"churn": o.Churn, "eta": o.Eta, "epsilon": o.Epsilon} {
		if v != nil && !(*v >= 0) {
			return o, fmt.Errorf("sampler %s: %s = %g, want 0 or more", s.Name, name, *v)
		}
	}
	return o, nil
}

func (s Sampler) takes(option string) bool {
	switch option {
	case "variable":
		return len(s.Variables) > 0
	case "order":
		return len(s.Orders) > 0
	case "solver":
		return len(s.Solvers) > 0
	case "lower order at the end":
		return s.Multistep
	}
	return slices.Contains(s.Takes, option)
}

// Describe names the options that the sampler takes, its own choice first.
func (s Sampler) Describe() string {
	parts := slices.Clone(s.Takes)
	if len(s.Orders) > 1 {
		parts = append(parts, "order "+strings.ReplaceAll(strings.Trim(fmt.Sprint(s.Orders), "[]"), " ", "|"))
	}
	if len(s.Solvers) > 0 {
		parts = append(parts, "solver "+strings.Join(s.Solvers, "|"))
	}
	if s.Multistep {
		parts = append(parts, "lower order at the end")
	}
	if len(s.Variables) > 0 {
		parts = append(parts, "variable "+strings.Join(s.Variables, "|"))
	}
	return strings.Join(parts, ", ")
}

func sorted(list []int) []int {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func choose(sampler, kind, name string, list []string) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	if name == "" {
		return list[0], nil
	}
	_, err := lookup.Find(kind+" of sampler "+sampler, name, list)
	return name, err
}

// value is an option, or its default.
func value(v *float64, otherwise float64) float64 {
	if v == nil {
		return otherwise
	}
	return *v
}
