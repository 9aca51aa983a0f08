package train

import (
	"context"
	"errors"
	"fmt"
	"image"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
	"fluxion/engine/device"
	"fluxion/engine/rundir"
	"fluxion/kernels/number"
	"fluxion/nets"
)

// shapedPictures is a folder of pictures of three shapes.
func shapedPictures(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 24 {
		size := []data.Size{{Height: 24, Width: 24}, {Height: 16, Width: 28}, {Height: 30, Width: 18}, {Height: 40, Width: 40}}[i%4]
		pixels := make([]byte, 3*size.Height*size.Width)
		for k := range pixels {
			pixels[k] = byte(k*(i+3)/7 + 40*i)
		}
		datatest.WritePNG(t, filepath.Join(dir, fmt.Sprintf("%02d.png", i)), pixels, size.Height, size.Width, 3, nil)
	}
	return dir
}

// inBuckets are settings of a run on them.
func inBuckets(t *testing.T) Settings {
	s := brief()
	s.Data, s.Size, s.Fit, s.Flip, s.SampleCount = shapedPictures(t), data.Square(8), "buckets:2", true, 2
	s.Images, s.CheckpointEvery, s.SampleEvery, s.Accumulate = 64, 16, 32, 1
	s.LRSchedule, s.Decay = "constant", 0 // so that a shorter run is the beginning of a longer one
	return s
}

// TestShapes: a step of one of several shapes has the bits of a step that has that shape alone, and
// the rest of the weights, moments and averages, however shapes follow one another.
func TestShapes(t *testing.T) {
	const batch = 2
	sizes := []data.Size{{Height: 8, Width: 8}, {Height: 4, Width: 12}, {Height: 12, Width: 4}}
	for _, optimizer := range []string{adamWName, "muon"} {
		for _, precision := range []number.Type{number.Float32, number.BFloat16} {
			o := StepOptions{Batch: batch, Accumulate: 1, Target: device.NewCPUTarget(1), Precision: precision, Seed: 1, NullClass: 10, Optimizer: optimizer, MoreEMAs: []string{"50"}}
			load := func(at data.Size, shapes ...data.Size) *Trainer {
				t.Helper()
				var err error
				o.Height, o.Width, o.Shapes = at.Height, at.Width, shapes
				if o.Network, err = Network("micro", nets.Spec{Height: at.Height, Width: at.Width, Channels: 3, Classes: 10}); err != nil {
					t.Fatal(err)
				}
				s, err := NewStep(o)
				if err != nil {
					t.Fatal(err)
				}
				d := cpuDevice(t, 1)
				m, err := d.Alloc(s.Sizes())
				if err != nil {
					t.Fatal(err)
				}
				tr, err := s.Load(d, m)
				if err == nil {
					err = tr.Initialise(3)
				}
				if err != nil {
					t.Fatal(err)
				}
				return tr
			}
			all := load(sizes[0], sizes[1:]...)
			alone := make([]*Trainer, len(sizes))
			for k, s := range sizes {
				alone[k] = load(s)
			}
			bring := func(from, to *Trainer) (different bool) {
				for i, b := range from.Buffers.stored() {
					values, old := make([]float32, b.Size), make([]float32, b.Size)
					if err := errors.Join(from.Memory.Read(b, 0, values), to.Memory.Read(to.Buffers.stored()[i], 0, old), to.Memory.Write(to.Buffers.stored()[i], 0, values), to.Refresh()); err != nil {
						t.Fatal(err)
					}
					different = different || !slices.Equal(values, old)
				}
				return different
			}
			before := alone[0]
			for step, k := range []int{0, 1, 2, 2, 0, 1} {
				s := sizes[k]
				b := data.Batch{Pixels: data.NewPixels(data.Bytes, batch*3*s.Height*s.Width), Size: s, Classes: []int32{1, 2}, Indices: []int64{int64(2 * step), int64(2*step + 1)}}
				for i := range b.Pixels.Bytes {
					b.Pixels.Bytes[i] = byte(i * (step + 5))
				}
				if alone[k] != before {
					bring(before, alone[k])
				}
				before = alone[k]
				settings := small()
				settings.Optimizer = optimizer
				h := Hyper{Settings: settings, LearningRate: 1e-3, Count: int64(step + 1), EMADecays: [MaxEMAs]float64{0.9, 0.7}}
				want, err := before.Train(h, func(int) error { before.Fill(&b); return nil })
				got, as := all.Train(h, func(int) error { all.Fill(&b); return nil })
				if err != nil || as != nil || got != want {
					t.Fatalf("%s, %v, step %d of %v: %+v, %v; alone %+v, %v", optimizer, precision, step, s, got, as, want, err)
				}
				if bring(before, all) {
					t.Fatalf("%s, %v, step %d of %v: weights, moments or averages have other bits", optimizer, precision, step, s)
				}
			}
		}
	}
}

