package scheduler

import (
	"fmt"
	"math"
	"slices"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
)

// method is a sampler as a scheduler config describes it.
type method struct {
	name string

	// ddpm
	large      bool    // variance β in place of the posterior's
	finalNoise float64 // noise on the result
	// ddim
	eta float64
	// dpm, dpm-singlestep, unipc, deis
	orders      []int
	solver      string // midpoint, heun; bh1, bh2
	noise       bool   // interpolates ε̂ in place of x̂
	stochastic  bool
	uncorrected []int // unipc: calls after which there is no corrector
	// consistency
	boundary     func(call int) (x, z float64) // the answer is x x̂ + z z
	floor, scale float64                       // noise σ_s² − floor², times scale
}

// run makes the rows of a method on the points.
func (p *planner) run(m method) error {
	p.Method, p.End = m.name, p.points[len(p.points)-1]
	// A last interval without length changes nothing, unless there is a corrector
	// or a step over more than one interval.
	if last := len(p.points) - 1; last > 1 && (m.name == "dpm" || m.name == "deis") && math.Abs(halfLogSNR(p.points[last])-halfLogSNR(p.points[last-1])) < noInterval {
		p.points = p.points[:last]
	}
	switch m.name {
	case "ddim", "ddpm", "euler", "consistency":
		return p.eachInterval(m)
	case "heun":
		return p.heun()
	case "lms":
		return p.lms()
	case "dpm":
		return p.dpm(m)
	case "dpm-singlestep":
		return p.dpmSinglestep(m)
	case "unipc":
		return p.unipc(m)
	case "deis":
		return p.deis(m)
	}
	return fmt.Errorf("unknown method %s", m.name)
}

// noInterval is a difference of ln(α/σ) that rounding makes.
const noInterval = 1e-9

func halfLogSNR(q process.Point) float64 { return math.Log(q.Alpha) - math.Log(q.Sigma) }

// eachInterval makes the rows of methods that look at one interval at a time.
func (p *planner) eachInterval(m method) error {
	for i, t := range p.points[:len(p.points)-1] {
		s := p.points[i+1]
		if to, ok := p.to[i]; ok {
			s = to
		}
		if from, ok := p.from[i]; ok {
			t = from
		}
		x, eps, err := t.Convert()
		if err != nil {
			return err
		}
		row, excess := sampler.Row{Call: t, X: x}, 0.0
		var next process.Linear
		switch m.name {
		case "euler": // on the flow path, in y = ε̂ − x̂ or its negative
			next = process.Linear{Z: 1}.Plus(1, eps.Plus(s.Sigma-t.Sigma, x, t.Sigma-s.Sigma), 1)
		case "ddim": // equation 12 of Song, Meng, Ermon (2021), σ_η by equation 16
			if m.eta != 0 {
				row.C = m.eta * posterior(t, s)
			}
			direction := math.Sqrt(math.Max(0, s.Sigma*s.Sigma-row.C*row.C))
			next = x.Plus(s.Alpha, eps, direction)
			switch {
			case p.Limit == (Limit{}):
			case t.Sigma == 0: // z is x̂, and ε̂ stands apart
				excess = s.Alpha
			case direction != 0 && !p.correct(clippedEps):
				excess = direction * t.Alpha / t.Sigma
			}
		case "ddpm": // equations 6 and 7 of Ho, Jain, Abbeel (2020)
			row.C = posterior(t, s)
			next = x.Plus(s.Alpha, eps, math.Sqrt(math.Max(0, s.Sigma*s.Sigma-row.C*row.C)))
			if m.large && s.Sigma != 0 {
				row.C = ascent(t, s)
			}
			if s.Sigma == 0 && m.finalNoise != 0 {
				row.C = m.finalNoise
			}
		case "consistency":
			a, b := m.boundary(i)
			next = x.Plus(s.Alpha*a, process.Linear{Z: 1}, s.Alpha*b)
			row.C = s.Sigma
			if m.scale != 0 { // noise on top of what the answer has
				row.C = m.scale * math.Sqrt(math.Max(0, s.Sigma*s.Sigma-m.floor*m.floor))
			}
		}
		row.A, row.B = next.Z, []float64{next.Y}
		p.addRow(row, excess)
	}
	return nil
}

// addRow appends a row and its Excess.
func (p *planner) addRow(row sampler.Row, excess float64) {
	p.Rows, p.Excess = append(p.Rows, row), append(p.Excess, excess)
}

// posterior is the deviation of q(z_s | z_t, x).
func posterior(t, s process.Point) float64 { return s.Sigma / t.Sigma * ascent(t, s) }

// ascent is the deviation of q(z_t | z_s).
func ascent(t, s process.Point) float64 {
	r := t.Alpha / s.Alpha * s.Sigma
	return math.Sqrt(math.Max(0, (t.Sigma-r)*(t.Sigma+r)))
}

