package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/engine/device"
	"fluxion/engine/model"
	"fluxion/engine/record"
	"fluxion/engine/rundir"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
	"fluxion/nets"
)

// recorder is an observer that may act on what it is told.
type recorder struct {
	start       Start
	statuses    []record.Status
	checkpoints []int64
	grids       []string
	stuck       []Stuck
	evaluations []record.Evaluation
	notes       []string
	onSave      func()
	onStart     func()
	onNote      func(string)
	unread      error
}

func (r *recorder) Start(s Start) {
	r.start = s
	if r.onStart != nil {
		r.onStart()
	}
}
func (r *recorder) Status(s record.Status) { r.statuses = append(r.statuses, s) }
func (r *recorder) Checkpoint(_ string, images int64) {
	r.checkpoints = append(r.checkpoints, images)
	if r.onSave != nil {
		r.onSave()
	}
}
func (r *recorder) Samples(path string, _ int64) { r.grids = append(r.grids, path) }
func (r *recorder) Stuck(s Stuck)                { r.stuck = append(r.stuck, s) }
func (r *recorder) Evaluation(e record.Evaluation) {
	r.evaluations = append(r.evaluations, e)
}
func (r *recorder) Note(text string) {
	r.notes = append(r.notes, text)
	if r.onNote != nil {
		r.onNote(text)
	}
}
func (r *recorder) Err() error { return r.unread }

func small() Settings {
	s := Default()
	s.Preset, s.Size, s.Images, s.Batch = "micro", data.Square(16), 96, 8
	s.CheckpointEvery, s.SampleEvery, s.SampleCount, s.SampleSteps = 24, 48, 10, 2
	return s
}

