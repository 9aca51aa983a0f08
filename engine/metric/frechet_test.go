package metric

import (
	"errors"
	"math"
	"testing"

	"fluxion/kernels/philox"

	"gonum.org/v1/gonum/mat"
)

func statistics(mean []float64, covariance []float64) *Statistics {
	return &Statistics{Mean: mean, Covariance: mat.NewSymDense(len(mean), covariance)}
}

// isotropic is N(mean, variance·I).
func isotropic(d int, mean, variance float64) *Statistics {
	s := statistics(make([]float64, d), nil)
	for i := range d {
		s.Mean[i] = mean
		s.Covariance.SetSym(i, i, variance)
	}
	return s
}

// normal draws rows of independent normal numbers.
func normal(n, d int, seed uint64) Features {
	f := Features{Dim: d, Values: make([]float32, n*d)}
	philox.NormalAt(f.Values, 0, seed, philox.Toy, 0, 0)
	return f
}

func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	if !(math.Abs(got-want) <= relative*math.Max(1, math.Abs(want))) {
		t.Errorf("%s is %.16g, want %.16g", what, got, want)
	}
}

// TestFrechet: the first value is that of pytorch-fid, clean-fid, torch-fidelity and
// torchmetrics; the others are closed forms, d of them 2048 as in pytorch-fid's own test.
func TestFrechet(t *testing.T) {
	for _, c := range []struct {
		name     string
		a, b     *Statistics
		want     float64
		relative float64
	}{
		{"two full covariances", statistics([]float64{0, 0}, []float64{2, 1, 1, 2}), statistics([]float64{1, -1}, []float64{1, 0, 0, 3}), 2.516685226452118, 1e-14},
		{"equal covariances", isotropic(256, 0, 1), isotropic(256, 1, 1), 256, 1e-13},
		{"isotropic", isotropic(64, 0, 1), isotropic(64, 0.1, 1.21), 64*0.01 + 64*0.1*0.1, 1e-13},
		{"one number", statistics([]float64{1}, []float64{4}), statistics([]float64{3}, []float64{9}), 4 + 1, 1e-14},
		{"a point against a normal distribution", isotropic(3, 2, 0), isotropic(3, 0, 1), 3*4 + 3, 1e-14},
		{"two points", isotropic(3, 2, 0), isotropic(3, 0, 0), 12, 1e-14},
		{"the same", statistics([]float64{1, 2}, []float64{2, 1, 1, 2}), statistics([]float64{1, 2}, []float64{2, 1, 1, 2}), 0, 1e-14},
	} {
		for _, order := range [][2]*Statistics{{c.a, c.b}, {c.b, c.a}} {
			got, err := Frechet(order[0], order[1])
			if err != nil {
				t.Fatal(err)
			}
			near(t, c.name, got, c.want, c.relative)
		}
	}
	_, err := Frechet(isotropic(2, 0, 1), isotropic(3, 0, 1))
	var dim *DimError
	if !errors.As(err, &dim) {
		t.Errorf("statistics of 2 and 3 numbers: %v", err)
	}
}

// TestNoCovariance: a matrix with a negative eigenvalue has no distance.
func TestNoCovariance(t *testing.T) {
	bad := statistics([]float64{0, 0}, []float64{1, -5, -5, 1})
	if v, err := Frechet(isotropic(2, 0, 1), bad); err == nil {
		t.Errorf("the distance from a matrix of eigenvalues 6 and −4 is %g", v)
	}
	if err := isotropic(2, 1e200, 1).Check(); err == nil {
		t.Error("a mean of 1e200 is taken")
	}
}

// TestFrechetSingular: fewer images than numbers. Rows, covariances and one of each
// agree with tr √(√Σ₁ Σ₂ √Σ₁), which is taken from eigenvalues.
func TestFrechetSingular(t *testing.T) {
	a, b := normal(50, 200, 1), normal(60, 200, 2)
	for i := range b.Values {
		b.Values[i] = 1.5*b.Values[i] + float32(i%3)
	}
	of := func(f Features) (rows, plain *Statistics) {
		rows, err := StatisticsOf(f)
		if err != nil {
			t.Fatal(err)
		}
		if rows.rows == nil {
			t.Fatal("rows are not kept")
		}
		return rows, &Statistics{N: rows.N, Mean: rows.Mean, Covariance: rows.Covariance}
	}
	ra, ca := of(a)
	rb, cb := of(b)
	want := byEigenvalues(t, ca, cb)
	for name, pair := range map[string][2]*Statistics{"rows": {ra, rb}, "covariances": {ca, cb}, "one of each": {ra, cb}} {
		got, err := Frechet(pair[0], pair[1])
		if err != nil {
			t.Fatal(err)
		}
		near(t, name, got, want, 2e-7)
	}
}

