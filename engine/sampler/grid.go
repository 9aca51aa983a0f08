package sampler

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"fluxion/data/lookup"
	"fluxion/engine/process"

	"gonum.org/v1/gonum/mathext"
)

// Grid is the points that a run goes through. It is the only place that makes
// times; a step goes from an entry to the next entry, never by arithmetic on t.
type Grid struct {
	Process process.Process
	Points  []process.Point
}

// GridKind is a grid's place in the list.
type GridKind struct {
	Name, About string
	Defaults    process.Parameters
	// points returns the calls of a run of n steps; the data is added behind them.
	points func(p process.Process, n int, o process.Parameters) ([]process.Point, error)
}

// Adding a grid is a line here, and a function. All but explicit lists end on
// the data without noise, whatever the schedule has at t = 0.
var gridKinds = []GridKind{
	{"uniform", "uniform in t", nil, uniform},
	{"lambda", "uniform in λ, the last interval to the data", ends, uniformLambda},
	{"karras", "σ/α to the power 1/rho uniform: EDM", with(ends, process.Parameters{"rho": 7}), karras},
	{"exponential", "ln(σ/α) uniform", ends, exponential},
	{"lu", "Lu's λ: as exponential, for ln(σ/α) is −λ/2", ends, exponential},
	{"beta", "quantiles of a beta distribution in t", process.Parameters{"alpha": 0.6, "beta": 0.6}, beta},
	{"leading", "multiples of N/K in step numbers, from offset, as diffusers", process.Parameters{"offset": 0}, leading},
	{"linspace", "equally spaced step numbers from N−1 to 0, as diffusers", nil, linspace},
	{"trailing", "every N/K-th step number, from the last, as diffusers", nil, trailing},
	{"ays", "Align Your Steps' list for Stable Diffusion, interpolated in ln(σ/α)", nil, alignYourSteps},
}

// ends bound σ/α of grids in the noise level, where the schedule does not.
var ends = process.Parameters{"min": 0.002, "max": 700}

