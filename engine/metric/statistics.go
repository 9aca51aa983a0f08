package metric

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// Statistics are the mean and the covariance of features, which is divided by n − 1.
type Statistics struct {
	N          int64 // images; 0: not known
	Mean       []float64
	Covariance *mat.SymDense

	rows *mat.Dense // centred and over √(n−1), where they are fewer than the numbers of each; else nil
}

// largestMoment is more than features have, and few enough for their squares to be added.
const largestMoment = 1e100

// Check says whether the numbers are statistics: within bounds, and of one size.
func (s *Statistics) Check() error {
	d := len(s.Mean)
	if n := s.Covariance.SymmetricDim(); d == 0 || n != d {
		return fmt.Errorf("a mean of %d numbers and a covariance of %d×%d; want the same size", d, n, n)
	}
	for i, m := range s.Mean {
		if !(math.Abs(m) <= largestMoment) {
			return fmt.Errorf("mean %d is %v", i, m)
		}
		for j := range i + 1 {
			if v := s.Covariance.At(i, j); !(math.Abs(v) <= largestMoment) || i == j && v < 0 {
				return fmt.Errorf("covariance %d, %d is %v", i, j, v)
			}
		}
	}
	return nil
}

// block is how many rows are added to the sums at once. It is fixed, so that the
// size of batches does not show in the sums.
const block = 256

// Accumulator takes features in as they come, and keeps their sums alone.
type Accumulator struct {
	dim     int
	n       int64
	shift   []float64 // mean of the first block, taken from all: sums stay small
	sum     []float64
	squares blas64.Symmetric // Σ (x−shift)(x−shift)ᵀ, upper
	rows    []float64        // of a block, in part
}

// NewAccumulator is for features of so many numbers.
func NewAccumulator(dim int) *Accumulator {
	return &Accumulator{
		dim: dim, sum: make([]float64, dim),
		squares: blas64.Symmetric{N: dim, Stride: dim, Data: make([]float64, dim*dim), Uplo: blas.Upper},
	}
}

// Add takes rows in.
func (a *Accumulator) Add(rows []float32) {
	for _, v := range rows {
		a.rows = append(a.rows, float64(v))
		if len(a.rows) == block*a.dim {
			a.flush()
		}
	}
}

// flush adds the rows that are there to the sums.
func (a *Accumulator) flush() {
	n := len(a.rows) / a.dim
	if n == 0 {
		return
	}
	if a.shift == nil {
		a.shift = make([]float64, a.dim)
		for i, v := range a.rows[:n*a.dim] {
			a.shift[i%a.dim] += v / float64(n)
		}
	}
	for i := range a.rows {
		a.rows[i] -= a.shift[i%a.dim]
		a.sum[i%a.dim] += a.rows[i]
	}
	blas64.Syrk(blas.Trans, 1, blas64.General{Rows: n, Cols: a.dim, Stride: a.dim, Data: a.rows}, 1, a.squares)
	a.n += int64(n)
	a.rows = a.rows[:0]
}

// Statistics of all rows so far, of which there must be two.
func (a *Accumulator) Statistics() (*Statistics, error) {
	if s := a.Part(); s.N > 1 {
		return s, nil
	}
	return nil, &CountError{"the covariance", int(a.n), 2}
}

// Part is the statistics of a part of a set, for Pool: that of one row has a covariance
// of nothing.
func (a *Accumulator) Part() *Statistics {
	a.flush()
	n := float64(a.n)
	s := &Statistics{N: a.n, Mean: make([]float64, a.dim), Covariance: mat.NewSymDense(a.dim, nil)}
	if a.n == 0 {
		return s
	}
	for i, sum := range a.sum {
		s.Mean[i] = a.shift[i] + sum/n
		for j := i; j < a.dim; j++ {
			s.Covariance.SetSym(i, j, (a.squares.Data[i*a.dim+j]-sum*a.sum[j]/n)/max(n-1, 1))
		}
	}
	return s
}

// Pool is the statistics of a set whose parts are known (Chan, Golub and LeVeque,
// "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979): of
// two rows at least.
func Pool(parts ...*Statistics) (*Statistics, error) {
	d := len(parts[0].Mean)
	s := &Statistics{Mean: make([]float64, d), Covariance: mat.NewSymDense(d, nil)}
	for _, p := range parts {
		if len(p.Mean) != d {
			return nil, &DimError{d, len(p.Mean)}
		}
		s.N += p.N
	}
	if s.N < 2 {
		return nil, &CountError{"the covariance", int(s.N), 2}
	}
	for _, p := range parts {
		for i, m := range p.Mean {
			s.Mean[i] += m * float64(p.N) / float64(s.N)
		}
	}
	apart := make([]float64, d)
	for _, p := range parts {
		n := float64(p.N)
		for i, m := range p.Mean {
			apart[i] = m - s.Mean[i]
		}
		for i := range d {
			for j := i; j < d; j++ {
				s.Covariance.SetSym(i, j, s.Covariance.At(i, j)+(max(n-1, 0)*p.Covariance.At(i, j)+n*apart[i]*apart[j])/float64(s.N-1))
			}
		}
	}
	return s, nil
}

// StatisticsOf features. Where there are fewer images than numbers of each, their
// rows serve the Fréchet distance better than their covariance, and are kept.
func StatisticsOf(f Features) (*Statistics, error) {
	a := NewAccumulator(f.Dim)
	a.Add(f.Values)
	s, err := a.Statistics()
	if err != nil || f.Len() >= f.Dim {
		return s, err
	}
	s.rows = mat.NewDense(f.Len(), f.Dim, nil)
	scale := 1 / math.Sqrt(float64(f.Len()-1))
	for i := range f.Len() {
		for j, v := range f.Row(i) {
			s.rows.Set(i, j, (float64(v)-s.Mean[j])*scale)
		}
	}
	return s, nil
}
