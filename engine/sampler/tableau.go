package sampler

// Tableau is a Runge-Kutta method, explicit: stages at C, from the slopes before
// with A, the step with W. Without W the last stage is the step's end, and its slope
// the first of the next step. E, where there is one, weighs the slopes to the
// difference from a method of one order less.
type Tableau struct {
	C []float64
	A [][]float64
	W []float64
	E []float64
}

// Methods with fixed steps.
var (
	Euler       = Tableau{C: []float64{0}, A: [][]float64{nil}, W: []float64{1}}
	Midpoint    = Tableau{C: []float64{0, 0.5}, A: [][]float64{nil, {0.5}}, W: []float64{0, 1}}
	Heun        = Tableau{C: []float64{0, 1}, A: [][]float64{nil, {1}}, W: []float64{0.5, 0.5}}
	RungeKutta4 = Tableau{
		C: []float64{0, 0.5, 0.5, 1}, A: [][]float64{nil, {0.5}, {0, 0.5}, {0, 0, 1}},
		W: []float64{1. / 6, 1. / 3, 1. / 3, 1. / 6},
	}
)

// DormandPrince is Dormand and Prince's method of order 5 (1980), with the
// difference to fourth order.
var DormandPrince = Tableau{
	C: []float64{0, 1. / 5, 3. / 10, 4. / 5, 8. / 9, 1, 1},
	A: [][]float64{
		nil, {1. / 5}, {3. / 40, 9. / 40}, {44. / 45, -56. / 15, 32. / 9},
		{19372. / 6561, -25360. / 2187, 64448. / 6561, -212. / 729},
		{9017. / 3168, -355. / 33, 46732. / 5247, 49. / 176, -5103. / 18656},
		{35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84},
	},
	E: []float64{71. / 57600, 0, -71. / 16695, 71. / 1920, -17253. / 339200, 22. / 525, -1. / 40},
}
