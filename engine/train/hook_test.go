package train

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
	"syscall"
	"testing"
	"time"

	"fluxion/data/durable"
	"fluxion/engine/collective"
	"fluxion/engine/generate"
	"fluxion/engine/model"
	"fluxion/engine/plan"
	"fluxion/engine/record"
	"fluxion/engine/rundir"
	"fluxion/engine/sampler"
)

// counter is a hook that adds up how often it was called, and keeps the sum.
type counter struct {
	Hook
	sum  int64
	seen []string // what was called, in order
}

func newCounter(every int64) *counter {
	c := &counter{}
	call := func(what string, images int64) { c.seen = append(c.seen, fmt.Sprint(what, " ", images)) }
	c.Hook = Hook{
		Name: "counter", Every: every,
		Begin: func(p Progress) error { call("begin", p.Images); return nil },
		After: func(_ context.Context, p Progress) error { c.sum++; call("after", p.Images); return nil },
		Close: func() error { call("close", c.sum); return nil },
		Keep: &Keep{
			File:  "counter.txt",
			Store: func() ([]byte, error) { return fmt.Append(nil, c.sum), nil },
			Load: func(data []byte) (func() error, error) {
				var sum int64
				_, err := fmt.Sscan(string(data), &sum)
				return func() error { c.sum = sum; return nil }, err
			},
		},
	}
	return c
}

// TestHooksOfACaller: a hook is called when it is due, before the checkpoint of the same
// step, which keeps what it did; it goes on from there where the run does, and changes
// none of the run's bits.
func TestHooksOfACaller(t *testing.T) {
	s := brief()
	s.SampleCount = 0
	o, _ := options(t, s, t.TempDir())
	train(t, o)
	want := files(t, o.Dir)

	o, rec := options(t, s, t.TempDir())
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	rec.onSave = func() { cancel(cause) }
	c := newCounter(12)
	o.Hooks = []Hook{c.Hook}
	res, err := Run(ctx, o)
	if !errors.Is(err, cause) || res.Images >= s.Images || res.Images < 8 {
		t.Fatalf("%+v, %v", res, err)
	}
	expect := []string{"begin 0"}
	for images := int64(12); images <= res.Images; images += 12 {
		expect = append(expect, fmt.Sprint("after ", images))
	}
	if expect = append(expect, fmt.Sprint("close ", res.Images/12)); !slices.Equal(c.seen, expect) {
		t.Errorf("stopped after %d images: %v, want %v", res.Images, c.seen, expect)
	}

	rec.onSave = nil
	c = newCounter(12)
	o.Hooks = []Hook{c.Hook}
	train(t, o)
	expect = []string{fmt.Sprint("begin ", res.Images)}
	for _, images := range []int64{12, 24, 32} {
		if images > res.Images {
			expect = append(expect, fmt.Sprint("after ", images))
		}
	}
	if expect = append(expect, "close 3"); !slices.Equal(c.seen, expect) {
		t.Errorf("gone on after %d images: %v, want %v", res.Images, c.seen, expect)
	}
	got := files(t, o.Dir)
	kept := filepath.Join(model.TrainingDir, "counter.txt")
	if string(got[kept]) != "3" {
		t.Errorf("the checkpoint keeps %q, want 3", got[kept])
	}
	delete(got, kept)
	same(t, got, want)

	path := filepath.Join(o.Dir, model.CheckpointsDir, "32", kept)
	damage(t, path, func([]byte) []byte { return []byte("x") })
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a damaged %s: %v", path, err)
	}
}

// TestHookMakesUp: what was due at a checkpoint, and a kill came before, is done when the
// run goes on; so it is in a run that is finished.
func TestHookMakesUp(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	s := brief()
	s.SampleCount = 0
	o, _ := options(t, s, t.TempDir())
	train(t, o)
	for _, from := range []int64{16, 24, 32} {
		for _, done := range []bool{false, true} {
			c := newCounter(16)
			c.Done = func(images int64) bool { return done || images != from }
			o.Hooks, o.From = []Hook{c.Hook}, from
			train(t, o)
			want := []string{fmt.Sprint("begin ", from)}
			if !done && from%16 == 0 {
				want = append(want, fmt.Sprint("after ", from))
			}
			if from < 32 {
				want = append(want, "after 32")
			}
			if got := c.seen[:len(c.seen)-1]; !slices.Equal(got, want) {
				t.Errorf("from %d, done %v: %v, want %v", from, done, got, want)
			}
		}
	}
	// Whether it was due there is a matter of the batch of then: 12 images were passed
	// by the step before.
	c := newCounter(12)
	c.Done = func(int64) bool { return false }
	o.Hooks, o.From, o.Settings.Batch = []Hook{c.Hook}, 16, 8
	train(t, o)
	if want := []string{"begin 16", "after 24", "after 32", "close 2"}; !slices.Equal(c.seen, want) {
		t.Errorf("in batches of 8: %v, want %v", c.seen, want)
	}
}

