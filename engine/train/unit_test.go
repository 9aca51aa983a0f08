package train

import (
	"context"
	"errors"
	"math"
	"testing"

	"fluxion/data"
	"fluxion/engine/model"
	"fluxion/kernels/magnitude"
	"fluxion/nets"
)

// TestUnitWeights: behind each step the weights that EDM2's network names are of unit size, which
// they do not begin with; a run that is stopped and several processes come to the same bits.
func TestUnitWeights(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	s := small()
	s.Preset, s.Size, s.Precision, s.Optimizer = "edm2-micro", data.Square(8), "fp32", "adam"
	s.Images, s.Batch, s.Accumulate, s.CheckpointEvery, s.SampleCount = 36, 12, 3, 12, 0
	s.Schedule, s.Output, s.EMA = "ve", "edm", Averages{{HalfLife: 50}, {Sigma: 0.1}}
	whole, cut, shared := t.TempDir(), t.TempDir(), t.TempDir()
	o, _ := options(t, s, whole)
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	o, rec := options(t, s, cut)
	ctx, cancel := context.WithCancel(t.Context())
	rec.onSave = cancel
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	rec.onSave = nil
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	same(t, files(t, cut), files(t, whole))
	s.CheckpointEvery = 0 // for which weights would come at once
	trainWith(t, 3, s, shared)
	same(t, files(t, shared), files(t, whole))

	m, err := model.Read(whole, model.Raw)
	if err != nil {
		t.Fatal(err)
	}
	params := nets.Params(m.Network)
	first := make([]float32, nets.FlatSize(params))
	nets.Initialise(params, s.Seed, first)
	matrices := unitWeights(params)
	if n := worst(first, matrices); n < 0.1 {
		t.Errorf("weights begin within %g of unit size", n)
	}
	if n := worst(m.Weights, matrices); n > 2*magnitude.Epsilon || len(matrices) < 20 {
		t.Errorf("behind a step %d matrices are off by %g of unit size", len(matrices), n)
	}
}

// worst is how far a column is from unit size, at most.
func worst(flat []float32, matrices []magnitude.Matrix) (off float64) {
	for _, m := range matrices {
		for c := range m.Columns {
			squares := 0.
			for r := range m.Counted {
				x := float64(flat[m.Offset+r*m.Columns+c])
				squares += x * x
			}
			off = max(off, math.Abs(math.Sqrt(squares/float64(m.Counted))-1))
		}
	}
	return off
}
