package train

import (
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
	"fluxion/engine/model"
	"fluxion/nets"
)

// labelledSet is pictures with numbers, as many for each as a line of the table has.
func labelledSet(t *testing.T, lines ...string) data.Dataset {
	t.Helper()
	dir := t.TempDir()
	table := ""
	for i, line := range lines {
		file, err := data.EncodePNG(slices.Repeat([]byte{byte(20 * i), byte(255 - 20*i), 90}, 8*8), 8, 8, 3, nil)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.png", i)), file, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		if line != "" {
			table += fmt.Sprintf("%02d.png,%s\n", i, line)
		}
	}
	path := filepath.Join(dir, "l.csv")
	if err := os.WriteFile(path, []byte(table), 0o666); err != nil {
		t.Fatal(err)
	}
	d, err := data.Open(dir, data.Options{Labels: data.NumberLabels + ":" + path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func labelledRun(t *testing.T, d data.Dataset, dir string, images int64) (Options, *recorder) {
	s := small()
	s.Data, s.Size, s.Images, s.CheckpointEvery = "numbers", data.Square(8), images, 8
	r := &recorder{}
	return Options{Settings: s, Dir: dir, Data: d, Device: cpuDevice(t, 1), Observer: r}, r
}

// TestLabels: a run that is told numbers, one or two, resumes to the bit; a model of it knows
// which, over which ranges.
func TestLabels(t *testing.T) {
	for _, lines := range [][]string{{"3", "5", "1", "2.5", "", "4"}, {"0,1", "3,0", "1,1", "0,0", "2,1", ""}} {
		d := labelledSet(t, lines...)
		whole, cut := t.TempDir(), t.TempDir()
		o, rec := labelledRun(t, d, whole, 48)
		if _, err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(rec.start.Numbers, "class_embed_type") || len(rec.grids) == 0 {
			t.Errorf("the start says %q, and there are %d grids", rec.start.Numbers, len(rec.grids))
		}
		o, rec = labelledRun(t, d, cut, 48)
		ctx, cancel := context.WithCancelCause(t.Context())
		rec.onSave = func() { cancel(errors.New("enough")) }
		if _, err := Run(ctx, o); err == nil {
			t.Fatal("the run was not stopped")
		}
		rec.onSave = nil
		if _, err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		same(t, files(t, cut), files(t, whole))
		m, err := model.Read(cut, model.EMA)
		if err != nil {
			t.Fatal(err)
		}
		of := data.NumbersOf(d)
		if l := m.Labels; l == nil || !slices.Equal(l.From, of.From) || !slices.Equal(l.To, of.To) || !m.Guided || m.Untrained || len(l.Examples) != 5 {
			t.Errorf("the model is told %+v, guided %v", m.Labels, m.Guided)
		}
	}
}

// TestLabelsGrow: a run goes on with the ranges that it began with, though the data have grown,
// and not with other numbers.
func TestLabelsGrow(t *testing.T) {
	dir := t.TempDir()
	o, _ := labelledRun(t, labelledSet(t, "1", "2", "3", "4"), dir, 16)
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	o, rec := labelledRun(t, labelledSet(t, "1", "2", "3", "4", "9"), dir, 32)
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(rec.start.Numbers, "1 to 4;") {
		t.Errorf("the start tells of %s", rec.start.Numbers)
	}
	if m, err := model.Read(dir, model.EMA); err != nil || m.Labels.To[0] != 4 {
		t.Errorf("labels %+v, %v; want a range up to 4", m.Labels, err)
	}
	o, _ = labelledRun(t, labelledSet(t, "1,2", "2,1"), dir, 48)
	if _, err := Run(t.Context(), o); err == nil {
		t.Error("a run goes on with other numbers")
	}
}

// TestLabelsBeginAnew: a run that begins with a model has its ranges, when it goes on and
// begins anew, too.
func TestLabelsBeginAnew(t *testing.T) {
	from, whole, cut := t.TempDir(), t.TempDir(), t.TempDir()
	o, _ := labelledRun(t, labelledSet(t, "1", "2", "9"), from, 8)
	train(t, o)
	d := labelledSet(t, "1", "2", "4")
	for _, dir := range []string{cut, whole} {
		o, rec := labelledRun(t, d, dir, 32)
		s := &o.Settings
		s.Init, s.Recover, s.SampleCount, s.LRSchedule, s.Decay, s.Warmup, s.LR = from, 2, 0, "constant", 0, 0, 1e-3
		o.Hooks = []Hook{diverging(16, 3e-4)}
		ctx, cancel := context.WithCancelCause(t.Context())
		if dir == cut { // behind the first checkpoint
			rec.onSave = func() { cancel(errors.New("enough")) }
			if _, err := Run(ctx, o); err == nil {
				t.Fatal("the run was not stopped")
			}
			rec.onSave = nil
		}
		cancel(nil)
		train(t, o)
	}
	same(t, files(t, cut), files(t, whole))
	if m, err := model.Read(cut, model.EMA); err != nil || m.Labels.To[0] != 9 {
		t.Errorf("labels %+v, %v; want a range up to 9", m.Labels, err)
	}
}

// TestLabelsPut: an image is told its own numbers, and what stands for none where it has none or
// they are dropped.
func TestLabelsPut(t *testing.T) {
	d := labelledSet(t, "1,10", "", "3,30")
	spec := nets.Spec{Condition: nets.Identity, Embedding: 3}
	n, err := presetNetwork("micro", nil)
	if err == nil {
		n, err = n.Fit(nets.Spec{Height: 8, Width: 8, Channels: 3, Condition: nets.Identity})
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLabels(d, n, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	l.none = l.Told(spec, nil)
	nan := float32(math.NaN())
	b := &data.Batch{Numbers: []float32{3, 10, nan, nan, 1, 30}}
	for i, want := range [][]float32{{1, 0, 1}, {-1, -1, -1}, {0, 1, 0}} {
		got := make([]float32, 3)
		if l.put(spec, b, i, false, got); !slices.Equal(got, want) {
			t.Errorf("image %d is told %v, want %v", i, got, want)
		}
		if l.put(spec, b, i, true, got); !slices.Equal(got, []float32{-1, -1, -1}) {
			t.Errorf("image %d whose numbers are dropped is told %v", i, got)
		}
	}
}

// TestLabelsRefused: what cannot be told numbers says so.
func TestLabelsRefused(t *testing.T) {
	d := labelledSet(t, "1", "2", "3")
	o, _ := labelledRun(t, d, t.TempDir(), 16)
	o.Settings.Preset = "ncsnpp-micro"
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "told no numbers") {
		t.Errorf("error %v of a network that is told no numbers", err)
	}
}
