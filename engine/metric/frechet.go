package metric

import (
	"errors"
	"fmt"
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
	f, err := a.root()
	if err != nil {
		return 0, err
	}
	g, err := b.root()
	if err != nil || f == nil || g == nil { // all points of one set are the same
		return distance, err
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
func (s *Statistics) root() (*mat.Dense, error) {
	if s.rows != nil {
		return s.rows, nil
	}
	d := len(s.Mean)
	var c mat.PivotedCholesky
	c.Factorize(s.Covariance, -1)
	rank := c.Rank()
	if rank == 0 || largest(s.Covariance) == 0 {
		return nil, nil
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
	// FᵀF has all of Σ but for rounding, unless Σ has negative eigenvalues.
	var back, off mat.Dense
	back.Mul(f.T(), f)
	off.Sub(&back, s.Covariance)
	if e, whole := mat.Norm(&off, 2), mat.Norm(s.Covariance, 2); !(e <= 1e-6*whole) {
		return nil, fmt.Errorf("a matrix that is no covariance: it has negative eigenvalues, about %.2g of its norm", e/whole)
	}
	return f, nil
}

func largest(s *mat.SymDense) float64 {
	most := 0.0
	for i := range s.SymmetricDim() {
		most = math.Max(most, s.At(i, i))
	}
	return most
}
