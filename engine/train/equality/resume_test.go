package equality

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"fluxion/data"
	"fluxion/engine/model"
	"fluxion/engine/record"
	"fluxion/engine/train"
)

// silent is an observer that remembers how the run began.
type silent struct{ start train.Start }

func (s *silent) Start(start train.Start)    { s.start = start }
func (*silent) Status(record.Status)         {}
func (*silent) Checkpoint(string, int64)     {}
func (*silent) Samples(string, int64)        {}
func (*silent) Evaluation(record.Evaluation) {}
func (*silent) Note(string)                  {}
func (*silent) Stuck(train.Stuck)            {}
func (*silent) Err() error                   { return nil }

// runTo trains until this many images were seen and returns the weights.
func runTo(t *testing.T, dir, deviceName string, images int64) (weights []float32, start train.Start) {
	t.Helper()
	return runWith(t, dir, settings(deviceName, images))
}

func runWith(t *testing.T, dir string, s train.Settings) (weights []float32, start train.Start) {
	t.Helper()
	return runOn(t, dir, s, glyphs(t))
}

func runOn(t *testing.T, dir string, s train.Settings, set data.Dataset) (weights []float32, start train.Start) {
	t.Helper()
	o := &silent{}
	d, done := open(t, s.Device)
	defer done()
	if _, err := train.Run(context.Background(), train.Options{Settings: s, Dir: dir, Data: set, Device: d, Observer: o}); err != nil {
		t.Fatal(err)
	}
	m, err := model.Read(dir, model.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return m.Weights, o.start
}

// TestResumeElsewhere: a run goes on where it was not begun, either way, and ends
// as one that stayed.
func TestResumeElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	want, _ := runTo(t, t.TempDir(), "cpu", 8)
	for _, order := range [][2]string{{"cpu", "cuda:0"}, {"cuda:0", "cpu"}} {
		dir := t.TempDir()
		before, _ := runTo(t, dir, order[0], 4)
		got, start := runTo(t, dir, order[1], 8)
		if start.Images != 4 || start.From == "" {
			t.Errorf("%v: the second run began at %d images, from %q", order, start.Images, start.From)
		}
		if !slices.ContainsFunc(start.Changes, func(c train.Change) bool { return c.Key == "device" }) {
			t.Errorf("%v: changes %v do not name the device", order, start.Changes)
		}
		off, moved := distance(got, want), distance(before, want)
		t.Logf("%v: weights differ by %.2g, and moved by %.2g", order, off, moved)
		if !(off <= 1e-3*moved) {
			t.Errorf("%v: weights differ by %.2g where the steps moved them by %.2g", order, off, moved)
		}
	}
}

// TestAdaptiveTimesResume: what a run on a GPU has learnt of its errors is in its
// checkpoint, so that it ends with the same bits; and the CPU learns the same.
func TestAdaptiveTimesResume(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds on the simulator")
	}
	s := settings("cuda:0", 4)
	s.TimeSampler, s.Weighting, s.Accumulate = "adaptive:bins=8,decay=0.5", "sigmoid", 2
	want, _ := runWith(t, t.TempDir(), s)
	dir := t.TempDir()
	s.Images = 2
	before, _ := runWith(t, dir, s)
	s.Images = 4
	if got, _ := runWith(t, dir, s); !slices.Equal(got, want) {
		t.Errorf("weights of a resumed run differ by %.2g", distance(got, want))
	}
	s.Device = "cpu"
	got, _ := runWith(t, t.TempDir(), s)
	if off, moved := distance(got, want), distance(before, want); !(off <= 1e-3*moved) {
		t.Errorf("weights differ by %.2g on the CPU where the steps moved them by %.2g", off, moved)
	}
}

// TestPrecisionChanges: another precision is no reason to refuse, but is told.
func TestPrecisionChanges(t *testing.T) {
	dir := t.TempDir()
	runTo(t, dir, "cpu", 4)
	s, err := train.ReadSettings(dir + "/config.json")
	if err != nil {
		t.Fatal(err)
	}
	if s.Precision != "fp32" {
		t.Errorf("the run folder says precision %q", s.Precision)
	}
	s.Images, s.Precision = 8, "bf16"
	d, done := open(t, "cpu")
	defer done()
	o := &silent{}
	_, err = train.Run(context.Background(), train.Options{Settings: s, Dir: dir, Data: glyphs(t), Device: d, Observer: o})
	if err != nil || !slices.ContainsFunc(o.start.Changes, func(c train.Change) bool { return c.Key == "precision" && c.New == "bf16" && !c.Breaks }) {
		t.Errorf("changes %v, %v", o.start.Changes, err)
	}
	s.Precision = "fp8"
	var setting *train.SettingError
	if _, err := train.Run(context.Background(), train.Options{Settings: s, Dir: dir, Data: glyphs(t), Device: d, Observer: o}); !errors.As(err, &setting) || setting.Key != "precision" {
		t.Errorf("precision fp8: %v", err)
	}
}

func distance(a, b []float32) float64 {
	sum := 0.0
	for i, x := range a {
		d := float64(x) - float64(b[i])
		sum += d * d
	}
	return math.Sqrt(sum)
}

// TestCoupling: noise is paired with images that lie on the GPU as it is on the CPU.
func TestCoupling(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds on the simulator")
	}
	s := settings("cuda:0", 8)
	s.Batch, s.Coupling = 4, "ot-across"
	got, start := runWith(t, t.TempDir(), s)
	if !start.Resident {
		t.Error("the images do not lie on the GPU")
	}
	s.Device = "cpu"
	want, _ := runWith(t, t.TempDir(), s)
	s.Images = 4
	if before, _ := runWith(t, t.TempDir(), s); !(distance(got, want) <= 1e-3*distance(before, want)) {
		t.Errorf("weights differ by %.2g where a step moved them by %.2g", distance(got, want), distance(before, want))
	}
}
