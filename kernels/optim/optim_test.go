package optim

import (
	"math"
	"slices"
	"testing"
)

// TestFactor: what is longer than the bound comes to the bound; what is no number is told.
func TestFactor(t *testing.T) {
	for _, c := range []struct {
		clip       Clip
		norm, want float64
		ok         bool
	}{
		{Clip{Scale: 0.5}, 8, 0.5, true},
		{Clip{Scale: 0.5, Norm: 5}, 8, 0.5, true},
		{Clip{Scale: 0.5, Norm: 4}, 8, 0.5, true},
		{Clip{Scale: 0.5, Norm: 1}, 8, 0.125, true},
		{Clip{Scale: 1, Norm: 1}, 0, 1, true},
		{Clip{Scale: 1, Norm: 1}, math.NaN(), 0, false},
		{Clip{Scale: 1}, math.Inf(1), 0, false},
	} {
		if got, ok := c.clip.Factor(c.norm); got != c.want || ok != c.ok {
			t.Errorf("%+v of a norm of %v: %v, %v; want %v, %v", c.clip, c.norm, got, ok, c.want, c.ok)
		}
	}
}

// TestRanges: neighbours are joined, and Next goes from edge to edge.
func TestRanges(t *testing.T) {
	var r Ranges
	r.Add(16, 32)
	r.Add(32, 48)
	r.Add(80, 96)
	if len(r) != 4 || r[1] != 48 {
		t.Fatal(r)
	}
	for _, c := range []struct {
		at, end, to int
		inside      bool
	}{{0, 100, 16, false}, {16, 100, 48, true}, {20, 30, 30, true}, {48, 100, 80, false}, {80, 100, 96, true}, {96, 100, 100, false}} {
		if to, inside := r.Next(c.at, c.end); to != c.to || inside != c.inside {
			t.Errorf("from %d up to %d: %d, %t; want %d, %t", c.at, c.end, to, inside, c.to, c.inside)
		}
	}
	for _, c := range []struct {
		from, to int
		want     Ranges
	}{{0, 96, r}, {0, 16, nil}, {32, 64, Ranges{0, 16}}, {32, 96, Ranges{0, 16, 48, 64}}, {48, 80, nil}, {16, 16, nil}} {
		if got := r.Part(c.from, c.to); !slices.Equal(got, c.want) {
			t.Errorf("of %v from %d to %d: %v, want %v", r, c.from, c.to, got, c.want)
		}
	}
	if to, inside := Ranges(nil).Next(5, 7); to != 7 || inside {
		t.Errorf("without ranges: %d, %t", to, inside)
	}
}
