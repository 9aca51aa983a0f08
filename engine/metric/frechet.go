package metric

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Frechet is the squared Fréchet distance of the normal distributions with these
// moments (Dowson and Landau, 1982; with Inception's features it is the FID of
// Heusel et al., 2017):
//
//	|μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½
//
// Of finite samples it is too large, by about c/n. With Σ = FᵀF, the last trace is
// the sum of the singular values of F₁F₂ᵀ: there is no root of a product that is not
// symmetric, and covariances may be singular.
func Frechet(a, b *Statistics) (float64, error) {
	if len(a.Mean) != len(b.Mean) {
		return 0, &DimError{len(a.Mean), len(b.Mean)}
	}
	distance := 0.0
	for i, m := range a.Mean {
		d := m - b.Mean[i]
		distance += d*d + a.Covariance.At(i, i) + b.Covariance.At(i, i)
	}
	f, g := a.root(), b.root()
	if f == nil || g == nil { // all points of one set are the same
		return distance, nil
	}
	var product mat.Dense
	product.Mul(f, g.T())
	var svd mat.SVD
	if !svd.Factorize(&product, mat.SVDNone) {
		return 0, errors.New("the singular values of the covariances' product do not converge")
	}
	trace := 0.0
	for _, v := range svd.Values(nil) {
		trace += v
	}
	return max(0, distance-2*trace), nil
}

// root is F with FᵀF = Σ, of as many rows as the rank of Σ; nil where that is 0.
func (s *Statistics) root() *mat.Dense {
	if s.rows != nil {
		return s.rows
	}
	d := len(s.Mean)
	var c mat.PivotedCholesky
	c.Factorize(s.Covariance, -1)
	rank := c.Rank()
	if rank == 0 || largest(s.Covariance) == 0 {
		return nil
	}
	upper := mat.NewTriDense(d, mat.Upper, nil)
	c.UTo(upper)
	pivots := c.ColumnPivots(nil)
	f := mat.NewDense(rank, d, nil)
	for i := range rank {
		for j := i; j < d; j++ {
			f.Set(i, pivots[j], upper.At(i, j))
		}
	}
	return f
}

func largest(s *mat.SymDense) float64 {
	most := 0.0
	for i := range s.SymmetricDim() {
		most = math.Max(most, s.At(i, i))
	}
	return most
}