// TestHooksInTurn: hooks are begun and called in their order, and closed in the reverse of
// it; of those before one that cannot begin, all are closed.
func TestHooksInTurn(t *testing.T) {
	s := brief()
	s.Images, s.SampleCount = 4, 0
	o, _ := options(t, s, t.TempDir())
	for _, c := range []struct{ fails, want string }{
		{"c", "begin a, begin b, begin c, close b, close a"},
		{"", "begin a, begin b, begin c, after a, after b, after c, close c, close b, close a"},
	} {
		var seen []string
		o.Hooks = nil
		for _, name := range []string{"a", "b", "c"} {
			did := func(what string) error {
				if seen = append(seen, what+" "+name); what == "begin" && name == c.fails {
					return errors.New("broken")
				}
				return nil
			}
			o.Hooks = append(o.Hooks, Hook{
				Name: name, Begin: func(Progress) error { return did("begin") },
				After: func(context.Context, Progress) error { return did("after") }, Close: func() error { return did("close") },
			})
		}
		if _, err := Run(t.Context(), o); (err != nil) != (c.fails != "") || strings.Join(seen, ", ") != c.want {
			t.Errorf("where %q fails: %v, want %s; %v", c.fails, seen, c.want, err)
		}
	}
}

// TestPauses: the time that a hook takes is that of steps unless it says otherwise.
func TestPauses(t *testing.T) {
	for _, pauses := range []bool{false, true} {
		r := &run{group: collective.Alone, settings: long(), state: State{Images: 80}, meter: newMeter(State{})}
		r.meter.last = r.meter.last.Add(-time.Hour)
		r.all = []Hook{{Name: "slow", Every: 1, Pauses: pauses, After: func(context.Context, Progress) error { return nil }}}
		if err := r.after(t.Context()); err != nil {
			t.Fatal(err)
		}
		rate := r.meter.status(Progress{State: State{Images: 160}}, 1000).ImagesPerSecond
		if pauses != (rate > 1) {
			t.Errorf("pauses %v: %g images/s behind an hour", pauses, rate)
		}
	}
}

// TestPausesLeft: the time left has the pauses to come, that behind the last step among
// them, as long as the last one was.
func TestPausesLeft(t *testing.T) {
	s := long()
	s.Images = 1000
	r := &run{settings: s, meter: newMeter(State{})}
	after := func(context.Context, Progress) error { return nil }
	r.all = []Hook{{Name: "slow", Every: 300, Pauses: true, After: after}, {Name: "last", Pauses: true, After: after}, {Name: "quick", Every: 1, After: after}}
	r.meter.pause("slow", 300, 10*time.Second)
	for before, want := range map[int64]time.Duration{0: 40, 290: 40, 300: 30, 899: 20, 900: 10, 999: 10} {
		if got := r.pauses(Progress{Before: before}); got != want*time.Second {
			t.Errorf("behind %d images: %v, want %d s", before, got, want)
		}
	}
	r.meter.pause("last", 1000, time.Second)
	if got := r.pauses(Progress{Before: 950}); got != 11*time.Second {
		t.Errorf("with one at the end alone: %v", got)
	}
}

