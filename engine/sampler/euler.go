package sampler

import "fluxion/engine/process"

// euler is Euler's method on the straight path to which any schedule can be
// scaled (section 4): with z̃ = z/(α+σ), η = σ/(α+σ) and the velocity
// û = ε̂ − x̂, z̃' = z̃ + û (η_s − η_t). It is DDIM, which is the article's point,
// and the tests'.
func euler(points []process.Point) ([]Row, error) {
	return each(points, func(t, s process.Point, x, eps process.Linear) (process.Linear, float64) {
		from, to := t.Alpha+t.Sigma, s.Alpha+s.Sigma
		velocity := eps.Plus(1, x, -1)
		state := process.Linear{Z: 1 / from}
		return state.Plus(to, velocity, to*(s.Sigma/to-t.Sigma/from)), 0
	})
}
