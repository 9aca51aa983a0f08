package rundir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"fluxion/data/durable"
	"fluxion/data/durable/durabletest"
	"fluxion/engine/model"
)

// TestBestStays: the best checkpoint is not removed with the older ones, but when another
// is the best; what goes back before it forgets it, until that comes to nothing.
func TestBestStays(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	best := func() int64 {
		t.Helper()
		b, err := model.ReadBest(run)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return 0
		}
		return b.Images
	}
	goOn := func(from, to, set int64) {
		t.Helper()
		d, err := Open(run, false, quick)
		if err == nil {
			err = d.Begin([]byte("a"), from)
		}
		for images := from + 10; err == nil && images <= to; images += 10 {
			if _, err = d.Save(images, weights("a", images)); err == nil && images == set {
				err = d.SetBest(model.Best{Metric: "fd", Value: 2, Images: images})
			}
			if err == nil {
				err = d.Tidy(2)
			}
		}
		if err := errors.Join(err, d.Close()); err != nil {
			t.Fatal(err)
		}
	}
	goOn(0, 50, 20)
	if got := look(t, run); got != "a20 a40 a50" || best() != 20 {
		t.Errorf("%s, and %d is the best", got, best())
	}
	goOn(50, 70, 60)
	if got := look(t, run); got != "a60 a70" || best() != 60 {
		t.Errorf("%s, and %d is the best", got, best())
	}
	if path, err := model.Newest(run + "@best"); err != nil || path != filepath.Join(run, model.CheckpointsDir, "60") {
		t.Errorf("the best is %s, %v", path, err)
	}
	goOn(70, 100, 0)
	goOn(60, 60, 0) // the best itself is gone on from
	if best() != 60 {
		t.Errorf("gone back to it, %d is the best", best())
	}
	goOn(100, 110, 110)
	goOn(100, 100, 0) // nothing comes of going back
	if got := look(t, run); got != "a100 a110" || best() != 110 {
		t.Errorf("%s, and %d is the best", got, best())
	}
	goOn(100, 120, 0)
	if got := look(t, run); got != "a110 a120" || best() != 0 {
		t.Errorf("gone back before it: %s, and %d is the best", got, best())
	}
	if _, err := model.Newest(run + "@best"); err == nil {
		t.Error("a run without a best checkpoint has one")
	}
	if err := os.WriteFile(filepath.Join(run, model.BestFile), []byte(`{"metric": 1}`), 0o666); err != nil {
		t.Fatal(err)
	}
	d, err := Open(run, false, durable.Disk{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Tidy(1); err == nil {
		t.Error("a damaged file was read")
	}
	if err := d.Close(); err != nil || look(t, run) != "a110 a120" {
		t.Errorf("with a damaged file %s is left, %v", look(t, run), err)
	}
	goOn(120, 140, 130) // it is removed, and ends nothing
	if got := look(t, run); got != "a130 a140" || best() != 130 {
		t.Errorf("gone on with a damaged file: %s, and %d is the best", got, best())
	}
}

// TestBestSurvivesPowerLoss: wherever the power is lost, what is named as the best is
// there.
func TestBestSurvivesPowerLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	power := durabletest.NewPower(t)
	losses := 0
	power.Each = func() {
		for _, loss := range durabletest.Losses {
			losses++
			left := filepath.Join(dir, "left")
			if err := os.RemoveAll(left); err != nil {
				t.Fatal(err)
			}
			power.Lose(run, left, loss)
			b, err := model.ReadBest(left)
			if err != nil {
				t.Error(err)
			}
			if b == nil {
				continue
			}
			if path, err := model.Newest(left + "@best"); err != nil || path != b.Path(left) {
				t.Errorf("%s is the best: %v", path, err)
			}
		}
	}
	disk := power.Disk()
	d, err := Open(run, false, disk)
	if err == nil {
		err = d.Begin([]byte("a"), 0)
	}
	for images := int64(10); err == nil && images <= 40; images += 10 {
		if _, err = d.Save(images, weights("a", images)); err == nil && images%20 == 0 {
			err = d.SetBest(model.Best{Metric: "fd", Value: 1, Images: images})
		}
		if err == nil {
			err = d.Tidy(1)
		}
	}
	if err := errors.Join(err, d.Close()); err != nil {
		t.Fatal(err)
	}
	if losses < 50 {
		t.Errorf("the power was lost %d times", losses)
	}
}