// heun calls at both ends of every interval but the last, and takes the mean
// of the slopes in σ.
func (p *planner) heun() error {
	r := record(p)
	last := len(p.points) - 2
	for i, t := range p.points[:last+1] {
		s := p.points[i+1]
		a, b := slope(t)
		if err := r.call(t, a, b); err != nil {
			return err
		}
		anchor, step := r.state, s.Sigma-t.Sigma
		if err := r.move(anchor.plus(step, r.last(0)), 0); err != nil {
			return err
		}
		if i == last {
			break
		}
		if err := r.call(s, a, b); err != nil {
			return err
		}
		if err := r.move(anchor.plus(step/2, r.last(0)).plus(step/2, r.last(1)), 0); err != nil {
			return err
		}
	}
	return nil
}

// slope is dz/dσ at fixed x and ε: ε where α is constant, ε − x on the flow path.
func slope(q process.Point) (a, b float64) {
	if q.Alpha == 1 {
		return 0, 1
	}
	return -1, 1
}

// lms integrates the polynomial in σ through the last four slopes.
func (p *planner) lms() error {
	r := record(p)
	for i, t := range p.points[:len(p.points)-1] {
		if err := r.call(t, 0, 1); err != nil {
			return err
		}
		order := min(i+1, 4)
		next := r.state
		for k := range order {
			next = next.plus(p.lagrange(i, order, k, func(s float64) float64 { return s }), r.last(k))
		}
		if err := r.move(next, 0); err != nil {
			return err
		}
	}
	return nil
}

// lagrange integrates over σ/α of interval i the polynomial in f(σ/α) that is 1
// at point i−k and 0 at the other points of the last order ones.
func (p *planner) lagrange(i, order, k int, f func(float64) float64) float64 {
	at := func(j int) float64 { return p.points[j].Sigma / p.points[j].Alpha }
	from, to := at(i), at(i+1)
	if from == to {
		return 0
	}
	return gauss(from, to, func(s float64) float64 {
		product := 1.0
		for j := range order {
			if j != k {
				product *= (f(s) - f(at(i-j))) / (f(at(i-k)) - f(at(i-j)))
			}
		}
		return product
	})
}

// gauss integrates polynomials up to degree 5 exactly.
func gauss(a, b float64, f func(float64) float64) float64 {
	half, middle := (b-a)/2, (a+b)/2
	d := half * math.Sqrt(0.6)
	return half * (5*f(middle-d) + 8*f(middle) + 5*f(middle+d)) / 9
}

// expansion is the exact step in λ_h = ln(α/σ) of an ODE or SDE whose x̂ or ε̂
// is a polynomial in λ_h: z' = a z + Σᵢ dᵢ hⁱ f⁽ⁱ⁾/i! + c ξ. half is what the
// midpoint rule has in place of d₁. Lu et al., "DPM-Solver++" (2022), section 3
// and appendix A.
type expansion struct{ a, d0, half, d1, d2, c float64 }

func (m method) expand(s, t process.Point) expansion {
	h := halfLogSNR(t) - halfLogSNR(s)
	if !m.noise { // x̂; the SDE's weight has twice the rate
		rate, e := h, expansion{a: t.Sigma / s.Sigma}
		if m.stochastic {
			rate = 2 * h
			e.a *= math.Exp(-h)
			e.c = t.Sigma * math.Sqrt(-math.Expm1(-2*h))
		}
		phi := -math.Expm1(-rate) // 1 − e^{−rate}
		e.d0, e.half = t.Alpha*phi, t.Alpha*phi/2
		if !math.IsInf(h, 0) {
			e.d1 = t.Alpha * (1 - phi/rate)
			e.d2 = 2 * t.Alpha * ((phi-rate)/(rate*rate) + 0.5)
		}
		return e
	}
	phi := math.Expm1(h)
	e := expansion{a: t.Alpha / s.Alpha, d0: -t.Sigma * phi, half: -t.Sigma * phi / 2,
		d1: -t.Sigma * (phi/h - 1), d2: -2 * t.Sigma * ((phi-h)/(h*h) - 0.5)}
	if m.stochastic {
		e.d0, e.half, e.d1, e.d2 = 2*e.d0, 2*e.half, 2*e.d1, 2*e.d2
		e.c = t.Sigma * math.Sqrt(math.Expm1(2*h))
	}
	return e
}

// says is what the solver interpolates.
func (m method) says() (a, b float64) {
	if m.noise {
		return 0, 1
	}
	return 1, 0
}

