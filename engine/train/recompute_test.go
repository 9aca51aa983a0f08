package train

import (
	"context"
	"errors"
	"testing"

	"fluxion/engine/plan"
)

// TestRecompute stops a run again and again and goes on with another recomputation
// each time: it ends with the checkpoint of one that kept everything, to the bit,
// and each takes less memory than the one before.
func TestRecompute(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for accumulate, precision := range map[int]string{1: "fp32", 2: "bf16"} {
		s := small()
		s.Images, s.SampleCount, s.CheckpointEvery = 96, 0, int64(s.Batch)
		s.Accumulate, s.Precision = accumulate, precision
		whole, cut := t.TempDir(), t.TempDir()
		o, rec := options(t, s, whole)
		kept, err := Run(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		want, least := rec.start.PlannedBytes, rec.start.PlannedBytes+1
		if rec.start.KeptBytes != want || rec.start.AgainFLOPs != 0 {
			t.Errorf("without recomputation: %+v", rec.start)
		}
		for i, r := range plan.Recomputations {
			s.Recompute = r.Name
			o, rec = options(t, s, cut)
			ctx, stop := context.WithCancelCause(context.Background())
			stopped, last := errors.New("stopped"), i == len(plan.Recomputations)-1
			rec.onSave = func() {
				if !last {
					stop(stopped)
				}
			}
			res, err := Run(ctx, o)
			if last && (err != nil || res.Images != s.Images || res.Loss != kept.Loss) || !last && !errors.Is(err, stopped) {
				t.Fatalf("%s, %s: %+v, %v; want %+v", precision, r.Name, res, err, kept)
			}
			stop(nil)
			if i > 0 && (len(rec.start.Changes) != 1 || rec.start.AgainFLOPs <= 0) {
				t.Errorf("%s, %s: announced %+v", precision, r.Name, rec.start)
			}
			if rec.start.PlannedBytes >= least || rec.start.KeptBytes != want {
				t.Errorf("%s, %s: %d bytes planned, %d without; want less than %d and %d", precision, r.Name, rec.start.PlannedBytes, rec.start.KeptBytes, least, want)
			}
			least = rec.start.PlannedBytes
		}
		same(t, files(t, cut), files(t, whole))
	}
	s := small()
	s.Recompute = "everything"
	o, _ := options(t, s, t.TempDir())
	var e *SettingError
	if _, err := Run(context.Background(), o); !errors.As(err, &e) || e.Key != "recompute" {
		t.Errorf("an unknown recomputation: %v", err)
	}
}
