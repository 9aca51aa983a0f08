package trace

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"fluxion/data/lookup"
	"fluxion/engine/formula"
	"fluxion/engine/process"
	"fluxion/nets/pyjson"

	"gonum.org/v1/gonum/mat"
)

// Denoiser stands for a network: its output at a point, for a state in the
// schedule's own units.
type Denoiser interface {
	Output(q process.Point, z []float64) (y []float64, err error)
}

// DenoiserKind is a denoiser's place in the list.
type DenoiserKind struct {
	Name, Usage, About string
	parse              func(argument string) (Denoiser, error)
}

// Adding a denoiser is a line here.
var denoiserKinds = []DenoiserKind{
	{"gaussian", "gaussian:mean=M,var=V", "the posterior mean of Gaussian data", parseGaussian},
	{"mixture", "mixture:FILE", `of a Gaussian mixture: {"weights":[…],"means":[[…]…],"vars":[…]}, vars numbers, lists or matrices`, parseMixture},
	{"points", "points:FILE", "of a finite data set: [[…]…]", parsePoints},
	{"formula", "formula:EXPR", "the output itself, of each value z of the network's input and of t, n, lambda, alpha, sigma", parseFormula},
}

// ListDenoisers returns every kind of denoiser.
func ListDenoisers() []DenoiserKind { return denoiserKinds }

// ParseDenoiser reads a denoiser as the command line has it.
func ParseDenoiser(text string) (Denoiser, error) {
	name, argument, _ := strings.Cut(text, ":")
	var names []string
	for _, k := range denoiserKinds {
		names = append(names, k.Name)
	}
	i, err := lookup.Find("denoiser", name, names)
	if err != nil {
		return nil, err
	}
	d, err := denoiserKinds[i].parse(argument)
	if err != nil {
		return nil, fmt.Errorf("denoiser %s: %w; want %s", text, err, denoiserKinds[i].Usage)
	}
	return d, nil
}

// component is a Gaussian of a mixture. Of N(m, S), z has the density
// N(αm, α²S + σ²): with r = (α²S + σ²)⁻¹(z − αm), the score is −r,
// E[ε|z] = σr and E[x|z] = m + αSr, all finite at both ends.
type component struct {
	weight   float64
	mean     []float64     // nil: scalar for every value
	m        float64       // that scalar
	variance []float64     // diagonal; nil: v or full
	v        float64       // that scalar
	full     *mat.SymDense // covariance, if it is no diagonal
}

func (c component) meanAt(k int) float64 {
	if c.mean == nil {
		return c.m
	}
	return c.mean[k]
}

// posterior fills r and x with E[x|z], and returns the log-density of z.
func (c component) posterior(q process.Point, z, r, x []float64) (log float64, err error) {
	square := q.Sigma * q.Sigma
	if c.full != nil {
		return c.posteriorFull(q, z, r, x)
	}
	for k := range z {
		v := c.v
		if c.variance != nil {
			v = c.variance[k]
		}
		m := c.meanAt(k)
		total := q.Alpha*q.Alpha*v + square
		if !(total > 0) {
			return 0, errors.New("data without variance has no score without noise; begin or end the grid at some noise")
		}
		d := z[k] - q.Alpha*m
		r[k] = d / total
		x[k] = m + q.Alpha*v*r[k]
		log -= (d*r[k] + math.Log(total)) / 2
	}
	return log, nil
}

func (c component) posteriorFull(q process.Point, z, r, x []float64) (log float64, err error) {
	n := len(z)
	total := mat.NewSymDense(n, nil)
	total.ScaleSym(q.Alpha*q.Alpha, c.full)
	d := mat.NewVecDense(n, nil)
	for k := range z {
		total.SetSym(k, k, total.At(k, k)+q.Sigma*q.Sigma)
		d.SetVec(k, z[k]-q.Alpha*c.meanAt(k))
	}
	var factor mat.Cholesky
	if !factor.Factorize(total) {
		return 0, errors.New("a covariance is not positive definite")
	}
	solved, back := mat.NewVecDense(n, r), mat.NewVecDense(n, x)
	if err := factor.SolveVecTo(solved, d); err != nil {
		return 0, err
	}
	back.MulVec(c.full, solved)
	for k := range x {
		x[k] = c.meanAt(k) + q.Alpha*x[k]
	}
	return -(mat.Dot(d, solved) + factor.LogDet()) / 2, nil
}

// mixture is the exact posterior mean of a Gaussian mixture, of one component or
// of many without variance.
type mixture []component

func (m mixture) Output(q process.Point, z []float64) ([]float64, error) {
	n := len(z)
	logs := make([]float64, len(m))
	rs, xs := make([]float64, len(m)*n), make([]float64, len(m)*n)
	for i, c := range m {
		for _, l := range []int{len(c.mean), len(c.variance)} {
			if l != 0 && l != n {
				return nil, fmt.Errorf("data of %d values, a state of %d", l, n)
			}
		}
		if c.full != nil && c.full.SymmetricDim() != n {
			return nil, fmt.Errorf("a covariance of %d values, a state of %d", c.full.SymmetricDim(), n)
		}
		var err error
		var log float64
		if log, err = c.posterior(q, z, rs[i*n:][:n], xs[i*n:][:n]); err != nil {
			return nil, err
		}
		logs[i] = log + math.Log(c.weight)
	}
	most, sum := slices.Max(logs), 0.0
	for i, l := range logs {
		logs[i] = math.Exp(l - most)
		sum += logs[i]
	}
	y := make([]float64, n)
	for i := range m {
		share := logs[i] / sum
		for k := range y {
			y[k] += share * output(q, xs[i*n+k], rs[i*n+k])
		}
	}
	return y, nil
}