// dpm is the multistep DPM-Solver of orders up to 3.
func (p *planner) dpm(m method) error {
	r := record(p)
	a, b := m.says()
	for i, s := range p.points[:len(p.points)-1] {
		if err := r.call(s, a, b); err != nil {
			return err
		}
		t := p.points[i+1]
		e := m.expand(s, t)
		h := halfLogSNR(t) - halfLogSNR(s)
		next := vector(nil).plus(e.a, r.state).plus(e.d0, r.last(0))
		// Newton's divided differences, in units of h.
		ratio := func(k int) float64 { return (halfLogSNR(p.points[i-k]) - halfLogSNR(p.points[i-k-1])) / h }
		switch m.orders[i] {
		case 2:
			weight := e.half
			if m.solver == "heun" {
				weight = e.d1
			}
			next = difference(next, weight/ratio(0), r.last(0), r.last(1))
		case 3:
			r0, r1 := ratio(0), ratio(1)
			second := e.d2
			if !p.correct(thirdOrder) {
				second = p.theirSecond(m, e, s, t)
			}
			// D₁ = D₁₀ + r₀/(r₀+r₁) (D₁₀ − D₁₁), D₂ = (D₁₀ − D₁₁)/(r₀+r₁)
			next = difference(next, (e.d1+(e.d1*r0+second)/(r0+r1))/r0, r.last(0), r.last(1))
			next = difference(next, -(e.d1*r0+second)/(r0+r1)/r1, r.last(1), r.last(2))
		}
		if err := r.move(next, e.c); err != nil {
			return err
		}
	}
	return nil
}

// theirSecond is the weight that diffusers and the solver's own repository give
// the second difference: half of what it should be, which makes the third order
// a second one; for SDEs with the wrong sign at one term, too.
func (p *planner) theirSecond(m method, e expansion, s, t process.Point) float64 {
	if m.stochastic {
		return e.d2/2 - t.Alpha
	}
	return e.d2 / 2
}

// difference returns v + c (m − n).
func difference(v vector, c float64, m, n vector) vector { return v.plus(c, m).plus(-c, n) }

// dpmSinglestep makes groups of calls of orders 1, 2, 3 that leave from the
// state before the group.
func (p *planner) dpmSinglestep(m method) error {
	r := record(p)
	a, b := m.says()
	var anchor vector
	for i, s := range p.points[:len(p.points)-1] {
		if err := r.call(s, a, b); err != nil {
			return err
		}
		order, t := m.orders[i], p.points[i+1]
		if order == 1 {
			anchor = r.state
		}
		first := p.points[i-order+1]
		e := m.expand(first, t)
		h := halfLogSNR(t) - halfLogSNR(first)
		next := vector(nil).plus(e.a, anchor).plus(e.d0, r.last(order-1))
		ratio := func(q process.Point) float64 { return (halfLogSNR(q) - halfLogSNR(first)) / h }
		slope := e.half
		if m.solver == "heun" {
			slope = e.d1
		}
		switch order {
		case 2:
			next = difference(next, slope/ratio(s), r.last(0), r.last(1))
		case 3:
			r0, r1 := ratio(s), ratio(p.points[i-1])
			if m.solver == "midpoint" {
				next = difference(next, e.d1/r0, r.last(0), r.last(2))
				break
			}
			// D₁ = (r₀D₁₀ − r₁D₁₁)/(r₀−r₁), D₂ = (D₁₁ − D₁₀)/(r₀−r₁)
			second := e.d2
			if m.stochastic && !p.correct(thirdOrder) {
				second -= 2 * t.Alpha
			}
			next = difference(next, (e.d1*r0-second)/(r0-r1)/r1, r.last(1), r.last(2))
			next = difference(next, (second-e.d1*r1)/(r0-r1)/r0, r.last(0), r.last(2))
		}
		if err := r.move(next, e.c); err != nil {
			return err
		}
	}
	return nil
}

// deis integrates ε̂ over ρ = σ/α as a polynomial in ln ρ, exactly: Zhang and
// Chen (2023), equation 14.
func (p *planner) deis(m method) error {
	r := record(p)
	for i, s := range p.points[:len(p.points)-1] {
		if err := r.call(s, 0, 1); err != nil {
			return err
		}
		t := p.points[i+1]
		next := vector(nil).plus(t.Alpha/s.Alpha, r.state)
		order := m.orders[i]
		for k := range order {
			next = next.plus(t.Alpha*p.logLagrange(i, order, k), r.last(k))
		}
		if err := r.move(next, 0); err != nil {
			return err
		}
	}
	return nil
}