// TestHookFails: an error of a hook ends the run with the hook's name. After one of Check
// the step has not happened; after others it is saved.
func TestHookFails(t *testing.T) {
	broken := errors.New("broken")
	fail := func(p Progress) error {
		if p.Images == 12 || p.Steps == 0 {
			return broken
		}
		return nil
	}
	for name, c := range map[string]struct {
		hook  Hook
		saved []int64
	}{
		"begin": {Hook{Begin: fail}, nil},
		"check": {Hook{Check: fail}, []int64{8}},
		"after": {Hook{Every: 4, After: func(_ context.Context, p Progress) error { return fail(p) }}, []int64{8, 12}},
		"close": {Hook{Close: func() error { return broken }}, []int64{8, 16}},
		"store": {Hook{Keep: &Keep{File: "kept", Store: func() ([]byte, error) { return nil, broken }}}, nil},
	} {
		s := brief()
		s.Images, s.SampleCount = 16, 0
		o, _ := options(t, s, t.TempDir())
		c.hook.Name = name
		o.Hooks = []Hook{c.hook}
		_, err := Run(t.Context(), o)
		if !errors.Is(err, broken) || strings.Count(err.Error(), "broken") != 1 || !strings.Contains(err.Error(), name+": broken") {
			t.Errorf("%s: %v", name, err)
		}
		if got := saved(t, o.Dir); !slices.Equal(got, c.saved) {
			t.Errorf("%s: checkpoints %v, want %v", name, got, c.saved)
		}
	}
}

// TestHookNames: each hook has a name of its own, and a file that the checkpoint has not
// and that lies where the others do.
func TestHookNames(t *testing.T) {
	s := brief()
	s.Images, s.SampleCount, s.TimeSampler, s.Weighting = 8, 0, "adaptive:bins=8", "sigmoid"
	o, _ := options(t, s, t.TempDir())
	train(t, o)
	wrong := map[string][]Hook{
		`hook ""`: {{}}, `hook "grids"`: {{Name: "grids"}}, `hook "a"`: {{Name: "a"}, {Name: "a"}},
		`hook "b" keeps "X"`: {{Name: "a", Keep: &Keep{File: "x"}}, {Name: "b", Keep: &Keep{File: "X"}}},
	}
	names := []string{"", ".", "..", "/", "/x", "sub/x", "../x", "x/", "State.json"}
	for name := range files(t, o.Dir) {
		if dir, file := filepath.Split(name); dir == model.TrainingDir+"/" {
			names = append(names, file)
		}
	}
	if len(names) < 9+5 {
		t.Fatalf("a checkpoint has only %q", names)
	}
	for _, name := range append(names, filepath.Base(rundir.SettingsFile)) {
		wrong[fmt.Sprintf("hook %q keeps %q", "c", name)] = []Hook{{Name: "c", Keep: &Keep{File: name, Store: func() ([]byte, error) { return nil, nil }}}}
	}
	for what, hooks := range wrong {
		o.Hooks = hooks
		if _, err := Run(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), what) {
			t.Errorf("want an error of %s: %v", what, err)
		}
	}
}

// TestKept: what a hook keeps comes back as it was, whatever it is; what is too long to
// be read again is not written, nor read.
func TestKept(t *testing.T) {
	s := brief()
	s.Images, s.SampleCount = 8, 0
	o, _ := options(t, s, t.TempDir())
	kept := bytes.Repeat([]byte("{\xff\r\n\x00"), 7<<20) // 35 MiB, and no JSON
	var back []byte
	keep := &Keep{
		File:  "kept.bin",
		Store: func() ([]byte, error) { return kept, nil },
		Load:  func(data []byte) (func() error, error) { return func() error { back = data; return nil }, nil },
	}
	o.Hooks = []Hook{{Name: "keeper", Keep: keep}}
	train(t, o)
	if train(t, o); !bytes.Equal(back, kept) {
		t.Errorf("%d bytes come back, want the %d that were kept", len(back), len(kept))
	}
	path := filepath.Join(o.Dir, model.CheckpointsDir, "8", model.TrainingDir, "kept.bin")
	if err := os.Truncate(path, MaxKept+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), o); err == nil || strings.Count(err.Error(), path) != 1 || !strings.Contains(err.Error(), "longer than 1024 MiB") {
		t.Errorf("a longer file: %v", err)
	}
	o.Dir, kept = t.TempDir(), make([]byte, MaxKept+1)
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), `hook "keeper" keeps 1073741825 bytes`) {
		t.Errorf("more bytes: %v", err)
	}
}

// TestHookAsked: whoever asks for a checkpoint has what hooks make now and then.
func TestHookAsked(t *testing.T) {
	s := brief()
	s.SampleCount = 0
	o, _ := options(t, s, t.TempDir())
	c := newCounter(0)
	requests := make(chan os.Signal, 1)
	requests <- syscall.SIGTERM
	o.Hooks, o.SaveNow = []Hook{c.Hook}, requests
	train(t, o)
	if want := []string{"begin 0", "after 4", "after 32", "close 2"}; !slices.Equal(c.seen, want) {
		t.Errorf("%v, want %v", c.seen, want)
	}
}