// output is y from x̂ and r = −score: ε̂ = σr.
func output(q process.Point, x, r float64) float64 {
	if math.IsInf(q.B, 0) { // the score at σ = 0
		return -r
	}
	y := q.B * q.Sigma * r
	if q.A != 0 {
		y += q.A * x
	}
	return y
}

// Gaussians is the denoiser of equally many points of each of some Gaussians of one
// variance.
func Gaussians(means [][]float64, variance float64) Denoiser {
	m := make(mixture, len(means))
	for i := range m {
		m[i] = component{weight: 1, mean: means[i], v: variance}
	}
	return m
}

func parseGaussian(argument string) (Denoiser, error) {
	p, err := process.ParseParameters("denoiser", "gaussian", argument, process.Parameters{"mean": 0, "var": 1})
	if err != nil {
		return nil, err
	}
	if !(p["var"] >= 0) {
		return nil, fmt.Errorf("var = %g, which is negative", p["var"])
	}
	return mixture{{weight: 1, m: p["mean"], v: p["var"]}}, nil
}

func parseMixture(file string) (Denoiser, error) {
	data, err := pyjson.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var m struct {
		Weights []float64         `json:"weights"`
		Means   []json.RawMessage `json:"means"`
		Vars    []json.RawMessage `json:"vars"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(m.Means) == 0 || len(m.Means) != len(m.Vars) || (m.Weights != nil && len(m.Weights) != len(m.Means)) {
		return nil, fmt.Errorf("%s: %d weights, %d means, %d vars, want as many of each", file, len(m.Weights), len(m.Means), len(m.Vars))
	}
	var list mixture
	for i := range m.Means {
		c := component{weight: 1}
		if m.Weights != nil {
			c.weight = m.Weights[i]
		}
		if !(c.weight >= 0) {
			return nil, fmt.Errorf("%s: weight %d is %g", file, i, c.weight)
		}
		if c.mean, err = Numbers(m.Means[i]); err != nil {
			return nil, fmt.Errorf("%s: mean %d: %w", file, i, err)
		}
		if err := c.spread(m.Vars[i]); err != nil {
			return nil, fmt.Errorf("%s: var %d: %w", file, i, err)
		}
		list = append(list, c)
	}
	return list, nil
}

// spread reads a variance, one for each value, or a covariance matrix.
func (c *component) spread(data json.RawMessage) error {
	if json.Unmarshal(data, &c.v) == nil {
		if !(c.v >= 0) {
			return fmt.Errorf("%g is negative", c.v)
		}
		return nil
	}
	if json.Unmarshal(data, &c.variance) == nil {
		if len(c.variance) != len(c.mean) || slices.Min(c.variance) < 0 {
			return fmt.Errorf("want %d numbers, none negative", len(c.mean))
		}
		return nil
	}
	c.variance = nil
	var rows [][]float64
	if err := json.Unmarshal(data, &rows); err != nil {
		return errors.New("want a number, a list, or a matrix")
	}
	n := len(c.mean)
	if len(rows) != n {
		return fmt.Errorf("%d rows, want %d", len(rows), n)
	}
	c.full = mat.NewSymDense(n, nil)
	for i, row := range rows {
		if len(row) != n {
			return fmt.Errorf("row %d has %d numbers, want %d", i, len(row), n)
		}
		for j, x := range row {
			if x != rows[j][i] {
				return errors.New("the matrix is not symmetric")
			}
			c.full.SetSym(i, j, x)
		}
	}
	return nil
}

func parsePoints(file string) (Denoiser, error) {
	data, err := pyjson.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var points []json.RawMessage
	if err := json.Unmarshal(data, &points); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(points) == 0 {
		return nil, fmt.Errorf("%s: no points", file)
	}
	var list mixture
	for i, p := range points {
		values, err := Numbers(p)
		if err != nil {
			return nil, fmt.Errorf("%s: point %d: %w", file, i, err)
		}
		if len(list) > 0 && len(values) != len(list[0].mean) {
			return nil, fmt.Errorf("%s: point %d has %d values, want %d", file, i, len(values), len(list[0].mean))
		}
		list = append(list, component{weight: 1, mean: values})
	}
	return list, nil
}

// Numbers reads a number, or a list of numbers nested to any depth, as one list.
func Numbers(data []byte) ([]float64, error) {
	var any any
	if err := json.Unmarshal(data, &any); err != nil {
		return nil, err
	}
	list, err := flatten(nil, any)
	if err == nil && len(list) == 0 {
		err = errors.New("no numbers")
	}
	return list, err
}

func flatten(list []float64, value any) ([]float64, error) {
	switch v := value.(type) {
	case float64:
		return append(list, v), nil
	case []any:
		var err error
		for _, e := range v {
			if list, err = flatten(list, e); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("%v is not a number", value)
}

// formulaDenoiser is the network's output as a formula of its input.
type formulaDenoiser struct{ f *formula.Formula }

func parseFormula(text string) (Denoiser, error) {
	f, err := formula.Compile(text, "z", "t", "n", "lambda", "alpha", "sigma")
	return formulaDenoiser{f}, err
}

func (d formulaDenoiser) Output(q process.Point, z []float64) ([]float64, error) {
	y := make([]float64, len(z))
	for i, v := range z {
		y[i] = d.f.At(q.Input*v, q.Time, q.NetworkTime, q.LogSNR, q.Alpha, q.Sigma)
	}
	return y, nil
}