// logLagrange is lagrange with f = ln, whose integrals are elementary:
// ∫ (ln ρ)ⁿ dρ = ρ (1, l − 1, l² − 2l + 2).
func (p *planner) logLagrange(i, order, k int) float64 {
	at := func(j int) float64 { return p.points[j].Sigma / p.points[j].Alpha }
	// The polynomial's coefficients in l = ln ρ, lowest first.
	poly := []float64{1}
	for j := range order {
		if j == k {
			continue
		}
		root, scale := math.Log(at(i-j)), 1/(math.Log(at(i-k))-math.Log(at(i-j)))
		longer := make([]float64, len(poly)+1)
		for n, c := range poly {
			longer[n] -= c * root * scale
			longer[n+1] += c * scale
		}
		poly = longer
	}
	primitive := func(rho float64) float64 {
		l, power, sum := math.Log(rho), 1.0, 0.0
		moment := 0.0 // ∫lⁿ = ρ lⁿ − n ∫lⁿ⁻¹
		for n, c := range poly {
			moment = rho*power - float64(n)*moment
			sum += c * moment
			power *= l
		}
		return sum
	}
	return primitive(at(i+1)) - primitive(at(i))
}

// unipc is UniP with, at every call but the first, UniC before it: Zhao et al.
// (2023), algorithms 1 and 2.
func (p *planner) unipc(m method) error {
	r := record(p)
	a, b := m.says()
	var corrected vector // the state that the last step left from
	for i, s := range p.points[:len(p.points)-1] {
		if err := r.call(s, a, b); err != nil {
			return err
		}
		state := r.state
		if i > 0 && !slices.Contains(m.uncorrected, i-1) {
			var err error
			if state, err = p.unify(m, r, i-1, corrected, true); err != nil {
				return err
			}
		}
		corrected = state
		next, err := p.unify(m, r, i, state, false)
		if err != nil {
			return err
		}
		if err := r.move(next, 0); err != nil {
			return err
		}
	}
	return nil
}

// unify is the step over interval i from a state: the predictor, or with what
// the call at its end said, the corrector.
func (p *planner) unify(m method, r *recorder, i int, state vector, correct bool) (vector, error) {
	s, t := p.points[i], p.points[i+1]
	e := m.expand(s, t)
	h := halfLogSNR(t) - halfLogSNR(s)
	order, ago := m.orders[i], 0
	if correct {
		ago = 1
	}
	if math.IsInf(h, 0) || math.Abs(h) < noInterval {
		order = 1 // nothing reaches over an infinite interval, or is needed over none
	}
	next := vector(nil).plus(e.a, state).plus(e.d0, r.last(ago))
	hh, scale := -h, -t.Alpha
	if m.noise {
		hh, scale = h, -t.Sigma
	}
	bh := math.Expm1(hh)
	if m.solver == "bh1" {
		bh = hh
	}
	var places []float64 // in units of h
	for k := 1; k < order; k++ {
		places = append(places, (halfLogSNR(p.points[i-k])-halfLogSNR(s))/h)
	}
	if correct {
		places = append(places, 1)
	}
	var weights []float64
	switch {
	case len(places) == 0:
		return next, nil
	case len(places) == 1:
		weights = []float64{0.5} // in both, as in the paper's code
	default:
		var err error
		if weights, err = moments(places, hh, bh); err != nil {
			return nil, err
		}
	}
	for j, place := range places {
		of := r.last(0)
		if j < order-1 {
			of = r.last(ago + j + 1)
		}
		next = difference(next, scale*bh*weights[j]/place, of, r.last(ago))
	}
	return next, nil
}

// moments solves Σⱼ wⱼ placeⱼⁿ⁻¹ = n! φₙ₊₁(hh) hh… / B(h), n = 1 …: equation 9.
func moments(places []float64, hh, bh float64) ([]float64, error) {
	n := len(places)
	rows := make([][]float64, n)
	phi, factorial := math.Expm1(hh)/hh-1, 1.0
	for i := range rows {
		rows[i] = make([]float64, n+1)
		for j, x := range places {
			rows[i][j] = math.Pow(x, float64(i))
		}
		rows[i][n] = phi * factorial / bh
		factorial *= float64(i + 2)
		phi = phi/hh - 1/factorial
	}
	return solve(rows)
}

// solve is Gauss's elimination with pivots on an n × (n+1) matrix.
func solve(rows [][]float64) ([]float64, error) {
	n := len(rows)
	for c := range n {
		pivot := c
		for i := c; i < n; i++ {
			if math.Abs(rows[i][c]) > math.Abs(rows[pivot][c]) {
				pivot = i
			}
		}
		if rows[c], rows[pivot] = rows[pivot], rows[c]; rows[c][c] == 0 {
			return nil, fmt.Errorf("two noise levels of the grid are the same")
		}
		for i := range rows {
			if f := rows[i][c] / rows[c][c]; i != c {
				for j := c; j <= n; j++ {
					rows[i][j] -= f * rows[c][j]
				}
			}
		}
	}
	x := make([]float64, n)
	for i := range x {
		x[i] = rows[i][n] / rows[i][i]
	}
	return x, nil
}

// always is a boundary condition that does not change.
func always(x, z float64) func(int) (float64, float64) {
	return func(int) (float64, float64) { return x, z }
}
