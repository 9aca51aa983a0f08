package train

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"fluxion/data/durable"
	"fluxion/engine/average"
	"fluxion/engine/model"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// powers are averages by powers of time.
func powers(sigmas ...float64) (all Averages) {
	for i, s := range sigmas {
		all[i].Sigma = s
	}
	return all
}

// flat reads weights of a run.
func flat(t *testing.T, dir, weights string) []float32 {
	t.Helper()
	m, err := model.Read(dir, weights)
	if err != nil {
		t.Fatal(err)
	}
	return m.Weights
}

// offBy is the largest difference of two, as a share of the largest of a third.
func offBy(a, b, scale []float32) float64 {
	worst, most := 0.0, 0.0
	for i, x := range a {
		worst, most = max(worst, math.Abs(float64(x-b[i]))), max(most, math.Abs(float64(scale[i])))
	}
	return worst / most
}

// TestPowerAverages: averages by a power of time are those of the weights after each step,
// wherever they stand in the list, and change neither the weights nor other averages.
func TestPowerAverages(t *testing.T) {
	s := points()
	s.SampleCount, s.CheckpointEvery, s.Images = 0, 0, 160
	run := func(all Averages) (dir string, sums map[float64][]float64) {
		s, dir := s, t.TempDir()
		s.EMA = all
		o, _ := options(t, s, dir)
		sums = map[float64][]float64{}
		o.Hooks = []Hook{{Name: "sums", Every: 1, After: func(_ context.Context, p Progress) error {
			b := p.Trainer.Buffers.Parameters
			weights := make([]float32, b.Size)
			if err := p.Trainer.Memory.Read(b, 0, weights); err != nil {
				return err
			}
			for _, sigma := range []float64{.05, .1} {
				if sums[sigma] == nil {
					sums[sigma] = make([]float64, b.Size)
				}
				g := average.Exponent(sigma) + 1
				share := (math.Pow(float64(p.Images), g) - math.Pow(float64(p.Before), g)) / math.Pow(float64(s.Images), g)
				for i, w := range weights {
					sums[sigma][i] += share * float64(w)
				}
			}
			return nil
		}}}
		train(t, o)
		return dir, sums
	}
	plain, _ := run(exponential(50))
	behind, want := run(Averages{{HalfLife: 50}, {Sigma: .05}, {Sigma: .1}})
	before, _ := run(powers(.1, .05))
	raw := flat(t, plain, model.Raw)
	for _, weights := range []string{model.Raw, model.EMA} {
		if !slices.Equal(flat(t, behind, weights), flat(t, plain, weights)) {
			t.Errorf("averages by powers change %s", weights)
		}
	}
	for dir, names := range map[string][2]string{behind: {"ema:power:0.05", "ema:power:0.1"}, before: {"ema:power:0.05", model.EMA}} {
		for i, name := range names {
			sigma := []float64{.05, .1}[i]
			exact := make([]float32, len(raw))
			for i, x := range want[sigma] {
				exact[i] = float32(x)
			}
			got := flat(t, dir, name)
			if off := offBy(got, exact, raw); off > 1e-6 || offBy(got, raw, raw) < 2e-5 {
				t.Errorf("%s is off by %.2g, and from the weights by %.2g", name, off, offBy(got, raw, raw))
			}
		}
	}
	if !slices.Equal(flat(t, before, "ema:power:0.10"), flat(t, before, model.EMA)) {
		t.Error("the first average is not found by its name")
	}
}