func byEigenvalues(t *testing.T, a, b *Statistics) float64 {
	root := func(s *mat.SymDense) *mat.Dense {
		var e mat.EigenSym
		if !e.Factorize(s, true) {
			t.Fatal("no eigenvalues")
		}
		var v, scaled, r mat.Dense
		e.VectorsTo(&v)
		scaled.Apply(func(_, j int, x float64) float64 { return x * math.Sqrt(math.Max(0, e.Values(nil)[j])) }, &v)
		r.Mul(&scaled, v.T())
		return &r
	}
	var m mat.Dense
	r := root(a.Covariance)
	m.Product(r, b.Covariance, r)
	d := len(a.Mean)
	s := mat.NewSymDense(d, nil)
	distance := 0.0
	for i := range d {
		for j := range i + 1 {
			s.SetSym(i, j, (m.At(i, j)+m.At(j, i))/2)
		}
		distance += (a.Mean[i]-b.Mean[i])*(a.Mean[i]-b.Mean[i]) + a.Covariance.At(i, i) + b.Covariance.At(i, i)
	}
	var e mat.EigenSym
	e.Factorize(s, false)
	for _, v := range e.Values(nil) {
		distance -= 2 * math.Sqrt(math.Max(0, v))
	}
	return distance
}

// TestFrechetBias: of finite samples of one distribution it is about c/n, and what is
// extrapolated is nearer to 0 than that of all samples.
func TestFrechetBias(t *testing.T) {
	a, b := normal(4000, 8, 3), isotropic(8, 0, 1)
	var of []float64
	for _, n := range []int{250, 1000, 4000} {
		s, err := StatisticsOf(Features{Dim: 8, Values: a.Values[:8*n]})
		if err != nil {
			t.Fatal(err)
		}
		v, err := Frechet(s, b)
		if err != nil {
			t.Fatal(err)
		}
		of = append(of, v*float64(n))
	}
	for _, c := range of { // the variance of the mean is d/n, that of the deviations about d(d+1)/(8n)·2
		if c < 10 || c > 45 {
			t.Errorf("n times the distance is %v; want about 26", of)
		}
	}
	v, deviation, err := FrechetInfinity(a, b, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !(math.Abs(v) < of[2]/4000) || !(deviation > 0 && deviation < of[2]/4000) {
		t.Errorf("extrapolated %g ± %g; that of all is %g", v, deviation, of[2]/4000)
	}
}

// TestStatistics: mean and covariance of a stream are those of its rows, to the bit
// whatever the size of batches; a far mean costs no digits.
func TestStatistics(t *testing.T) {
	f := normal(1000, 5, 7)
	for i := range f.Values {
		f.Values[i] += 1000 * float32(1+i%5)
	}
	whole, err := StatisticsOf(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range []int{1, 7, 256, 999} {
		a := NewAccumulator(5)
		for i := 0; i < 1000; i += batch {
			a.Add(f.Values[5*i : 5*min(i+batch, 1000)])
		}
		s, err := a.Statistics()
		if err != nil {
			t.Fatal(err)
		}
		if !mat.Equal(s.Covariance, whole.Covariance) || s.N != 1000 {
			t.Errorf("batches of %d give other sums", batch)
		}
	}
	for i := range 5 {
		for j := range 5 {
			sum := 0.0
			for k := range 1000 {
				sum += (float64(f.Row(k)[i]) - whole.Mean[i]) * (float64(f.Row(k)[j]) - whole.Mean[j]) / 999
			}
			near(t, "covariance", whole.Covariance.At(i, j), sum, 1e-12)
		}
	}
	if _, err := StatisticsOf(normal(1, 5, 7)); err == nil {
		t.Error("one image has a covariance")
	}
}

// TestConstantImages is pytorch-fid's own test: images of one colour, 0, ½ and 1, with
// their colours as features.
func TestConstantImages(t *testing.T) {
	s, err := StatisticsOf(Features{Dim: 3, Values: []float32{0, 0, 0, .5, .5, .5, 1, 1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		near(t, "mean", s.Mean[i], 0.5, 1e-15)
		for j := range 3 {
			near(t, "covariance", s.Covariance.At(i, j), 0.25, 1e-15)
		}
	}
}
