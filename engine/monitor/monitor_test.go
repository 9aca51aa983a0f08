package monitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/evaluate"
	"fluxion/engine/model"
	"fluxion/engine/record"
	"fluxion/engine/rundir"
	"fluxion/engine/train"
	"fluxion/kernels/number"
)

// watcher is an observer that may act on what it is told.
type watcher struct {
	start        train.Start
	evaluations  []record.Evaluation
	notes        []string
	onCheckpoint func()
	onEvaluation func()
}

func (w *watcher) Start(s train.Start) { w.start = s }
func (*watcher) Status(record.Status)  {}
func (*watcher) Samples(string, int64) {}
func (*watcher) Stuck(train.Stuck)     {}
func (w *watcher) Note(text string)    { w.notes = append(w.notes, text) }
func (*watcher) Err() error            { return nil }
func (w *watcher) Checkpoint(string, int64) {
	if w.onCheckpoint != nil {
		w.onCheckpoint()
	}
}

func (w *watcher) Evaluation(e record.Evaluation) {
	w.evaluations = append(w.evaluations, e)
	if w.onEvaluation != nil {
		w.onEvaluation()
	}
}

// small is a run of a second that is evaluated often, by the embedded classifier.
func small() train.Settings {
	s := train.Default()
	s.Preset, s.Size, s.Batch, s.Images = "micro", data.Square(8), 4, 32
	s.CheckpointEvery, s.SampleCount, s.Keep = 16, 0, 1
	s.EvalEvery, s.EvalMetrics, s.EvalCount, s.EvalSteps, s.EvalNetwork, s.KeepBest = 12, "fd,prdc", 8, 2, "glyph", "fd"
	return s
}

// bench is where runs are evaluated.
type bench struct {
	data    data.Dataset
	device  device.Device
	weights []float32
}

func newBench(t *testing.T, threads int) *bench {
	t.Helper()
	d, err := device.NewCPU(threads, "")
	if err != nil {
		t.Fatal(err)
	}
	set, err := data.Open("glyphs", data.Options{Size: data.Square(8)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); set.Close() })
	p, err := Check(small(), of(set))
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.Network.Build(1)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := p.Network.EmbeddedWeights(g.Params)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{set, d, weights}
}

// of is what Check is told of data.
func of(d data.Dataset) Data {
	_, _, channels := d.Shape()
	return Data{d.Name(), channels, !data.Pictures(d)}
}

// pictures are some of a data set.
type pictures struct {
	data.Dataset
	n int
}

func (p pictures) Len() int { return p.n }

