package train

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/engine/model"
	"fluxion/engine/process"
	"fluxion/kernels/number"
)

// TestObjectives: every schedule with every output, weightings and time samplers
// in turn, has positive weights of mean 1 at the times drawn.
func TestObjectives(t *testing.T) {
	k := 0
	for _, schedule := range process.Schedules() {
		for _, output := range process.Outputs() {
			s := Default()
			s.Schedule, s.Output = schedule, output
			s.Weighting = process.Weightings()[k%len(process.Weightings())]
			s.TimeSampler = process.TimeSamplers()[k%len(process.TimeSamplers())]
			k++
			o, err := NewObjective(s, 0)
			if err != nil {
				if strings.Contains(err.Error(), "; want") {
					continue // a combination that cannot be
				}
				t.Fatalf("%s, %s, %s, %s: %v", s.Schedule, s.Output, s.Weighting, s.TimeSampler, err)
			}
			for at := range int64(200) {
				time := o.time(at, 8)
				if w := o.weight(time); !(time >= 0 && time <= 1) || !(w >= 0) || math.IsInf(w, 0) {
					t.Fatalf("%v: weight %v at t = %v", o, w, time)
				}
			}
			const n = 10_000
			mean := 0.0
			for i := range n {
				mean += o.weight(o.Times.Time((float64(i)+0.5)/n)) / n
			}
			if !(mean > 0.9 && mean < 3) { // some have no limit
				t.Errorf("%v: mean weight %v", o, mean)
			}
		}
	}
}

// TestWeighting: the loss and its gradients are of weighted errors, and those of
// the images are what adaptive times learn from.
func TestWeighting(t *testing.T) {
	tr, batches, plain := newTrainer(t, 1, 2, number.Float32)
	loss := func(o Objective) float64 {
		tr.Hyper((&run{settings: long()}).hyper(State{}))
		tr.Fill(&batches[0], o)
		l, err := tr.runMicro(0)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	weights := make([]float32, tr.Graph.Params[len(tr.Graph.Params)-1].Offset)
	if err := tr.Memory.Read(tr.Buffers.Parameters, 0, weights); err != nil {
		t.Fatal(err)
	}
	first := loss(plain)
	double := plain
	double.Mean /= 2 // weights of mean 2
	if err := tr.Memory.Write(tr.Buffers.Parameters, 0, weights); err != nil {
		t.Fatal(err)
	}
	if second := loss(double); math.Abs(second-2*first) > 0.02*first {
		t.Errorf("losses %v and, of twice the weights, %v", first, second)
	}
}

// TestAdaptiveTimes: a run learns where its errors are, and its checkpoint has it.
func TestAdaptiveTimes(t *testing.T) {
	s := small()
	s.TimeSampler, s.Weighting, s.SampleCount, s.CheckpointEvery = "adaptive:bins=10", "sigmoid", 0, 0
	dir := t.TempDir()
	o, _ := options(t, s, dir)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	objective, err := NewObjective(s, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := run{objective: objective}
	r.all = []Hook{r.timesHook()}
	a, seen := objective.Times.Adaptive, int64(0)
	newest, err := model.Newest(dir)
	if err == nil {
		var take []func() error
		if take, err = r.readKept(filepath.Join(newest, model.TrainingDir)); err == nil {
			err = take[0]()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range a.Seen {
		seen += n
		if n > 0 && !(a.Means[i] > 0) {
			t.Errorf("bin %d has seen %d errors of mean %v", i, n, a.Means[i])
		}
	}
	damaged := filepath.Join(t.TempDir(), timesFile)
	if err := os.WriteFile(damaged, []byte(`{"means": ["x"]}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := r.readKept(filepath.Dir(damaged)); err == nil || !strings.Contains(err.Error(), damaged+": key means is a string, want a number") {
		t.Errorf("damaged times: %v", err)
	}
	if seen != s.Images {
		t.Errorf("%d observations of %d images", seen, s.Images)
	}
	s.Weighting = "plain"
	if _, err := NewObjective(s, 0); err == nil || !strings.Contains(err.Error(), "want one such as") {
		t.Errorf("plain weighting with adaptive times: %v", err)
	}
}