// snapshots are the bytes of a run's files of snapshots.
func snapshots(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	entries, err := os.ReadDir(filepath.Join(dir, average.Dir))
	for _, e := range entries {
		data, failed := os.ReadFile(filepath.Join(dir, average.Dir, e.Name()))
		all[e.Name()], err = data, errors.Join(err, failed)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSnapshotsResume: a run that is stopped again and again keeps the snapshots of one that
// was left alone, to the bit, as many and as large as was said at its start.
func TestSnapshotsResume(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	s := brief()
	s.SampleCount, s.Keep, s.Images, s.Accumulate = 0, 1, 36, 2
	s.EMA, s.EMASnapshotEvery, s.EMASnapshotType = Averages{{HalfLife: 20}, {Sigma: .05}, {Sigma: .1}}, 6, "bf16"
	whole, rec := options(t, s, t.TempDir())
	train(t, whole)
	want, bytes := snapshots(t, whole.Dir), int64(0)
	for _, data := range want {
		bytes += int64(len(data))
	}
	// of 8, 12, 20, 24, 32 and 36 images
	if said := rec.start.Snapshots; len(want) != 12 || said.Files != 12 || said.Bytes != bytes || said.Type != "bf16" || !slices.Equal(said.Averages, []string{"power:0.05", "power:0.1"}) {
		t.Errorf("%d files of %d bytes; announced are %+v", len(want), bytes, said)
	}
	s.CheckpointEvery = 4
	cut, rec := options(t, s, t.TempDir())
	for stops := 0; ; stops++ {
		ctx, cancel := context.WithCancel(t.Context())
		rec.onSave = cancel
		_, err := Run(ctx, cut)
		cancel()
		if err == nil && stops > 2 {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(stops, err)
		}
		if stops > 20 {
			t.Fatal("no end")
		}
	}
	same(t, snapshots(t, cut.Dir), want)
	same(t, files(t, cut.Dir), files(t, whole.Dir))
}

// TestReconstruct: an average that is made of snapshots is near to the same one that was
// kept: of those in fp32 within 2e-4 of the way that the weights are from it, where 32
// snapshots were made. Those in fp16 add their rounding.
func TestReconstruct(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	s := points()
	s.SampleCount, s.CheckpointEvery, s.Images, s.Batch = 0, 0, 64*40, 8
	s.EMA, s.EMASnapshotEvery = powers(.075, .05, .1, .15), s.Images/32
	for name, rounding := range map[string]float64{"fp32": 0, "fp16": 5e-4} {
		s.EMASnapshotType = name
		o, _ := options(t, s, t.TempDir())
		train(t, o)
		of := map[float64][]float32{}
		for _, sigma := range []float64{.05, .075, .1, .15} {
			of[sigma] = flat(t, o.Dir, model.Power(sigma, 0))
		}
		dir := filepath.Join(o.Dir, average.Dir)
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 4*32 {
			t.Fatal(len(entries), err)
		}
		for _, e := range entries {
			if p, _ := average.ParseFileName(e.Name()); p.Sigma == .075 || p.Sigma == .15 {
				err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		n := networkOf(t, o.Dir)
		raw := flat(t, o.Dir, model.Raw)
		for sigma, kept := range of {
			made, fit, err := average.Reconstruct(dir, n, sigma, 0)
			if err != nil {
				t.Fatal(err)
			}
			if off, way := offBy(made, kept, raw), offBy(kept, raw, raw); off > 2e-4*way+rounding || fit.Residual > 3e-3 {
				t.Errorf("%s, σ_rel %v: off by %.2g, the weights are by %.2g; residual %.2g", name, sigma, off, way, fit.Residual)
			}
			if sigma == .05 && name == "fp32" && !slices.Equal(made, kept) {
				t.Error("a snapshot does not come back to the bit")
			}
		}
		// A width that was not kept is made when it is asked for, at any snapshot's time.
		m, err := model.Read(o.Dir, model.Power(.12, 0))
		if err != nil || m.Made == nil || len(m.Made.Of) != 64 || !strings.Contains(m.Notes[0], "σ_rel 0.12 after 2560 images is made of 64 snapshots of σ_rel 0.05 and 0.1") {
			t.Errorf("%+v, %v", m, err)
		}
		if m, err = model.Read(o.Dir, "ema:power:0.12@1280"); err != nil || len(m.Made.Of) != 32 {
			t.Errorf("halfway: %+v, %v", m, err)
		}
		if _, err = model.Read(o.Dir, "ema:power:0.12@1281"); err == nil || !strings.Contains(err.Error(), "no snapshot after 1281 images") {
			t.Errorf("a time without a snapshot: %v", err)
		}
	}
}

// TestPowersGoOn: what is no average by a power of time from the start cannot become one.
func TestPowersGoOn(t *testing.T) {
	exp, both := Average{HalfLife: 20}, powers(.05, .1)
	for _, c := range []struct {
		old, next Averages
		ok        bool
	}{
		{both, both, true}, {both, powers(.05), true}, {both, Averages{exp, {Sigma: .1}}, true}, {both, powers(.1), false}, {both, powers(.1, .05), false},
		{Averages{exp}, both, false}, {Averages{exp}, Averages{exp, {Sigma: .1}}, false}, {Averages{exp, {Sigma: .1}}, Averages{{HalfLife: 30}, {Sigma: .1}}, true},
	} {
		if got := c.old.goesOnAs(c.next); got != c.ok {
			t.Errorf("%v goes on as %v: %v", c.old, c.next, got)
		}
	}
}

// TestSnapshotSettings: whoever keeps such averages has snapshots without asking, and who
// keeps none cannot ask for them.
func TestSnapshotSettings(t *testing.T) {
	nothing, every := func(string) bool { return false }, func(key string) bool { return key == "ema_snapshot_every" }
	s := Default()
	s.EMA = powers(.05, .1)
	if got := s.Switched(Default(), nothing); got.EMASnapshotEvery != s.Images/32 {
		t.Errorf("a snapshot every %d images", got.EMASnapshotEvery)
	}
	if got := s.Switched(Default(), every); got.EMASnapshotEvery != 0 {
		t.Errorf("a snapshot every %d images, though none was said", got.EMASnapshotEvery)
	}
	then := s
	then.EMASnapshotEvery = 77
	if got := then.Switched(then, nothing); got.EMASnapshotEvery != 77 {
		t.Errorf("a run goes on with a snapshot every %d images", got.EMASnapshotEvery)
	}
	next := then
	next.EMA = Default().EMA
	if got := next.Switched(then, nothing); got.EMASnapshotEvery != 0 || got.Validate() != nil {
		t.Errorf("without such averages: %d, %v", got.EMASnapshotEvery, got.Validate())
	}
	if err := next.Validate(); err == nil || !strings.Contains(err.Error(), "ema_snapshot_every: 77 is for averages by a power of time alone") {
		t.Error(err)
	}
}

// TestSnapshotFails: a disk that does not take a snapshot is told of, and the run goes on.
func TestSnapshotFails(t *testing.T) {
	s := points()
	s.SampleCount, s.CheckpointEvery, s.Images = 0, 0, 64
	s.EMA, s.EMASnapshotEvery = powers(.1), 16
	o, rec := options(t, s, t.TempDir())
	o.Disk = durable.Disk{Rename: func(old, new string) error {
		if strings.Contains(new, "000000032-0.1") {
			return &fs.PathError{Op: "rename", Path: new, Err: syscall.ENOSPC}
		}
		return os.Rename(old, new)
	}}
	train(t, o)
	if len(rec.notes) != 1 || !strings.HasPrefix(rec.notes[0], "no snapshot of average power:0.1 after 32 images, the run goes on: ") {
		t.Errorf("notes %q", rec.notes)
	}
	if got := snapshots(t, o.Dir); len(got) != 3 {
		t.Errorf("%d snapshots, want 3", len(got))
	}
	if _, fit, err := average.Reconstruct(filepath.Join(o.Dir, average.Dir), networkOf(t, o.Dir), .09, 0); err != nil || len(fit.Of) != 3 {
		t.Errorf("with one missing: %+v, %v", fit, err)
	}
}

// networkOf is the network of a run.
func networkOf(t *testing.T, run string) nets.Network {
	t.Helper()
	dir, err := model.Newest(run)
	if err != nil {
		t.Fatal(err)
	}
	n, err := catalog.ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
