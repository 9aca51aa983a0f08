package train

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/engine/model"
	"fluxion/engine/process"
	"fluxion/kernels/number"
	"fluxion/kernels/philox"
)

// lossOf runs a micro-batch and returns its loss.
func lossOf(t *testing.T, tr *Trainer, micro int) float64 {
	t.Helper()
	if err := tr.runMicro(micro); err != nil {
		t.Fatal(err)
	}
	if wait, err := tr.note(); err != nil || wait != nil {
		t.Fatal("of a CPU", err)
	}
	return tr.part.Losses[len(tr.part.Losses)-1]
}

// TestWeighting: the loss is the mean of weighted errors, and those of the images are
// what the objective learns from.
func TestWeighting(t *testing.T) {
	var settings Settings
	tr, batches := newTrainerOf(t, 1, 2, number.Float32, func(s *Settings) {
		s.TimeSampler, s.Weighting = "adaptive:bins=10", "sigmoid"
		settings = *s
	})
	tr.Hyper((&run{settings: long()}).hyper(State{}))
	tr.Fill(&batches[0])
	got := lossOf(t, tr, 0)
	p, err := process.Get(settings.Schedule, process.ScheduleOptions{Shift: 1}, settings.Output)
	if err != nil {
		t.Fatal(err)
	}
	o, err := process.NewObjective(p, settings.TimeSampler, settings.Weighting)
	if err != nil {
		t.Fatal(err)
	}
	mean, err := o.MeanLossWeight()
	if err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for i, at := range batches[0].Indices {
		d := o.Draw(o.Times.Time(philox.Uniform64(settings.Seed, philox.Time, uint64(at), 0)))
		want += d.Weight / mean * tr.part.Seen[i].Err / 8
		if seen := tr.part.Seen[i]; !(seen.Err > 0) || seen.LogSNR != d.LogSNR || seen.Weight != d.Weight*d.Density {
			t.Errorf("image %d: %+v, want λ %v and weight %v", i, seen, d.LogSNR, d.Weight*d.Density)
		}
	}
	if math.Abs(got-want) > 1e-6*want {
		t.Errorf("loss %v, the mean of weighted errors is %v", got, want)
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
	objective, err := NewObjective(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := run{objective: objective}
	r.all = []Hook{r.learningHook()}
	var a process.Adaptive
	seen := int64(0)
	newest, err := model.Newest(dir)
	if err == nil {
		var take []func() error
		if take, err = r.readKept(filepath.Join(newest, model.TrainingDir)); err == nil {
			err = take[0]()
		}
	}
	if err == nil {
		var state []byte
		if state, err = objective.State().Store(); err == nil {
			err = json.Unmarshal(state, &a)
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
	damaged := filepath.Join(t.TempDir(), objective.State().File)
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
	if _, err := NewObjective(s, nil); err == nil || !strings.Contains(err.Error(), "want one such as") {
		t.Errorf("plain weighting with adaptive times: %v", err)
	}
}