func with(p, q process.Parameters) process.Parameters {
	all := process.Parameters{}
	for _, m := range []process.Parameters{p, q} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// Grids returns the names that a grid may have, beside explicit lists.
func Grids() []string {
	names := make([]string, len(gridKinds))
	for i, k := range gridKinds {
		names[i] = k.Name
	}
	return names
}

// ListGrids returns every grid, explicit lists included.
func ListGrids() []GridKind {
	return append(slices.Clone(gridKinds),
		GridKind{Name: "t:…", About: "these times, as in t:1,0.5,0"},
		GridKind{Name: "sigma:…", About: "the times at which the schedule's σ is this; 0 is the data"},
		GridKind{Name: "lambda:…", About: "the times at which the schedule's λ is this; inf is the data"})
}

// NewGrid returns the grid that the options ask for: Points, a list such as
// t:1,0.5,0, or a name, perhaps with parameters, and a number of steps. It is
// decreasing in noise, or with Invert increasing, and begins at entry Begin.
func NewGrid(p process.Process, o Options) (Grid, error) {
	points, err := gridPoints(p, o)
	if err != nil {
		return Grid{}, err
	}
	if err := checkOrder(points, o); err != nil {
		return Grid{}, err
	}
	if o.Begin < 0 || o.Begin > len(points)-2 {
		return Grid{}, fmt.Errorf("begin at entry %d of a grid with entries 0 to %d, want 0 to %d", o.Begin, len(points)-1, len(points)-2)
	}
	return Grid{p, points[o.Begin:]}, nil
}

// MaxSteps bounds the steps of a run: ten times what any schedule is divided into.
const MaxSteps = 10_000

// CheckSteps says why a number of steps cannot be.
func CheckSteps(n int) error {
	if n < 1 || n > MaxSteps {
		return fmt.Errorf("%d steps, want at least 1 and at most %d", n, MaxSteps)
	}
	return nil
}

func gridPoints(p process.Process, o Options) ([]process.Point, error) {
	if o.Points != nil {
		if len(o.Points) < 2 {
			return nil, fmt.Errorf("a grid of %d points, want 2 or more", len(o.Points))
		}
		return o.Points, nil
	}
	name, rest, _ := strings.Cut(o.Grid, ":")
	if place, ok := explicit[name]; ok && rest != "" && !strings.Contains(rest, "=") { // grid lambda has parameters, too
		points, err := listed(p, name, rest, place)
		if err == nil && o.Steps != 0 && o.Steps != len(points)-1 {
			err = fmt.Errorf("%d steps, where grid %s has %d; want only one of the two", o.Steps, o.Grid, len(points)-1)
		}
		return points, err
	}
	if name == "" {
		name = "uniform"
	}
	i, err := lookup.Find("grid", name, append(Grids(), "t:…", "sigma:…", "lambda:…"))
	if err != nil {
		return nil, err
	}
	if i >= len(gridKinds) {
		return nil, fmt.Errorf("grid %s wants a list, as in %s:…,0.5", o.Grid, name)
	}
	if err := CheckSteps(o.Steps); err != nil {
		return nil, err
	}
	k := gridKinds[i]
	parameters, err := process.ParseParameters("grid", name, rest, k.Defaults)
	if err != nil {
		return nil, err
	}
	points, err := k.points(p, o.Steps, parameters)
	if err != nil {
		return nil, fmt.Errorf("grid %s: %w", name, err)
	}
	points = append(points, p.End())
	if o.Invert {
		slices.Reverse(points)
	}
	return points, nil
}

// explicit lists are read by what their numbers are.
var explicit = map[string]func(p process.Process, x float64) (process.Point, error){
	"t": func(p process.Process, t float64) (process.Point, error) {
		if !(t >= 0 && t <= 1) {
			return process.Point{}, fmt.Errorf("t = %g, want a time from 0 to 1", t)
		}
		return p.At(t), nil
	},
	"lambda": func(p process.Process, l float64) (process.Point, error) {
		s := p.Schedule
		if math.IsInf(l, 1) {
			return p.End(), nil
		}
		if !(l >= s.LogSNR(1)-1e-9 && l <= s.LogSNR(0)+1e-9) {
			return process.Point{}, fmt.Errorf("λ = %g, where the schedule has %.6g to %.6g, and inf is the data", l, s.LogSNR(1), s.LogSNR(0))
		}
		return p.At(s.TimeOf(l)), nil
	},
	"sigma": func(p process.Process, sigma float64) (process.Point, error) {
		if sigma == 0 {
			return p.End(), nil
		}
		// σ need not be monotonic under a scale; the first time that has it, from noise.
		at := func(t float64) float64 { _, s := p.Schedule.AlphaSigma(t); return s }
		const pieces = 1000
		for i := pieces; i > 0; i-- {
			low, high := float64(i-1)/pieces, float64(i)/pieces
			a, b := at(low)-sigma, at(high)-sigma
			if math.Abs(b) <= 1e-12*sigma {
				return p.At(high), nil
			}
			if math.Abs(a) <= 1e-12*sigma {
				return p.At(low), nil
			}
			if a*b < 0 {
				for range 80 {
					if mid := low + (high-low)/2; (at(mid)-sigma)*a > 0 {
						low = mid
					} else {
						high = mid
					}
				}
				return p.At(low + (high-low)/2), nil
			}
		}
		return process.Point{}, fmt.Errorf("σ = %g, where the schedule has %.6g to %.6g, and 0 is the data", sigma, at(0), at(1))
	},
}

func listed(p process.Process, name, list string, place func(process.Process, float64) (process.Point, error)) ([]process.Point, error) {
	var points []process.Point
	for part := range strings.SplitSeq(list, ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || math.IsNaN(x) {
			return nil, fmt.Errorf("grid %s: %q is no number; want a list as in %s:0.9,0.5,0.1", name, part, name)
		}
		q, err := place(p, x)
		if err != nil {
			return nil, fmt.Errorf("grid %s: %w", name, err)
		}
		points = append(points, q)
	}
	if len(points) < 2 {
		return nil, fmt.Errorf("grid %s: %d points, want 2 or more", name, len(points))
	}
	return points, nil
}

// checkOrder wants λ to increase from entry to entry. Points given as such may
// repeat one, as diffusers' grids do at their end.
func checkOrder(points []process.Point, o Options) error {
	for i := 1; i < len(points); i++ {
		a, b := points[i-1].LogSNR, points[i].LogSNR
		if math.IsNaN(a) || math.IsNaN(b) {
			return errors.New("a point of the grid has no λ")
		}
		if o.Invert {
			a, b = b, a
		}
		if !(a < b || (o.Points != nil && a == b)) {
			want := "the noise must fall from entry to entry: λ rises, t falls"
			if o.Invert {
				want = "inverted, the noise must rise from entry to entry: λ falls, t rises"
			}
			return fmt.Errorf("grid entries %d and %d have λ = %.6g and %.6g; %s", i-1, i, points[i-1].LogSNR, points[i].LogSNR, want)
		}
	}
	return nil
}

func uniform(p process.Process, n int, _ process.Parameters) ([]process.Point, error) {
	start := p.Start()
	return times(p, n, func(i int) float64 { return start * float64(n-i) / float64(n) }), nil
}

func times(p process.Process, n int, t func(i int) float64) []process.Point {
	points := make([]process.Point, n)
	for i := range points {
		points[i] = p.At(t(i))
	}
	return points
}

// bounds returns ℓ = ln(α/σ) of the noisiest call and of the last.
func bounds(p process.Process, o process.Parameters) (first, last float64, err error) {
	if !(o["min"] > 0 && o["max"] > o["min"]) {
		return 0, 0, fmt.Errorf("σ/α from %g to %g, want 0 < min < max", o["min"], o["max"])
	}
	s := p.Schedule
	first = math.Max(s.LogSNR(p.Start())/2, -math.Log(o["max"]))
	last = math.Min(s.LogSNR(0)/2, -math.Log(o["min"]))
	if !(first < last) {
		return 0, 0, fmt.Errorf("the schedule has no σ/α between %g and %g", o["min"], o["max"])
	}
	return first, last, nil
}

// levels places n calls by ℓ.
func levels(p process.Process, n int, o process.Parameters, l func(u, first, last float64) float64, divisions int) ([]process.Point, error) {
	first, last, err := bounds(p, o)
	if err != nil {
		return nil, err
	}
	return times(p, n, func(i int) float64 {
		u := 0.0
		if divisions > 0 {
			u = float64(i) / float64(divisions)
		}
		return p.Schedule.TimeOf(2 * l(u, first, last))
	}), nil
}

func uniformLambda(p process.Process, n int, o process.Parameters) ([]process.Point, error) {
	return levels(p, n, o, func(u, first, last float64) float64 { return first + (last-first)*u }, n)
}

func exponential(p process.Process, n int, o process.Parameters) ([]process.Point, error) {
	return levels(p, n, o, func(u, first, last float64) float64 { return first + (last-first)*u }, n-1)
}

// karras is Karras et al. (2022), equation 5, on σ/α.
func karras(p process.Process, n int, o process.Parameters) ([]process.Point, error) {
	rho := o["rho"]
	if !(rho > 0) {
		return nil, fmt.Errorf("rho = %g, want a positive number", rho)
	}
	return levels(p, n, o, func(u, first, last float64) float64 {
		a, b := math.Exp(-first/rho), math.Exp(-last/rho)
		return -rho * math.Log(a+(b-a)*u)
	}, n-1)
}

// beta is Lee et al., "Beta Sampling is All You Need" (2024).
func beta(p process.Process, n int, o process.Parameters) ([]process.Point, error) {
	a, b := o["alpha"], o["beta"]
	if !(a > 0 && b > 0) {
		return nil, fmt.Errorf("alpha = %g, beta = %g, want positive numbers", a, b)
	}
	start := p.Start()
	return times(p, n, func(i int) float64 {
		return start * mathext.InvRegIncBeta(a, b, float64(n-i)/float64(n))
	}), nil
}

// numbered places calls by the number the network is told.
func numbered(p process.Process, n int, step func(i, k, total int) float64) ([]process.Point, error) {
	_, total := process.StepTime(p.Schedule, 0)
	if n > total {
		return nil, fmt.Errorf("%d steps of a schedule that has %d", n, total)
	}
	return times(p, n, func(i int) float64 {
		t, _ := process.StepTime(p.Schedule, step(i, n, total))
		return t
	}), nil
}

func leading(p process.Process, n int, o process.Parameters) ([]process.Point, error) {
	return numbered(p, n, func(i, k, total int) float64 { return float64((k-1-i)*(total/k)) + o["offset"] })
}

func linspace(p process.Process, n int, _ process.Parameters) ([]process.Point, error) {
	return numbered(p, n, func(i, k, total int) float64 {
		if k == 1 {
			return float64(total - 1)
		}
		return float64(total-1) * float64(k-1-i) / float64(k-1)
	})
}

func trailing(p process.Process, n int, _ process.Parameters) ([]process.Point, error) {
	return numbered(p, n, func(i, k, total int) float64 {
		return math.RoundToEven(float64(total)-float64(i)*float64(total)/float64(k)) - 1
	})
}

// alignYourSteps is Sabour et al., "Align Your Steps" (2024), the σ of ten steps
// of Stable Diffusion 1.5.
func alignYourSteps(p process.Process, n int, _ process.Parameters) ([]process.Point, error) {
	sigmas := []float64{14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029}
	least, most := p.Schedule.LogSNR(1)/2, p.Schedule.LogSNR(0)/2
	if least > -math.Log(sigmas[0])+1e-3 || most < -math.Log(sigmas[10]) {
		return nil, fmt.Errorf("the schedule has σ/α from %.3g to %.3g, want %g to %g in it", math.Exp(-most), math.Exp(-least), sigmas[10], sigmas[0])
	}
	return times(p, n, func(i int) float64 {
		j, u := math.Modf(float64(i) / math.Max(1, float64(n)) * 10)
		l := (1-u)*math.Log(sigmas[int(j)]) + u*math.Log(sigmas[min(int(j)+1, 10)])
		return p.Schedule.TimeOf(-2 * l)
	}), nil
}
