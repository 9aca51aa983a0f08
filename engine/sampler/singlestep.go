package sampler

import (
	"math"
	"slices"

	"fluxion/engine/process"
)

// singlestep is DPM-Solver of order 1 to 3 (Lu et al., 2022, algorithms 1 and 2;
// in x DPM-Solver++(2S)): calls at equal parts of the step in ℓ, the last one
// at 1/2 or at 2/3. midpoint interpolates linearly between the first and the
// last call, heun through all and exactly. In SDE form it goes on along the
// same path of noise between its calls.
func singlestep(b *builder, _ int, t, s process.Point) {
	n := b.options.Order
	if n == 1 || !b.regular(t, s) || !finite(t, s) {
		b.first(t, s)
		return
	}
	from, h := half(t), half(s)-half(t)
	calls := []process.Point{t}
	first := len(b.rows)
	for j := 1; j < n; j++ {
		q := b.at(from + h*float64(j)/float64(n))
		b.stage(calls, q, first, "heun", b.noiseBetween(calls, q))
		b.between()
		calls = append(calls, q)
	}
	b.stage(calls, s, first, b.options.Solver, b.noiseBetween(calls, s))
}

// stage goes to s from the start of the step, having called the network at
// these points, the last of them with this row. Their numbers begin at first.
func (b *builder) stage(calls []process.Point, s process.Point, first int, solver string, noise float64) {
	t, v, share := calls[0], b.variable, b.share()
	to := Sum{Z: v.ratio(t, s, share)}
	at := func(j int) float64 { return half(calls[j]) }
	last := len(calls) - 1
	add := func(used []int, weights []float64) {
		for k, j := range used {
			to.H = append(to.H, Term{first + j, weights[k]})
		}
	}
	switch {
	case last == 0:
		add([]int{0}, []float64{v.span(t, s, share)})
	case last == 1 && solver == "midpoint":
		span := v.span(t, s, share)
		slope := span / 2 * (half(s) - at(0)) / (at(1) - at(0))
		add([]int{0, 1}, []float64{span - slope, slope})
	case last == 1 || solver == "midpoint":
		add([]int{0, last}, v.weights([]float64{at(0), at(last)}, t, s, share))
	default:
		nodes := []float64{at(0), at(1), at(2)}
		weights := v.weights(nodes, t, s, share)
		if b.options.Compat && share != 0 { // diffusers has a sign wrong at h²f''/2
			h := half(s) - half(t)
			for k := range weights {
				weights[k] -= 2 * s.Alpha * h * h / ((nodes[k] - nodes[(k+1)%3]) * (nodes[k] - nodes[(k+2)%3]))
			}
		}
		add([]int{0, 1, 2}, weights)
	}
	b.row(calls[last], to, noise)
}

// noiseBetween is the noise that is added from the last call to s; what came
// before is in the state already.
func (b *builder) noiseBetween(calls []process.Point, s process.Point) float64 {
	return b.variable.noise(calls[len(calls)-1], s, b.share())
}

// singlestepOnGrid is diffusers' form of singlestep: the calls of a step are
// entries of the grid, with orders 1, 2, 3, 1, 2, 3, … counted from where a step
// begins. The noise of its SDE form is drawn anew for each stage.
func singlestepOnGrid(b *builder, i int, t, s process.Point) {
	n := b.gridOrder(i)
	if begin := b.grid.Points[i-n+1]; n == 1 || !b.regular(begin, s) || !finite(begin, s) {
		b.base = Sum{Z: 1}
		b.first(t, s)
		b.hold = b.regular(t, s)
		return
	}
	start := i - n + 1
	calls := slices.Clone(b.grid.Points[start : i+1])
	b.stage(calls, s, start, b.options.Solver, b.variable.noise(calls[0], s, b.share()))
	if share := b.share(); share != 0 && b.err == nil {
		// Take back what the row before drew: it stands in the state the start
		// of the step was found from.
		last := &b.rows[i]
		last.Recall = -b.rows[i-1].C * b.variable.ratio(calls[0], s, share) / b.variable.ratio(calls[0], t, share)
	}
	b.hold = true
}

// gridOrder is diffusers' list of orders.
func (b *builder) gridOrder(i int) int {
	n, steps := b.options.Order, len(b.grid.Points)-1
	last := b.options.LowerOrderFinal
	switch {
	case b.options.FirstOrderFinal && i == steps-1:
		return 1
	case last && i == steps-1 && (n == 2 || steps%n != 2):
		return 1
	}
	return i%n + 1
}

// rungeKutta runs a tableau on d(z/N) = y dE from t, where the call is made, to
// s. Where a stage would be without noise, or E is not finite, it is a DDIM step.
func (b *builder) rungeKutta(m Tableau, t, s process.Point) {
	v := b.variable
	if !b.regular(t, s) || (slices.Contains(m.C, 1) && s.Sigma == 0) || (t.Sigma == 0 && t.Alpha == 0) {
		b.first(t, s)
		return
	}
	from, whole := v.level(half(t)), v.level(half(s))-v.level(half(t))
	call, at := len(b.rows), t
	for j := range m.C {
		// This row calls at stage j and goes to stage j+1, or to the end.
		next, weights := s, m.W
		if j+1 < len(m.C) {
			if weights = m.A[j+1]; m.C[j+1] != 1 {
				next = b.at(v.inverse(from + m.C[j+1]*whole))
			}
		}
		to := Sum{Z: v.ratio(t, next, 0)}
		for k, w := range weights {
			if w != 0 {
				to.H = append(to.H, Term{call + k, w * v.norm(next) * whole})
			}
		}
		b.row(at, to, 0)
		if j+1 < len(m.C) {
			b.between()
		}
		at = next
	}
}