// sink is told of statuses, and fails at one of them.
type sink struct {
	record.Nothing
	began  int64
	got    []record.Status
	said   []record.Evaluation
	failed error
	closed bool
}

func (s *sink) Begin(images int64) error { s.began = images; return nil }
func (s *sink) Status(t record.Status) error {
	s.got = append(s.got, t)
	return s.failed
}
func (s *sink) Evaluation(e record.Evaluation) error {
	s.said = append(s.said, e)
	return s.failed
}
func (s *sink) Close() error { s.closed = true; return nil }

// TestSinksOfACaller: they are told what the user is, and may end the run.
func TestSinksOfACaller(t *testing.T) {
	s := brief()
	s.Images, s.SampleCount = 16, 0
	o, rec := options(t, s, t.TempDir())
	to := &sink{}
	o.Sinks = []record.Sink{to}
	train(t, o)
	if fmt.Sprint(to.got) != fmt.Sprint(rec.statuses) || to.began != 0 || !to.closed {
		t.Errorf("%+v, the user was told %v", to, rec.statuses)
	}
	o.Settings.Images = 32
	to = &sink{failed: errors.New("no more")}
	o.Sinks = []record.Sink{to}
	if _, err := Run(t.Context(), o); !errors.Is(err, to.failed) || to.began != 16 || len(to.got) != 1 || !to.closed {
		t.Errorf("%v; %+v", err, to)
	}
	if got := saved(t, o.Dir); !slices.Contains(got, 20) {
		t.Errorf("checkpoints %v, want the step before the error", got)
	}
}

// judge is a hook that is told a value after so many images, and keeps the best.
func judge(every int64, values map[int64]float64, kept *[]int64) Hook {
	best := math.Inf(1)
	return Hook{Name: "judge", Every: every, Late: true, After: func(_ context.Context, p Progress) error {
		v := values[p.Images]
		if v >= best {
			return nil
		}
		is, err := p.KeepBest(model.Best{Metric: "fd", Value: v, Images: p.Images})
		if is {
			best = v
			*kept = append(*kept, p.Images)
		}
		return errors.Join(err, p.Record(record.Evaluation{Images: p.Images, Values: []record.Value{{Name: "fd", Value: v}}, Of: "values"}))
	}}
}

// TestKeepBest: a state that a hook calls the best is saved, once, and stays when older
// ones go; what was said of it stands in the statistics and the log, and reaches the user
// and the sinks.
func TestKeepBest(t *testing.T) {
	s := brief()
	s.SampleCount, s.Keep, s.CheckpointEvery = 0, 1, 16
	o, rec := options(t, s, t.TempDir())
	to := &sink{}
	var kept []int64
	values := map[int64]float64{4: 9, 8: 3, 12: 5, 16: 2, 20: 1, 24: 4, 28: 1, 32: 1}
	o.Hooks, o.Sinks = []Hook{judge(4, values, &kept)}, []record.Sink{to}
	res, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if want := (model.Best{Metric: "fd", Value: 1, Images: 20}); res.Best == nil || *res.Best != want {
		t.Errorf("the best is %+v, want %+v", res.Best, want)
	}
	if got := saved(t, o.Dir); !slices.Equal(got, []int64{20, 32}) || !slices.Equal(kept, []int64{4, 8, 16, 20}) || !slices.Equal(rec.checkpoints, []int64{4, 8, 16, 20, 32}) {
		t.Errorf("checkpoints %v are left of %v, and %v were the best", got, rec.checkpoints, kept)
	}
	if _, err := model.Read(o.Dir+"@best", model.EMA); err != nil {
		t.Error(err)
	}
	o.Settings.Images = 36
	o.Hooks = []Hook{{Name: "again", Begin: func(p Progress) error {
		for images, want := range map[int64]bool{16: false, 20: true} {
			if kept, err := p.KeepBest(model.Best{Metric: "fd", Value: 1, Images: images}); err != nil || kept != want {
				t.Errorf("%d of before is kept: %v, %v", images, kept, err)
			}
		}
		return nil
	}}}
	train(t, o)
	if got := saved(t, o.Dir); !slices.Equal(got, []int64{20, 36}) {
		t.Errorf("checkpoints %v are left", got)
	}
	stats, err := rundir.Stats(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(o.Dir, rundir.LogFile))
	if err != nil {
		t.Fatal(err)
	}
	if got := record.Evaluations(stats, 32); len(got) != 4 || got[3].Values[0].Value != 1 || len(rec.evaluations) != 4 || len(to.said) != 4 || !strings.Contains(string(text), "evaluation after 20 images") {
		t.Errorf("%v in the statistics, the user was told %v, a sink %v; the log is\n%s", got, rec.evaluations, to.said, text)
	}
}

