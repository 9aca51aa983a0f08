package train

import (
	"context"
	"math"
	"strings"
	"testing"

	"fluxion/engine/record"
)

// spread is a sink of distributions.
type spread struct {
	record.Nothing
	norms map[int64][2]float64 // of weights and gradients, by images seen
	grids []int64
}

func (s *spread) Distributions(images int64, list []record.Distribution) error {
	var squares [2]float64
	for _, d := range list {
		i := 0
		if strings.HasPrefix(d.Name, "gradients/") {
			i = 1
		}
		squares[i] += d.Counts.SumSquares
	}
	s.norms[images] = [2]float64{math.Sqrt(squares[0]), math.Sqrt(squares[1])}
	return nil
}

func (s *spread) Grid(f record.File) error {
	s.grids = append(s.grids, f.Images)
	return nil
}

// TestDistributions: those told with a grid are of the weights after the step and of its
// gradients, whose norm the step has, too; micro-batches or not.
func TestDistributions(t *testing.T) {
	for _, accumulate := range []int{1, 2} {
		s := brief()
		s.Images, s.SampleEvery, s.Accumulate = 16, 8, accumulate
		o, _ := options(t, s, t.TempDir())
		to := &spread{norms: map[int64][2]float64{}}
		norms := map[int64]float64{}
		o.Sinks, o.Distributions = []record.Sink{to}, true
		o.Hooks = []Hook{{Name: "norms", Every: 1, After: func(_ context.Context, p Progress) error {
			norms[p.Images] = p.Step.GradNorm
			return nil
		}}}
		train(t, o)
		if len(to.norms) != 2 || len(to.grids) != 3 {
			t.Errorf("distributions %v, grids %v; want two, and of these one more, before the first step", to.norms, to.grids)
		}
		for images, n := range to.norms {
			if want := norms[images]; math.Abs(n[1]-want) > 1e-5*want || n[0] == 0 {
				t.Errorf("accumulate %d, after %d images: gradients of norm %g, weights of %g; want %g", accumulate, images, n[1], n[0], want)
			}
		}
	}
}