func (p pictures) Each(_ context.Context, visit func(evaluate.Image) error) error {
	h, w, c := p.Shape()
	e := data.NewExample(p.Dataset)
	for i := range p.n {
		err := p.Read(i, e)
		if err == nil {
			err = visit(evaluate.Image{Pixels: e.Bytes, Height: h, Width: w, Channels: c})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// options of a run that is evaluated.
func (b *bench) options(t *testing.T, s train.Settings, dir string) (train.Options, *watcher) {
	t.Helper()
	p, err := Check(s, of(b.data))
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(Options{
		Settings: s, Plan: p, About: "features of a formula",
		Features: evaluate.ExtractorOptions{Network: p.Network, Weights: b.weights, Convention: p.Convention, Device: b.device, Precision: number.Float32},
		Real: Real{Name: "8 images", Set: func(needs evaluate.Needs, c *evaluate.Collector, p train.Progress) (*evaluate.Set, error) {
			return c.Collect(t.Context(), pictures{b.data, 8}, needs, nil)
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{}
	return train.Options{Settings: s, Dir: dir, Data: b.data, Device: b.device, Observer: w, Hooks: []train.Hook{m.Hook()}}, w
}

func (b *bench) run(t *testing.T, s train.Settings, dir string) (train.Result, *watcher) {
	t.Helper()
	o, w := b.options(t, s, dir)
	res, err := train.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return res, w
}

// said are the evaluations in a run folder, without times.
func said(t *testing.T, dir string) (list []string) {
	t.Helper()
	stats, err := rundir.Stats(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range record.Evaluations(stats, math.MaxInt64) {
		list = append(list, fmt.Sprintf("%d %x %q %v %s", e.Images, e.Values, e.Best, e.N, e.Of))
	}
	return list
}

// best is what a run folder says of its best checkpoint.
func best(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, model.BestFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// weights are the tensors of a run's last checkpoint, and of the best.
func tensors(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, of := range []string{dir, dir + "@best"} {
		path, err := model.Newest(of)
		if err != nil && of == dir {
			t.Fatal(err)
		}
		if err != nil {
			continue
		}
		err = filepath.WalkDir(path, func(file string, e os.DirEntry, err error) error {
			if err == nil && filepath.Ext(file) == ".safetensors" {
				name, _ := filepath.Rel(path, file)
				all[strings.TrimPrefix(of, dir)+" "+name], err = os.ReadFile(file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func same(t *testing.T, what string, got, want map[string][]byte) {
	t.Helper()
	for name, b := range want {
		if !bytes.Equal(got[name], b) {
			t.Errorf("%s: %s has other bytes", what, name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d files of tensors, want %d", what, len(got), len(want))
	}
}

// TestEvaluationChangesNothing: weights, averages and moments are those of a run that is
// not evaluated.
func TestEvaluationChangesNothing(t *testing.T) {
	b := newBench(t, 1)
	for _, precision := range []string{"fp32", "bf16"} {
		if testing.Short() && precision == "fp32" {
			continue
		}
		s := small()
		s.Precision, s.EvalMetrics, s.EvalSampler, s.KeepBest = precision, "fd", "dpm++-2m", ""
		watched, alone := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
		res, w := b.run(t, s, watched)
		if len(w.evaluations) != 3 || len(said(t, watched)) != 3 || res.Best != nil || w.start.BesideBytes < 1<<16 {
			t.Errorf("%d evaluations, %q in the statistics; the result is %+v, and %d bytes beside", len(w.evaluations), said(t, watched), res, w.start.BesideBytes)
		}
		if _, err := train.Run(t.Context(), train.Options{Settings: s, Dir: alone, Data: b.data, Device: b.device, Observer: &watcher{}}); err != nil {
			t.Fatal(err)
		}
		same(t, precision, tensors(t, watched), tensors(t, alone))
	}
}

// TestResume: wherever a run is killed or stopped, it goes on to the same evaluations and
// the same best checkpoint, to the bit, on other threads, too.
func TestResume(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	b := newBench(t, 1)
	s := small()
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	o, w := b.options(t, s, whole)
	var killed []string
	kill := func() {
		left := filepath.Join(dir, fmt.Sprint("killed-", len(killed)))
		if err := os.CopyFS(left, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		killed = append(killed, left)
	}
	w.onCheckpoint, w.onEvaluation = kill, kill
	res, err := train.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.evaluations) != 3 || res.Best == nil || len(killed) < 5 {
		t.Fatalf("%d evaluations, the result is %+v, killed at %d moments", len(w.evaluations), res, len(killed))
	}
	want, first, bits := said(t, whole), best(t, whole), tensors(t, whole)
	check := func(what, dir string) {
		t.Helper()
		if got := said(t, dir); !slices.Equal(got, want) {
			t.Errorf("%s: evaluations\n%s, want\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if got := best(t, dir); got != first {
			t.Errorf("%s: the best is %s, want %s", what, got, first)
		}
		same(t, what, tensors(t, dir), bits)
	}
	other := newBench(t, 2)
	for i, left := range killed {
		other.run(t, s, left)
		check(fmt.Sprint("killed at moment ", i), left)
	}
	stopped, enough := filepath.Join(dir, "stopped"), errors.New("enough")
	for stops := 0; ; stops++ {
		o, w := b.options(t, s, stopped)
		ctx, cancel := context.WithCancelCause(t.Context())
		w.onCheckpoint, w.onEvaluation = func() { cancel(enough) }, func() { cancel(enough) }
		_, err := train.Run(ctx, o)
		cancel(nil)
		if err == nil {
			break
		}
		if !errors.Is(err, enough) || stops > 20 {
			t.Fatal(stops, err)
		}
	}
	check("stopped again and again", stopped)
}

// TestFinishedRun: a run that is finished is evaluated once by each choice of settings; a
// run goes back with what it says of earlier images.
func TestFinishedRun(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	b := newBench(t, 1)
	s := small()
	s.EvalEvery, s.KeepBest = 0, ""
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := train.Run(t.Context(), train.Options{Settings: s, Dir: dir, Data: b.data, Device: b.device, Observer: &watcher{}}); err != nil {
		t.Fatal(err)
	}
	s.EvalEvery = 1000
	for i, c := range []struct {
		count, evaluations int
		images             int64
	}{{8, 1, 32}, {8, 0, 32}, {9, 1, 32}, {9, 1, 40}, {8, 1, 44}} {
		s.EvalCount, s.Images = c.count, c.images
		s.KeepBest = "precision"
		res, w := b.run(t, s, dir)
		if len(w.evaluations) != c.evaluations || res.Best == nil || res.Best.Metric != "precision" {
			t.Errorf("time %d: %d evaluations, want %d; %+v", i, len(w.evaluations), c.evaluations, res)
		}
		other := slices.ContainsFunc(w.notes, func(n string) bool { return strings.Contains(n, "do not compare with those before") })
		if other != (i == 2 || i == 4) {
			t.Errorf("time %d: told %q", i, w.notes)
		}
	}
	if got := said(t, dir); len(got) != 4 {
		t.Errorf("evaluations %q", got)
	}
}

// TestHigherIsBetter: the best is the highest, or the lowest; of equal ones the first.
func TestHigherIsBetter(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	b := newBench(t, 1)
	s := small()
	s.EvalEvery, s.EvalMetrics, s.KeepBest = 4, "prdc", "recall"
	res, w := b.run(t, s, filepath.Join(t.TempDir(), "run"))
	highest, at := -1.0, int64(0)
	for _, e := range w.evaluations {
		if v, _ := e.Value("recall"); v > highest {
			highest, at = v, e.Images
		}
	}
	if res.Best == nil || res.Best.Value != highest || res.Best.Images != at {
		t.Errorf("the best is %+v, want %g after %d images", res.Best, highest, at)
	}
}

// TestStudent: a network that is trained for few steps is sampled in as many.
func TestStudent(t *testing.T) {
	b := newBench(t, 1)
	s := small()
	s.Objective, s.EvalSteps, s.EvalEvery = "consistency", 0, 16
	_, w := b.run(t, s, filepath.Join(t.TempDir(), "run"))
	if len(w.evaluations) != 2 || !strings.HasPrefix(w.evaluations[0].Of, "samples 0 to 7 by consistency in 1 steps, ") {
		t.Errorf("%+v", w.evaluations)
	}
	s.EvalSteps = 9
	o, _ := b.options(t, s, filepath.Join(t.TempDir(), "run"))
	_, err := train.Run(t.Context(), o)
	if setting := (*train.SettingError)(nil); !errors.As(err, &setting) || !strings.Contains(err.Error(), "trained by consistency") {
		t.Errorf("in nine steps: %v", err)
	}
	s = small()
	s.EvalSampler = "rk45"
	o, _ = b.options(t, s, filepath.Join(t.TempDir(), "run"))
	if _, err := train.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "eval_sampler, eval_steps: sampler rk45 chooses its steps") {
		t.Errorf("by rk45: %v", err)
	}
}

// TestBadFeatures: features that are no numbers are told, and the run goes on.
func TestBadFeatures(t *testing.T) {
	b := newBench(t, 1)
	s := small()
	o, w := b.options(t, s, filepath.Join(t.TempDir(), "run"))
	p, err := Check(s, of(b.data))
	if err != nil {
		t.Fatal(err)
	}
	bad := slices.Clone(b.weights)
	bad[len(bad)/2] = float32(math.NaN())
	m, err := New(Options{
		Settings: s, Plan: p, Features: evaluate.ExtractorOptions{Network: p.Network, Weights: bad, Convention: p.Convention, Device: b.device, Precision: number.Float32},
		Real: Real{Set: func(evaluate.Needs, *evaluate.Collector, train.Progress) (*evaluate.Set, error) {
			return &evaluate.Set{Name: "real"}, nil
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Hooks = []train.Hook{m.Hook()}
	res, err := train.Run(t.Context(), o)
	if err != nil || res.Images != s.Images || res.Best != nil || len(w.evaluations) != 0 {
		t.Errorf("%+v, %v; %d evaluations", res, err, len(w.evaluations))
	}
	if len(w.notes) != 3 || !strings.HasPrefix(w.notes[0], "no evaluation after 12 images, the run goes on: ") {
		t.Errorf("told %q", w.notes)
	}
}

// TestCheck: what cannot be is told before anything is trained, by the key of the setting.
func TestCheck(t *testing.T) {
	b := newBench(t, 1)
	points, err := data.Open("toy:moons", data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer points.Close()
	for _, c := range []struct {
		change func(*train.Settings)
		data   data.Dataset
		want   string
	}{
		{func(s *train.Settings) { s.EvalMetrics = "fdd" }, b.data, `eval_metrics: unknown metric "fdd"`},
		{func(s *train.Settings) { s.EvalMetrics = "" }, b.data, `eval_metrics: unknown metric ""`},
		{func(s *train.Settings) { s.EvalMetrics, s.KeepBest = "fid", "" }, b.data, "eval_metrics: fid is defined for the features of inception"},
		{func(s *train.Settings) { s.EvalNetwork = "lite1" }, b.data, `eval_network: unknown feature network "lite1"`},
		{func(s *train.Settings) { s.EvalConvention = "clena" }, b.data, "eval_convention: "},
		{func(s *train.Settings) { s.EvalNetwork = "dinov2" }, b.data, "eval_convention: legacy-tf is not for the features of dinov2; want dgm"},
		{func(s *train.Settings) { s.EvalSampler = "eulr" }, b.data, `eval_sampler: unknown sampler "eulr": did you mean "euler"?`},
		{func(s *train.Settings) { s.EvalCount = 5 }, b.data, "eval_count: prdc of 5 images: want at least 6"},
		{func(s *train.Settings) { s.KeepBest = "fdd" }, b.data, `keep_best: unknown value "fdd": did you mean "fd"?`},
		{func(s *train.Settings) { s.KeepBest = "prdc" }, b.data, "precision, recall"},
		{func(s *train.Settings) { s.EvalEvery = 0 }, b.data, "keep_best: fd is known of a run that is evaluated"},
		{func(*train.Settings) {}, points, "eval_every: "},
	} {
		s := small()
		c.change(&s)
		_, err := Check(s, of(c.data))
		if setting := (*train.SettingError)(nil); !errors.As(err, &setting) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	s := small()
	s.EvalMetrics = "is,fid"
	s.EvalNetwork, s.KeepBest, s.EvalCount = "inception", "is", 10
	p, err := Check(s, of(b.data))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckReal(s, 2); err != nil || !p.higher {
		t.Errorf("two real images serve fid, and a higher is is better (%v): %v", p.higher, err)
	}
	if err := p.CheckReal(s, 1); err == nil || !strings.HasPrefix(err.Error(), "eval_real: ") {
		t.Errorf("one real image: %v", err)
	}
	if err := p.CheckReal(s, 0); err != nil {
		t.Errorf("statistics of images that nobody counted: %v", err)
	}
}
