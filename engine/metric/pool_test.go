package metric

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// TestPool: parts of any size, one row and none among them, give the statistics of the
// whole, far from 0, too.
func TestPool(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	f := Features{Dim: 3}
	for range 300 {
		a, b := random.NormFloat64(), random.NormFloat64()
		f.Append([]float32{float32(1000 + a), float32(a - 2*b), float32(b)})
	}
	want, err := StatisticsOf(f)
	if err != nil {
		t.Fatal(err)
	}
	var parts []*Statistics
	at := 0
	for _, n := range []int{1, 0, 120, 1, 78, 100} {
		a := NewAccumulator(f.Dim)
		a.Add(f.Values[at*f.Dim : (at+n)*f.Dim])
		parts = append(parts, a.Part())
		at += n
	}
	got, err := Pool(parts...)
	if err != nil || got.N != 300 {
		t.Fatal(got, err)
	}
	for i := range f.Dim {
		if math.Abs(got.Mean[i]-want.Mean[i]) > 1e-12*1000 {
			t.Errorf("mean %d: %v, want %v", i, got.Mean[i], want.Mean[i])
		}
		for j := range f.Dim {
			if a, b := got.Covariance.At(i, j), want.Covariance.At(i, j); math.Abs(a-b) > 1e-12 {
				t.Errorf("covariance %d, %d: %v, want %v", i, j, a, b)
			}
		}
	}
	var few *CountError
	if _, err := Pool(parts[0], parts[1]); !errors.As(err, &few) {
		t.Error(err)
	}
	var dim *DimError
	if _, err := Pool(parts[0], NewAccumulator(2).Part()); !errors.As(err, &dim) {
		t.Error(err)
	}
}
