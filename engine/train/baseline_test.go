package train

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/rundir"
)

// stripes is a data set whose pixels are known: every second image is broken.
type stripes struct {
	data.Dataset
	n, width int
	of       func(image, pixel int) byte
}

func (s stripes) Len() int             { return s.n }
func (s stripes) Shape() (h, w, c int) { return 1, s.width, 1 }
func (s stripes) Kind() data.Kind      { return data.Bytes }
func (s stripes) Read(i int, e *data.Example) error {
	if i%2 == 1 {
		return errors.New("broken")
	}
	for p := range e.Bytes {
		e.Bytes[p] = s.of(i, p)
	}
	return nil
}

// The variance of pixels that are known; the same of a large set as of a small one.
func TestPixelMoments(t *testing.T) {
	for _, c := range []struct {
		set  stripes
		want float64
	}{
		{stripes{n: 3, width: 4, of: func(_, p int) byte { return byte(255 * (p % 2)) }}, 1},
		{stripes{n: 100_000, width: 4, of: func(_, p int) byte { return byte(255 * (p % 2)) }}, 1},
		{stripes{n: 2, width: 256, of: func(_, p int) byte { return byte(p) }}, (256*256 - 1) / 12. * 4 / (255 * 255)},
		{stripes{n: 5, width: 4, of: func(int, int) byte { return 40 }}, 0},
		{stripes{n: 4, width: 4, of: func(i, _ int) byte { return byte(51 * i / 2) }}, 0.04},
	} {
		if _, got := pixelMoments(c.set); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("variance %g, want %g", got, c.want)
		}
	}
}

// The mean of black, grey and white pixels.
func TestPixelMean(t *testing.T) {
	for value, want := range map[byte]float64{0: -1, 51: -0.6, 255: 1} {
		if got, _ := pixelMoments(stripes{n: 4, width: 4, of: func(int, int) byte { return value }}); math.Abs(got-want) > 1e-12 {
			t.Errorf("mean %g, want %g", got, want)
		}
	}
}

