package optim

import (
	"math"
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