// midpoint and heun integrate along the schedule's own path, on which z moves
// with u, v or ε, unless another variable is given.
func midpoint(b *builder, _ int, t, s process.Point) { b.rungeKutta(Midpoint, t, s) }
func heun(b *builder, _ int, t, s process.Point)     { b.rungeKutta(Heun, t, s) }

// natural makes the path's own velocity the variable, if none is given.
func natural(b *builder) error {
	if b.options.Variable == "" || b.options.Variable == "path" {
		b.variable = variables[b.grid.Process.Schedule.Path().Natural]
	}
	return nil
}

// odeEuler is Euler's method on the probability-flow ODE in z and t as they are,
// dz = (α̇ x̂ + σ̇ ε̂) dt. Unlike DDIM it sees the scaling of the schedule.
func odeEuler(b *builder, _ int, t, s process.Point) {
	h := s.Time - t.Time
	b.row(t, Sum{Z: 1, X: h * t.DAlpha, Eps: h * t.DSigma}, 0)
}

// pndm is Liu et al., "Pseudo Numerical Methods for Diffusion Models" (2022):
// three steps of Runge-Kutta, calls at the middle in time, with DDIM as the
// transfer; then four-step Adams-Bashforth on the first calls of its steps. With
// the solver plms it begins, as Stable Diffusion, with one step of Heun's kind
// and lower orders. The beginning is the first step that can be made so; those
// before, from t = 1 or the noise end, are DDIM's.
func pndm(b *builder, i int, t, s process.Point) {
	const warm, order = 3, 4
	begin := 0
	for begin < i && !b.transferable(b.grid.Points[begin], b.grid.Points[begin+1]) {
		begin++
	}
	call := func(k int) int { return b.calls[i-k] }
	switch light := b.options.Solver == "plms"; {
	case light && i > begin:
		b.plms(t, s, min(order, i-begin+1), call)
	case i >= begin+warm:
		b.plms(t, s, order, call)
	case !b.transferable(t, s):
		b.first(t, s)
	case light:
		b.pseudoHeun(t, s)
	default:
		b.pseudoRungeKutta(t, s)
	}
}

// transferable tells whether pndm can make the step from several calls.
func (b *builder) transferable(t, s process.Point) bool {
	_, err := b.variable.in(t).To(s.Alpha, s.Sigma)
	return err == nil && s.Sigma != 0 && b.regular(t, s)
}

// pseudoRungeKutta is Runge-Kutta's method of order 4 with DDIM as the transfer.
func (b *builder) pseudoRungeKutta(t, s process.Point) {
	middle := b.grid.Process.At((t.Time + s.Time) / 2)
	call := len(b.rows)
	transfer := func(at, to process.Point, h ...Term) {
		l, err := b.variable.in(t).To(to.Alpha, to.Sigma)
		if err != nil {
			b.err = err
			return
		}
		sum := Sum{Z: l.Z}
		for _, term := range h {
			sum.H = append(sum.H, Term{call + term.Call, l.Y * term.C})
		}
		b.row(at, sum, 0)
	}
	transfer(t, middle, Term{0, 1})
	b.between()
	transfer(middle, middle, Term{1, 1})
	b.between()
	transfer(middle, s, Term{2, 1})
	b.between()
	transfer(s, s, Term{0, 1. / 6}, Term{1, 1. / 3}, Term{2, 1. / 3}, Term{3, 1. / 6})
}

// pseudoHeun makes the step twice, the second time with the mean of the outputs
// at both its ends.
func (b *builder) pseudoHeun(t, s process.Point) {
	l, err := b.variable.in(t).To(s.Alpha, s.Sigma)
	if err != nil {
		b.err = err
		return
	}
	call := len(b.rows)
	b.row(t, Sum{Z: l.Z, H: []Term{{call, l.Y}}}, 0)
	b.between()
	b.row(s, Sum{Z: l.Z, H: []Term{{call, l.Y / 2}, {call + 1, l.Y / 2}}}, 0)
}

// polynomial integrates a polynomial of degree below 20.
func polynomial(from, to float64, p func(float64) float64) float64 {
	// Gauss-Legendre on [−1, 1] of ten points, by symmetry five.
	nodes := [...]float64{0.1488743389816312, 0.4333953941292472, 0.6794095682990244, 0.8650633666889845, 0.9739065285171717}
	weights := [...]float64{0.2955242247147529, 0.2692667193099963, 0.2190863625159821, 0.1494513491505806, 0.0666713443086881}
	middle, radius := (from+to)/2, (to-from)/2
	sum := 0.0
	for i, x := range nodes {
		sum += weights[i] * (p(middle+radius*x) + p(middle-radius*x))
	}
	return sum * radius
}

// rounded keeps step numbers whole.
func rounded(n float64) float64 { return math.Floor(n + 1e-9) }
