package average

import (
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Profile is how an average weighs the weights of training.
type Profile struct {
	Images int64   // seen when it ends
	Sigma  float64 // σ_rel
}

// Fit is a profile as a sum of others.
type Fit struct {
	Want    Profile
	Of      []Profile
	Factors []float64 // of each; their sum is 1
	// Residual is the L2 norm of what is missing, as a share of that of the profile.
	Residual float64
}

// ridge is what is added to the squares of the factors of profiles of norm 1. It keeps
// factors small where profiles are alike, and shows in nothing else.
const ridge = 1e-12

// FitProfile finds the sum of some profiles that is nearest to another in L2, scaled to
// the sum 1 (EDM2, appendix C).
func FitProfile(have []Profile, want Profile) (Fit, error) {
	f := Fit{Want: want, Of: have, Factors: make([]float64, len(have))}
	if i := slices.Index(have, want); i >= 0 {
		f.Factors[i] = 1
		return f, nil
	}
	n := len(have)
	if n == 0 {
		return f, errors.New("there are no averages to make one of")
	}
	powers := make([]power, n)
	scale := make([]float64, n) // norms
	for i, p := range have {
		powers[i] = powerOf(p)
		scale[i] = math.Sqrt(powers[i].product(powers[i]))
	}
	wanted := powerOf(want)
	norm := math.Sqrt(wanted.product(wanted))
	gram, right := mat.NewSymDense(n, nil), mat.NewVecDense(n, nil)
	for i, p := range powers {
		for j, q := range powers[:i+1] {
			gram.SetSym(i, j, p.product(q)/(scale[i]*scale[j]))
		}
		right.SetVec(i, p.product(wanted)/(scale[i]*norm))
	}
	solved, err := solve(gram, right)
	if err != nil {
		return f, err
	}
	for i := range have {
		f.Factors[i] = solved.AtVec(i) / scale[i]
	}
	sum := floats.Sum(f.Factors)
	if !(sum > 0) {
		return f, errors.New("the averages have too little in common with the one that is asked for")
	}
	floats.Scale(1/sum, f.Factors)
	for i, x := range f.Factors {
		solved.SetVec(i, x*scale[i]/norm)
	}
	f.Residual = math.Sqrt(max(0, 1-2*mat.Dot(solved, right)+mat.Inner(solved, gram, solved)))
	return f, nil
}

// solve is by Cholesky's factors, with as little of a ridge as the matrix needs.
func solve(gram *mat.SymDense, right *mat.VecDense) (*mat.VecDense, error) {
	n := right.Len()
	for r := ridge; r < 1; r *= 10 {
		a := mat.NewSymDense(n, nil)
		a.CopySym(gram)
		for i := range n {
			a.SetSym(i, i, a.At(i, i)+r)
		}
		var c mat.Cholesky
		if !c.Factorize(a) {
			continue
		}
		x := mat.NewVecDense(n, nil)
		// An ill-conditioned matrix is what the ridge is for.
		var condition mat.Condition
		if err := c.SolveVecTo(x, right); err != nil && !errors.As(err, &condition) {
			return nil, err
		}
		return x, nil
	}
	return nil, errors.New("the averages are too much alike")
}

// power is a profile as one of time: ∝ t^exponent, up to its end.
type power struct{ end, exponent float64 }

func powerOf(p Profile) power { return power{float64(p.Images), Exponent(p.Sigma)} }

// product is ∫ p q dt over the shorter of the two.
func (p power) product(q power) float64 {
	if p.end > q.end {
		p, q = q, p
	}
	a, b := p.exponent, q.exponent
	return (a + 1) * (b + 1) * math.Pow(p.end/q.end, b) / ((a + b + 1) * q.end)
}