// TestBuckets: a run on shapes of several goes on to the bit, wherever it is stopped; of more
// processes it has the same bits; another batch would have another order, and is refused.
func TestBuckets(t *testing.T) {
	for _, accumulate := range []int{1, 2} {
		s := inBuckets(t)
		s.Accumulate, s.NoiseScale = accumulate, accumulate > 1
		s.TimeSampler, s.Weighting = "adaptive:bins=8", "sigmoid" // which learns from the errors of images
		whole, stopped := t.TempDir(), t.TempDir()
		o, rec := options(t, s, whole)
		train(t, o)
		if len(data.BucketsOf(o.Data).Sizes) < 3 || rec.start.Resident || !strings.Contains(strings.Join(rec.start.Notes, "; "), "3 buckets") {
			t.Errorf("start %+v", rec.start)
		}
		for images := int64(16); images <= s.Images; images += 16 {
			part := s
			part.Images = images
			o, _ := options(t, part, stopped)
			train(t, o)
		}
		same(t, files(t, stopped), files(t, whole))
		if accumulate == 2 {
			both := t.TempDir()
			trainWith(t, 2, s, both)
			same(t, files(t, both), files(t, whole))
		}
		s.Images, s.Batch = 128, 8
		o, _ = options(t, s, whole)
		var changed *ChangedError
		if _, err := Run(context.Background(), o); !errors.As(err, &changed) || !strings.Contains(err.Error(), "batch was 4, now 8") {
			t.Errorf("with another batch: %v", err)
		}
	}
}

// TestGridsInBuckets: rows of a grid have the most frequent shapes, of paired data each image its own,
// between its input and what it is of; a paired run goes on to the bit.
func TestGridsInBuckets(t *testing.T) {
	for _, c := range []struct {
		n    int
		want image.Point
	}{
		{40, image.Pt(10*12+2, 2+10+8+12+10)}, // four rows, of 8×8, 6×10, 10×6 and 8×8
		{5, image.Pt(2*12+2, 2+10+8+12)},
		{2, image.Pt(1*12+2, 2+10+8)},
	} {
		s := inBuckets(t)
		s.Images, s.SampleEvery, s.SampleSteps, s.SampleCount = 16, 16, 1, c.n
		dir := t.TempDir()
		o, _ := options(t, s, dir)
		train(t, o)
		if got := gridSize(t, dir, 16); got != c.want {
			t.Errorf("a grid of %d images has %v pixels, want %v", c.n, got, c.want)
		}
	}
	s := inBuckets(t)
	s.Data = "paired:" + s.Data + "," + s.Data
	s.SampleCount = 2
	whole, stopped := t.TempDir(), t.TempDir()
	o, _ := options(t, s, whole)
	train(t, o)
	for images := int64(32); images <= s.Images; images += 32 {
		part := s
		part.Images = images
		o, _ := options(t, part, stopped)
		train(t, o)
	}
	same(t, files(t, stopped), files(t, whole))
	sizes := SpreadSizes(o.Data, 2)
	if got, want := gridSize(t, whole, 64), image.Pt(6*(max(sizes[0].Width, sizes[1].Width)+2)+2, max(sizes[0].Height, sizes[1].Height)+4); got != want {
		t.Errorf("the grid of pairs has %v pixels, want %v", got, want)
	}
}

// gridSize is that of a run's grid, in pixels of its images.
func gridSize(t *testing.T, dir string, images int64) image.Point {
	t.Helper()
	path := filepath.Join(dir, "samples", rundir.GridName(images))
	p, err := data.InspectPNG(path)
	if err != nil {
		t.Fatal(err)
	}
	scale := 1
	if text := p.Text[data.ScaleText]; text != "" {
		if scale, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	return image.Pt(p.Width/scale, p.Height/scale)
}

// TestBucketsRefused: what does not go with several shapes is refused before anything is made.
func TestBucketsRefused(t *testing.T) {
	for key, c := range map[string]struct {
		change func(*Settings)
		want   string
	}{
		"coupling": {func(s *Settings) { s.Coupling = "ot" }, "want independent, or fit crop"},
		"augment":  {func(s *Settings) { s.Augment, s.Flip = "edm", false }, "cannot be turned; want fit crop"},
		"fit":      {func(s *Settings) { s.Fit, s.Size = "buckets:1", data.Square(10) }, "as in buckets:2"},
	} {
		s := inBuckets(t)
		c.change(&s)
		o, _ := options(t, s, t.TempDir())
		var e *SettingError
		if _, err := Run(t.Context(), o); !errors.As(err, &e) || e.Key != key || !strings.Contains(e.Problem, c.want) {
			t.Errorf("%s: %v, want %q", key, err, c.want)
		}
	}
}

// TestWithBuckets: the step that nobody says is about an eighth of the side, as a multiple of what
// the network can halve.
func TestWithBuckets(t *testing.T) {
	for _, c := range []struct {
		preset string
		side   int
		fit    string
		want   string
	}{
		{"micro", 16, "buckets", "buckets:2"}, {"tiny", 16, "buckets", "buckets:4"}, {"tiny", 64, "buckets", "buckets:8"}, {"tiny", 72, "buckets", "buckets:12"}, {"tiny", 44, "buckets", "buckets:4"}, {"tiny", 60, "buckets", "buckets:12"},
		{"tiny", 64, "buckets:4", "buckets:4"}, {"tiny", 64, "crop", "crop"}, {"tiny", 0, "buckets", "buckets"}, {"nosuch", 64, "buckets", "buckets"}, {"mlp", 64, "buckets", "buckets:8"},
	} {
		s := Settings{Preset: c.preset, Size: data.Square(c.side), Fit: c.fit}
		if got := s.WithBuckets().Fit; got != c.want {
			t.Errorf("%s at %d with %s: %s, want %s", c.preset, c.side, c.fit, got, c.want)
		}
	}
}
