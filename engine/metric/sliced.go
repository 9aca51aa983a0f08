package metric

import (
	"math"
	"slices"

	"fluxion/kernels/philox"
)

// Sliced is 3d times the mean squared 2-Wasserstein distance of both sets along
// random directions: of two normal distributions apart by μ in every number it is
// 3dμ², and it needs fewer images than the Fréchet distance. Directions is 1000 if 0.
func Sliced(a, b Features, directions int, seed uint64) (float64, error) {
	if err := pair("the sliced distance", a, b, 1); err != nil {
		return 0, err
	}
	if directions == 0 {
		directions = 1000
	}
	d := Features{Dim: a.Dim, Values: make([]float32, directions*a.Dim)}
	for i := range directions {
		row := d.Row(i)
		philox.NormalAt(row, 0, seed, philox.Evaluation, uint64(i), 0)
		norm := float32(math.Sqrt(apart(row, make([]float32, a.Dim))))
		for j := range row {
			row[j] /= norm
		}
	}
	pa, pb := projected(a, d), projected(b, d)
	total := 0.0
	for i := range directions {
		slices.Sort(pa[i])
		slices.Sort(pb[i])
		total += wasserstein(pa[i], pb[i]) / float64(directions)
	}
	return 3 * float64(a.Dim) * total, nil
}

// projected is each set's coordinates along each direction.
func projected(f, directions Features) [][]float64 {
	rows := make([][]float64, directions.Len())
	for i := range rows {
		rows[i] = make([]float64, f.Len())
	}
	products(directions, f, func(i, h, j, w int, p []float64) {
		for k := range h {
			copy(rows[i+k][j:], p[k*tile:][:w])
		}
	})
	return rows
}

// wasserstein is the squared 2-Wasserstein distance of sorted points on a line, which
// joins equal quantiles.
func wasserstein(a, b []float64) float64 {
	sum := 0.0
	n, m := len(a), len(b)
	for i, j, at := 0, 0, 0; i < n && j < m; { // quantiles in units of 1/(nm)
		to := min((i+1)*m, (j+1)*n)
		d := a[i] - b[j]
		sum += d * d * float64(to-at)
		if at = to; at == (i+1)*m {
			i++
		}
		if at == (j+1)*n {
			j++
		}
	}
	return sum / float64(n) / float64(m)
}
