package record

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestCounts: every value lies in a bin of its own sign and size, as finely as bins are
// said to be, and sums are those of the values.
func TestCounts(t *testing.T) {
	values := []float32{0, -1, 1, 1.25, -1.3, 3e38, -3e38, 1e-45, math.MaxFloat32, float32(math.Inf(1)), float32(math.NaN())}
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		values = append(values, float32(r.NormFloat64()*math.Exp(10*r.NormFloat64())))
	}
	var c Counts
	c.Add(values, 1)
	want := int64(len(values) - 2)
	bins := c.Bins()
	var n int64
	for i, b := range bins {
		if b.High <= b.Low || i > 0 && bins[i-1].High != b.Low {
			t.Errorf("bin %d from %g to %g", i, b.Low, b.High)
		}
		if small, large := math.Abs(b.Low), math.Abs(b.High); b.N > 0 && min(small, large) > 1e-30 && max(small, large) > 1.2501*min(small, large) {
			t.Errorf("bin %d from %g to %g is wider than a quarter", i, b.Low, b.High)
		}
		inside := slices.Collect(func(yield func(float32) bool) {
			for _, v := range values {
				x := float64(v)
				if (x > 0 || v == 0 && !math.Signbit(x)) && x >= b.Low && x < b.High || x < 0 && x > b.Low && x <= b.High || v == math.MaxFloat32 && b.High == math.MaxFloat32 {
					yield(v)
				}
			}
		})
		if int64(len(inside)) != b.N {
			t.Errorf("bin from %g to %g holds %d values, want %d", b.Low, b.High, b.N, len(inside))
		}
		n += b.N
	}
	if n != want || c.N != want || c.Min != -float64(float32(3e38)) || c.Max != math.MaxFloat32 {
		t.Errorf("%d values in bins, %d in all, from %g to %g; want %d", n, c.N, c.Min, c.Max, want)
	}
	var some Counts
	some.Add([]float32{1, -3, 0.5}, 2)
	if some.Sum != -3 || some.SumSquares != 41 || some.Min != -6 {
		t.Errorf("sums %g and %g", some.Sum, some.SumSquares)
	}
}

// TestPrometheus: the exposition format, with labels quoted.
func TestPrometheus(t *testing.T) {
	var got string
	writes := 0
	sink := Prometheus("a \"b\"\\\n", func(text []byte) { got = string(text); writes++ })
	for _, err := range []error{
		sink.Begin(0), sink.Status(Status{Images: 8, Of: 32, Steps: 1, Loss: 0.5}), sink.Status(Status{Images: 16, Of: 32, Steps: 2, Loss: 0.25, LR: 1e-3}),
		sink.Evaluation(Evaluation{Values: []Value{{Name: "fd", Value: 2.5}, {Name: "kid", Value: -1}}}), sink.Checkpoint(File{Images: 16}), sink.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		"# HELP fluxion_images_total Images seen.\n# TYPE fluxion_images_total counter\nfluxion_images_total{run=\"a \\\"b\\\"\\\\\\n\"} 16\n",
		"} 0.25\n", "\nfluxion_checkpoint_images{run=\"a \\\"b\\\"\\\\\\n\"} 16\n",
		"# TYPE fluxion_evaluation gauge\nfluxion_evaluation{run=\"a \\\"b\\\"\\\\\\n\",metric=\"fd\"} 2.5\nfluxion_evaluation{run=\"a \\\"b\\\"\\\\\\n\",metric=\"kid\"} -1\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if writes != 2 {
		t.Errorf("written %d times, want for the first status and the end", writes)
	}
}