// A run at a learning rate that it cannot bear is told once that it does not learn, on
// the screen's side and in the log; one that learns is not.
func TestStuck(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for _, c := range []struct {
		lr   float64
		says bool
	}{{1e-9, true}, {3e-3, false}} {
		s := small()
		s.Size, s.Images, s.Batch, s.Warmup, s.LR, s.SampleCount, s.CheckpointEvery = data.Square(8), 2400, 8, 100, c.lr, 0, 0
		dir := t.TempDir()
		o, rec := options(t, s, dir)
		if _, err := Run(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		log, err := os.ReadFile(filepath.Join(dir, rundir.LogFile))
		if err != nil {
			t.Fatal(err)
		}
		last := rec.statuses[len(rec.statuses)-1]
		if (len(rec.stuck) == 1) != c.says || len(rec.stuck) > 1 || strings.Contains(string(log), "does not learn") != c.says {
			t.Errorf("lr %g: told %v, loss %g, baseline %g; the log: %s", c.lr, rec.stuck, last.Loss, last.Baseline, log)
		}
		if c.says && (rec.stuck[0].Images != 2000 || rec.stuck[0].Loss < rec.stuck[0].Baseline) {
			t.Errorf("told %+v", rec.stuck)
		}
		if c.says && rec.stuck[0].TryLR != rec.start.Recipe.LR {
			t.Errorf("advises %g, the recipe has %g", rec.stuck[0].TryLR, rec.start.Recipe.LR)
		}
		if rec.start.Baseline <= 0 || last.Baseline != rec.start.Baseline || !strings.Contains(string(log), "without knowledge") {
			t.Errorf("baseline %g at the start, %g later", rec.start.Baseline, last.Baseline)
		}
	}
}

// A run that was too short to be told that it does not learn is told at its end that
// it has not; one that has is not.
func TestUnlearned(t *testing.T) {
	for lr, says := range map[float64]bool{1e-9: true, 3e-3: false} {
		if testing.Short() && !says {
			continue
		}
		s := small()
		s.Size, s.Images, s.Batch, s.Warmup, s.LR, s.SampleCount, s.CheckpointEvery = data.Square(8), 1960, 8, 100, lr, 0, 0
		o, rec := options(t, s, t.TempDir())
		res, err := Run(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		said := strings.Contains(res.Unlearned, "is not below the baseline")
		if said != says || len(rec.stuck) != 0 || strings.Contains(logOf(t, o.Dir), "is not below the baseline") != says {
			t.Errorf("lr %g: told %q, loss %g, baseline %g", lr, res.Unlearned, res.Loss, rec.start.Baseline)
		}
		again, err := Run(context.Background(), o)
		if err != nil || !again.AlreadyRun || again.Checkpoint != res.Checkpoint {
			t.Errorf("run again: %+v, %v; its checkpoint was %s", again, err, res.Checkpoint)
		}
	}
}

// While it trains, of a run that is too short, or whose data have no contrast, nothing is said.
func TestNotStuck(t *testing.T) {
	s := small()
	s.Images, s.Warmup, s.Batch = 1_000_000, 500, 16
	r := &run{settings: s, baseline: 0.8}
	for _, c := range []struct {
		images   int64
		loss     float64
		baseline float64
		want     bool
	}{{10_000, 0.8, 0.8, true}, {9_999, 0.9, 0.8, false}, {10_000, 0.79, 0.8, false}, {10_000, 0.1, 0, false}, {90_000, 1, 0.8, true}} {
		r.baseline = c.baseline
		if _, got := r.stuck(State{Images: c.images, Loss: c.loss}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	r.baseline, r.atZero = 0.1, 1
	if _, got := r.stuck(State{Images: 10_000, Loss: 0.49}); got {
		t.Error("told that it does not learn with half of the answer 0 gone, where the linear guess is very good")
	}
	r.settings.LR, r.recipe.LR, r.baseline = 3e-4, 3e-4, 0.8
	if s, _ := r.stuck(State{Images: 90_000, Loss: 1}); math.Abs(s.TryLR-1e-4) > 1e-12 {
		t.Errorf("advises %g where the recipe's rate fails", s.TryLR)
	}
	r.settings.Images, r.baseline = 2000, 0.8 // its share is less than 2,000
	if _, got := r.stuck(State{Images: 1999, Loss: 1}); got {
		t.Error("told after 1,999 images")
	}
	r.settings.Warmup = 1500
	if _, got := r.stuck(State{Images: 2499, Loss: 1}); got {
		t.Error("told before the mean has left the warm-up behind")
	}
	r.settings.Batch = 64
	if _, got := r.stuck(State{Images: 6399, Loss: 1}); got {
		t.Error("told after 99 steps")
	}
}

// Moments of floats are those of the floats, and the same to the bit on any number of
// processors.
func TestMomentsOfFloats(t *testing.T) {
	d, err := data.Open("toy:moons", data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var sum, squares float64
	e := data.NewExample(d)
	for i := range baselineImages {
		if err := d.Read(i*d.Len()/baselineImages, e); err != nil {
			t.Fatal(err)
		}
		for _, x := range e.Floats {
			sum, squares = sum+float64(x), squares+float64(x)*float64(x)
		}
	}
	n := float64(baselineImages * len(e.Floats))
	mean, variance := pixelMoments(d)
	if want := squares/n - sum/n*sum/n; math.Abs(mean-sum/n) > 1e-12 || math.Abs(variance-want) > 1e-12 {
		t.Errorf("mean %v and variance %v, want %v and %v", mean, variance, sum/n, want)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if m, v := pixelMoments(d); m != mean || v != variance {
		t.Errorf("on one processor mean %v and variance %v, before %v and %v", m, v, mean, variance)
	}
}