func open(t testing.TB, s Settings) data.Dataset {
	t.Helper()
	d, err := data.Open(s.Data, data.Options{Size: s.Size, Fit: data.Fit(s.Fit), Channels: s.Channels})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func cpuDevice(t testing.TB, threads int) device.Device {
	t.Helper()
	d, err := device.NewCPU(threads, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func options(t testing.TB, s Settings, dir string) (Options, *recorder) {
	r := &recorder{}
	return Options{Settings: s, Dir: dir, Data: open(t, s), Device: cpuDevice(t, 1), Observer: r}, r
}

// elapsed is what runs of the same bits differ in.
var elapsed = regexp.MustCompile(`"elapsed_seconds": [0-9.e+-]+`)

// files returns the bytes of every file of the final checkpoint, by name, without
// the time that the run took.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	newest, err := model.Newest(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	err = filepath.WalkDir(newest, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, _ := filepath.Rel(newest, path)
			all[name], err = os.ReadFile(path)
			if filepath.Base(name) == filepath.Base(rundir.SettingsFile) {
				delete(all, name) // how often to save is another
				return err
			}
			if filepath.Base(name) == stateFile {
				all[name] = elapsed.ReplaceAll(all[name], []byte(`"elapsed_seconds": 0`))
			}
		}
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	return all
}

func same(t *testing.T, got, want map[string][]byte) {
	t.Helper()
	for name, data := range want {
		if !bytes.Equal(got[name], data) {
			t.Errorf("%s has other bytes", name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
}

// TestResumeToTheBit interrupts a run again and again and compares with one that
// was left alone, with another number of threads, too.
func TestResumeToTheBit(t *testing.T) {
	for accumulate, precision := range map[int]string{1: "fp32", 2: "bf16"} {
		if testing.Short() && accumulate == 1 {
			continue
		}
		s := small()
		s.Accumulate, s.Precision = accumulate, precision
		if accumulate > 1 {
			s.Schedule, s.Output, s.TimeSampler, s.Weighting = "cosine", "edm", "adaptive:bins=20+low-discrepancy", "sigmoid"
			s.SelfConditioning = 0.5
		}
		whole := t.TempDir()
		o, rec := options(t, s, whole)
		o.Device = cpuDevice(t, 2)
		res, err := Run(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		if res.Images != s.Images || res.Steps != s.Images/int64(s.Batch) {
			t.Errorf("result %+v", res)
		}
		if !slices.Equal(rec.checkpoints, []int64{24, 48, 72, 96}) || len(rec.grids) != 3 {
			t.Errorf("checkpoints %v, grids %v", rec.checkpoints, rec.grids)
		}
		want := files(t, whole)

		cut := t.TempDir()
		s.CheckpointEvery = int64(s.Batch) // what is saved is told a step later
		o, rec = options(t, s, cut)
		o.Device = cpuDevice(t, 3)
		cause := errors.New("enough")
		for stops := 0; ; stops++ {
			ctx, cancel := context.WithCancelCause(context.Background())
			rec.onSave = func() { cancel(cause) }
			res, err := Run(ctx, o)
			cancel(nil)
			if err == nil {
				if stops < 3 || res.Images != s.Images {
					t.Errorf("stopped %d times, then %+v", stops, res)
				}
				break
			}
			if !errors.Is(err, cause) {
				t.Fatal(err)
			}
		}
		same(t, files(t, cut), want)
		if res, err := Run(context.Background(), o); err != nil || !res.AlreadyRun {
			t.Errorf("a finished run: %+v, %v", res, err)
		}
	}
}

// TestHalfWrittenIsIgnored leaves what a killed process would leave.
func TestHalfWrittenIsIgnored(t *testing.T) {
	s := small()
	dir := t.TempDir()
	o, _ := options(t, s, dir)
	ctx, cancel := context.WithCancel(context.Background())
	o.Observer.(*recorder).onSave = cancel
	if _, err := Run(ctx, o); err == nil {
		t.Fatal("the run was not stopped")
	}
	left := filepath.Join(dir, model.CheckpointsDir, durable.Temporary+"123")
	if err := os.MkdirAll(filepath.Join(left, model.WeightsDir), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Error("what a killed run left is still there")
	}
	all, err := model.Checkpoints(dir)
	if err != nil || len(all) != s.Keep {
		t.Errorf("%d checkpoints, want %d (%v)", len(all), s.Keep, err)
	}
}

// TestCheckpointFails: a checkpoint that cannot be written stops the run with the
// reason, though it is written beside the loop.
func TestCheckpointFails(t *testing.T) {
	s := small()
	dir := t.TempDir()
	o, rec := options(t, s, dir)
	rec.onSave = func() {
		path := filepath.Join(dir, model.CheckpointsDir)
		if err := errors.Join(os.Rename(path, path+".away"), os.WriteFile(path, nil, 0o666)); err != nil {
			t.Error(err)
		}
		rec.onSave = nil
	}
	if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), model.CheckpointsDir) {
		t.Errorf("the run ends with %v", err)
	}
}

func TestFolderRefusals(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	s := small()
	dir := t.TempDir()
	o, _ := options(t, s, dir)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	o.Settings.Seed++
	_, err := Run(context.Background(), o)
	if changed := (*ChangedError)(nil); !errors.As(err, &changed) || !strings.Contains(err.Error(), "seed was 1, now 2") {
		t.Errorf("another seed: %v", err)
	}
	o.Settings.Seed--
	o.Settings.Images += 8
	o.Settings.Threads = 2
	rec := o.Observer.(*recorder)
	if res, err := Run(context.Background(), o); err != nil || res.Images != s.Images+8 || len(rec.start.Changes) != 2 {
		t.Errorf("a longer run: %+v, %v, changes %v", res, err, rec.start.Changes)
	}
	held, err := rundir.Open(dir, false, durable.Disk{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Run(context.Background(), o)
	if busy := (*rundir.InUseError)(nil); !errors.As(err, &busy) {
		t.Errorf("a folder in use: %v", err)
	}
	held.Close()
	o.Settings.Seed, o.Fresh = 5, true
	if res, err := Run(context.Background(), o); err != nil || res.AlreadyRun {
		t.Errorf("fresh: %+v, %v", res, err)
	}
}

// TestCorruptCheckpoint: every file that is cut short is named.
func TestCorruptCheckpoint(t *testing.T) {
	s := small()
	s.Images = 16
	dir := t.TempDir()
	o, _ := options(t, s, dir)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	o.Settings.Images = 32
	for name, data := range files(t, dir) {
		if strings.HasSuffix(name, "index.json") || strings.HasPrefix(name, "scheduler") || strings.HasSuffix(name, model.ClassesFile) {
			continue // not needed to go on
		}
		path := filepath.Join(dir, model.CheckpointsDir, "16", name)
		if err := os.WriteFile(path, data[:len(data)/2], 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), filepath.Base(name)) || strings.Contains(err.Error(), "\n") {
			t.Errorf("half of %s: %v", name, err)
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Run(context.Background(), o); err != nil {
		t.Error(err)
	}
}

func TestNotFinite(t *testing.T) {
	s := small()
	s.LR, s.Warmup, s.Clip, s.Images = 1e30, 0, 0, 960
	dir := t.TempDir()
	o, _ := options(t, s, dir)
	_, err := Run(context.Background(), o)
	bad := (*NotFiniteError)(nil)
	if !errors.As(err, &bad) || bad.Where == "" {
		t.Fatalf("a learning rate of 1e30: %v", err)
	}
	t.Log(err)
}

// newTrainer returns a trainer of micro on a device, with the batches of a step.
func newTrainer(t *testing.T, accumulate, threads int, precision number.Type) (*Trainer, []data.Batch) {
	t.Helper()
	return newTrainerOf(t, accumulate, threads, precision, func(*Settings) {})
}

// given makes settings under which images are given the network's own estimate in this share.
func given(share float64) func(*Settings) {
	return func(s *Settings) { s.SelfConditioning = share }
}

// newTrainerOf returns one under settings that are changed.
func newTrainerOf(t *testing.T, accumulate, threads int, precision number.Type, change func(*Settings)) (*Trainer, []data.Batch) {
	t.Helper()
	settings := small()
	settings.Batch, settings.TimeSampler = 8, "uniform"
	change(&settings)
	objective, err := NewObjective(settings, nil)
	if err != nil {
		t.Fatal(err)
	}
	network, err := Network("micro", objective.Fit(nets.Spec{Height: 16, Width: 16, Channels: 3, Classes: 10}))
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStep(StepOptions{
		Network: network, Objective: objective, Height: 16, Width: 16, Batch: 8 / accumulate, Accumulate: accumulate, Target: device.NewCPUTarget(threads), Precision: precision,
		Seed: settings.Seed, LabelDrop: settings.LabelDrop, NullClass: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	d := cpuDevice(t, threads)
	memory, err := d.Alloc(s.Sizes())
	if err != nil {
		t.Fatal(err)
	}
	tr, err := s.Load(d, memory)
	if err != nil {
		t.Fatal(err)
	}
	weights := make([]float32, nets.FlatSize(s.Trained.Params))
	nets.Initialise(s.Trained.Params, 3, weights)
	for i := range weights { // no layer is silent
		weights[i] += float32(i%7) * 0.01
	}
	if err := errors.Join(memory.Write(s.Buffers.Parameters, 0, weights), tr.Refresh()); err != nil {
		t.Fatal(err)
	}
	set := open(t, small())
	var batches []data.Batch
	for m := range accumulate {
		b := data.Batch{Pixels: data.NewPixels(data.Bytes, 8/accumulate*16*16*3)}
		for i := range 8 / accumulate {
			at := m*8/accumulate + i
			e := data.Example{Pixels: b.Pixels.Slice(i*16*16*3, (i+1)*16*16*3)}
			if err := set.Read(at, &e); err != nil {
				t.Fatal(err)
			}
			b.Classes, b.Indices = append(b.Classes, int32(e.Class)), append(b.Indices, int64(at))
		}
		batches = append(batches, b)
	}
	return tr, batches
}

// long is a run whose learning rate does not fall yet.
func long() Settings {
	s := small()
	s.Images = 1e6
	return s
}

// step returns the loss.
func (t *Trainer) step(test testing.TB, batches []data.Batch, h int64) float64 {
	test.Helper()
	hyper := (&run{settings: long()}).hyper(State{Steps: h, Images: 1000})
	outcome, err := t.Train(hyper, func(i int) error { t.Fill(&batches[i]); return nil })
	if err != nil {
		test.Fatal(err)
	}
	return outcome.Loss
}

// TestStepAllocatesNothing after the first.
func TestStepAllocatesNothing(t *testing.T) {
	for _, precision := range []number.Type{number.Float32, number.BFloat16} {
		tr, batches := newTrainer(t, 1, 1, precision)
		tr.step(t, batches, 0)
		hyper := (&run{settings: long()}).hyper(State{Steps: 1, Images: 1000})
		fill := func(i int) error { tr.Fill(&batches[i]); return nil }
		if n := kerneltest.Allocations(func() { tr.Train(hyper, fill) }); n != 0 {
			t.Errorf("a step in %v allocates %v times", precision, n)
		}
	}
}

// TestPrecision: the loss in bfloat16 stays near that in float32, and no copy of the
// weights is kept for it.
func TestPrecision(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	const steps = 20
	curves := map[number.Type][]float64{}
	for _, precision := range []number.Type{number.Float32, number.BFloat16} {
		tr, batches := newTrainer(t, 1, 2, precision)
		for i := range int64(steps) {
			curves[precision] = append(curves[precision], tr.step(t, batches, i))
		}
		if precision == number.Float32 {
			continue
		}
		if n := tr.Sizes()[tr.Buffers.Parameters.Copy]; n > 0 {
			t.Errorf("a copy of the weights has %d bytes", n)
		}
	}
	for i, want := range curves[number.Float32] {
		if got := curves[number.BFloat16][i]; got == want || !(math.Abs(got-want) <= 2e-3*want) {
			t.Errorf("step %d: loss %v in bfloat16, %v in float32", i, got, want)
		}
	}
	if c := curves[number.Float32]; c[steps-1] > 0.9*c[0] {
		t.Errorf("the loss went from %v to %v: nothing was learnt", c[0], c[steps-1])
	}
}

// TestResident: images taken from a data set that lies on the device make the step
// of the same images brought with it, mirrored ones, too.
func TestResident(t *testing.T) {
	streamed, batches := newTrainer(t, 1, 2, number.Float32)
	options := streamed.StepOptions
	options.Resident, options.Flip = 8, true
	s, err := NewStep(options)
	if err != nil {
		t.Fatal(err)
	}
	d := cpuDevice(t, 2)
	memory, err := d.Alloc(s.Sizes())
	if err != nil {
		t.Fatal(err)
	}
	resident, err := s.Load(d, memory)
	if err != nil {
		t.Fatal(err)
	}
	weights := make([]float32, nets.FlatSize(s.Trained.Params))
	const size, row = 16 * 16 * 3, 16 * 3
	set := slices.Clone(batches[0].Pixels.Bytes)
	b := data.Batch{Classes: batches[0].Classes, Indices: batches[0].Indices}
	for i := range 8 { // image i of the batch is image 7−i of the set, every other one mirrored
		b.Sources, b.Flips = append(b.Sources, int64(7-i)), append(b.Flips, i%2 == 1)
		to := set[(7-i)*size:][:size]
		for j := range to {
			x := j % row / 3
			if i%2 == 1 {
				x = 15 - x
			}
			to[j] = batches[0].Pixels.Bytes[i*size+j/row*row+3*x+j%3]
		}
	}
	if err := errors.Join(
		streamed.Memory.Read(streamed.Buffers.Parameters, 0, weights), memory.Write(s.Buffers.Parameters, 0, weights),
		memory.WriteBytes(s.Buffers.Images, 0, set),
	); err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		want, got := streamed.step(t, batches, i), resident.step(t, []data.Batch{b}, i)
		if got != want {
			t.Errorf("step %d: loss %v, with images brought along %v", i, got, want)
		}
	}
}

// TestAccumulation: four micro-batches make the step of the whole batch.
func TestAccumulation(t *testing.T) {
	whole, b1 := newTrainer(t, 1, 2, number.Float32)
	parts, b4 := newTrainer(t, 4, 2, number.Float32)
	whole.step(t, b1, 0)
	parts.step(t, b4, 0)
	a, b := moment(t, whole), moment(t, parts)
	worst, scale := 0.0, 0.0
	for i, m := range a {
		worst, scale = max(worst, math.Abs(float64(m-b[i]))), max(scale, float64(m))
	}
	if worst > 1e-5*scale {
		t.Errorf("accumulated gradients are off by %.2g of %.2g", worst, scale)
	}
}

func moment(t *testing.T, tr *Trainer) []float32 {
	t.Helper()
	m := make([]float32, nets.FlatSize(tr.Trained.Params))
	if err := tr.Memory.Read(tr.Buffers.States[0], 0, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMemoryAsPlanned: the device holds what the plans announced, no more.
func TestMemoryAsPlanned(t *testing.T) {
	for _, precision := range []number.Type{number.Float32, number.BFloat16} {
		tr, _ := newTrainer(t, 1, 1, precision)
		if held, want := tr.Memory.Sizes().Bytes(), tr.Sizes().Bytes(); held != want {
			t.Errorf("%v: %d bytes held, %d announced", precision, held, want)
		}
	}
}

func TestReadModel(t *testing.T) {
	s := small()
	s.Images = 16
	dir := t.TempDir()
	o, _ := options(t, s, dir)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	for _, weights := range []string{model.EMA, model.Raw} {
		m, err := model.Read(dir, weights)
		if err != nil {
			t.Fatal(err)
		}
		if !m.Guided || len(m.Classes) != 10 || m.Process.Schedule.Name() != "fm" {
			t.Errorf("%+v", m)
		}
	}
}