// TestBestOnADiskThatFails: a checkpoint that could not be saved, or written down as the
// best, is not kept, and ends no run.
func TestBestOnADiskThatFails(t *testing.T) {
	for _, name := range []string{model.CheckpointsDir, model.BestFile} {
		s := brief()
		s.SampleCount, s.CheckpointEvery = 0, 0
		o, rec := options(t, s, t.TempDir())
		full, failing := errors.New("full"), true
		o.Disk = durable.Disk{Rename: func(old, new string) error {
			if failing && strings.Contains(new, name) {
				return full
			}
			return os.Rename(old, new)
		}}
		var kept []int64
		h := judge(8, map[int64]float64{8: 3, 16: 2, 24: 4, 32: 4}, &kept)
		o.Hooks = []Hook{h, {Name: "repair", Every: 16, After: func(context.Context, Progress) error { failing = false; return nil }}}
		res, err := Run(t.Context(), o)
		if err != nil || !slices.Equal(kept, []int64{16}) || res.Best == nil || res.Best.Images != 16 || len(rec.notes) != 1 || !strings.Contains(rec.notes[0], "the run goes on") {
			t.Errorf("%s: %v were the best, the run says %+v, and told %q; %v", name, kept, res.Best, rec.notes, err)
		}
	}
}

// TestHookOnTheMemory: a hook has plans of its own over the run's buffers, and tells of
// itself; the run says what it takes.
func TestHookOnTheMemory(t *testing.T) {
	s := brief()
	s.Images, s.SampleCount, s.Recompute = 8, 0, "norms"
	o, rec := options(t, s, t.TempDir())
	train(t, o)
	without := rec.start
	var step *generate.Step
	sampled := 0
	o.Dir = t.TempDir()
	o.Hooks = []Hook{{
		Name: "sampling", Bytes: 12345, About: func() [][2]string { return [][2]string{{"sampling", "of 64 images"}} },
		Compile: func(of *Step) (plan.Sizes, error) {
			var err error
			step, err = generate.NewStep(generate.Options{
				Network: of.Network, Height: of.Height, Width: of.Width, Batch: 64, Calls: 2, Target: of.Target, Precision: of.Precision, Weights: of.Buffers.EMA,
			})
			return step.Sizes(), err
		},
		After: func(ctx context.Context, p Progress) error {
			g, err := step.Load(o.Device, p.Trainer.Memory)
			if err != nil {
				return err
			}
			method, err := sampler.Get("euler")
			if err != nil {
				return err
			}
			table, err := method.Plan(p.Trainer.Objective.Process(), sampler.Options{Steps: 2})
			if err != nil {
				return err
			}
			err = g.Run(ctx, generate.Request{Table: table, Seeds: []int64{1, 2, 3}, Classes: []int{0, 1, 2}, Guidance: generate.Guidance{Scale: 1}}, func(int, generate.Sample) error { sampled++; return nil })
			return errors.Join(err, g.Free())
		},
	}}
	train(t, o)
	if sampled != 3 || rec.start.BesideBytes != 12345 || rec.start.PlannedBytes <= without.PlannedBytes || rec.start.KeptBytes < rec.start.PlannedBytes {
		t.Errorf("%d images; %d bytes beside %d, %d without recomputation, where %d are planned without the hook", sampled, rec.start.BesideBytes, rec.start.PlannedBytes, rec.start.KeptBytes, without.PlannedBytes)
	}
	if got := rec.start.About[len(rec.start.About)-1]; got != [2]string{"sampling", "of 64 images"} {
		t.Errorf("told %q", got)
	}
}

// TestCoarseClock: a step that is over before the clock ticks has a rate that JSON can say.
func TestCoarseClock(t *testing.T) {
	m := newMeter(State{})
	m.last = time.Now().Add(time.Hour) // not a tick later
	s := m.status(Progress{State: State{Images: 4}}, 8)
	if math.IsInf(s.ImagesPerSecond, 0) || s.ImagesPerSecond <= 0 || s.Left < 0 {
		t.Fatalf("%g images a second, %v left", s.ImagesPerSecond, s.Left)
	}
}
