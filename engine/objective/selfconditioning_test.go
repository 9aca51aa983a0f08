package objective

import (
	"math"
	"slices"
	"testing"

	"fluxion/engine/process"
	"fluxion/kernels/feed"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

func conditioned(d *denoising, share float64) *selfConditioning { return &selfConditioning{d, share} }

// TestEstimateOfTheTruth: from what the network is shown and what it is to answer,
// the estimate is the image, under every schedule and output.
func TestEstimateOfTheTruth(t *testing.T) {
	const x, e = 0.6, -1.3
	for _, schedule := range process.Schedules() {
		for _, output := range process.Outputs() {
			d := of(t, schedule, output, "uniform", "plain")
			if d == nil {
				continue
			}
			s := conditioned(d, 0.999)
			for _, time := range []float64{0.05, 0.3, 0.8} {
				q := d.Process().At(time)
				wz, wy := s.estimate(q, 5)
				if wz == 0 && wy == 0 {
					t.Errorf("%s, %s at %v: no estimate", schedule, output, time)
				}
				z, y := q.Input*(q.Alpha*x+q.Sigma*e), q.A*x+q.B*e
				if got := wz*z + wy*y; math.Abs(got-x) > 1e-4 {
					t.Errorf("%s, %s at %v: %v, want %v", schedule, output, time, got, x)
				}
			}
		}
	}
	d := of(t, "fm", "eps", "uniform", "plain")
	if z, y := conditioned(d, 0.999).estimate(d.Process().At(1), 5); z != 0 || y != 0 {
		t.Errorf("ε of pure noise says %v z + %v y", z, y)
	}
}

// build is the loss of an objective of preset micro for a batch of 8.
func build(t *testing.T, o Objective) (*Builder, Loss, error) {
	t.Helper()
	p, err := catalog.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	n, err := p.Network.Fit(o.Fit(nets.Spec{Height: 16, Width: 16, Channels: 3}))
	if err != nil {
		t.Fatal(err)
	}
	return Build(o, Options{Network: n, Batch: 8, Height: 16, Width: 16})
}

// built is that, with the numbers of the batch.
func built(t *testing.T, o Objective) (numbers func() map[string][]float32, l Loss) {
	t.Helper()
	b, l, err := build(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return func() map[string][]float32 {
		all := map[string][]float32{}
		for _, stage := range b.Before {
			if v, ok := stage.Kernel.(*feed.Vector); ok {
				all[stage.Out.Node.Name()] = slices.Clone(v.Values)
			}
		}
		return all
	}, l
}

// TestEstimatesAreDrawn: the share of images is what it should be, an image's lot is
// its own, and nothing else of it changes.
func TestEstimatesAreDrawn(t *testing.T) {
	const share, batches, estimate = 0.3, 250, "coefficients of the estimate"
	d := of(t, "fm", "u", "uniform", "plain")
	with, l := built(t, conditioned(d, share))
	without, plain := built(t, d)
	drawn, byPosition := 0, map[int64]bool{}
	for i := range int64(batches) {
		for k := range 8 {
			at := 8*i + int64(k)
			if a, b := l.Feed(k, at), plain.Feed(k, at); a != b {
				t.Fatalf("image %d: %v with an estimate, %v without", at, a, b)
			}
		}
		got := with()
		for k := range int64(8) {
			if got[estimate][2*k+1] != 0 {
				drawn++
				byPosition[8*i+k] = true
			}
		}
		for name, want := range without() {
			if !slices.Equal(got[name], want) {
				t.Fatalf("batch %d: %s are others for being given an estimate", i, name)
			}
		}
	}
	if got, of := float64(drawn)/(8*batches), math.Sqrt(share*(1-share)/(8*batches)); math.Abs(got-share) > 4*of {
		t.Errorf("%.3f of the images are given an estimate, want %v", got, share)
	}
	for k, at := range []int64{90, 91, 3, 4, 5, 6, 7, 11} { // another place in another batch
		l.Feed(k, at)
		if got := with()[estimate][2*k+1] != 0; got != byPosition[at] {
			t.Errorf("image %d: %v, before %v", at, got, byPosition[at])
		}
	}
}
