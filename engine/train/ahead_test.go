package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/number"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// TestAhead: steps that are launched before the outcome of the one before is read come to the same bits, also
// where a request or a signal comes in between.
func TestAhead(t *testing.T) {
	enough := errors.New("enough")
	s := points()
	s.Precision, s.Batch, s.Images, s.SampleCount, s.SampleEvery, s.CheckpointEvery = "fp32", 1, 5, 0, 0, 0
	// train trains, stops and asks for a checkpoint after so many images; 0: not.
	train := func(dir string, ahead bool, stop, ask int64) (err error) {
		o, _ := options(t, s, dir)
		o.Device = simulatedGPU(t, 1<<30)
		asks := make(chan os.Signal, 1)
		o.SaveNow = asks
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		o.Hooks = []Hook{{Name: "events", Every: 1, beside: ahead, After: func(_ context.Context, p Progress) error {
			if p.Images == stop {
				cancel(enough)
			}
			if p.Images == ask {
				asks <- os.Interrupt
			}
			return nil
		}}}
		_, err = Run(ctx, o)
		return err
	}
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	if err := train(one, false, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := train(two, true, 1, 0); !errors.Is(err, enough) {
		t.Fatalf("a run that is stopped ends with %v", err)
	}
	if err := train(two, true, 0, 3); err != nil {
		t.Fatal(err)
	}
	if got := saved(t, two); !slices.Equal(got, []int64{2, 4, 5}) { // steps that were under way count
		t.Errorf("checkpoints of %v images, want 2, 4 and 5", got)
	}
	same(t, files(t, two), files(t, one))
}

// BenchmarkHost is what the host does for a step on a GPU that takes no time: what a GPU would wait for, and,
// where the next step is launched meanwhile, need not.
func BenchmarkHost(b *testing.B) {
	for _, c := range []struct {
		preset string
		batch  int
	}{{"micro", 8}, {"cifar", 8}, {"cifar", 128}} {
		preset, err := catalog.Preset(c.preset)
		if err != nil {
			b.Fatal(err)
		}
		network, err := preset.Network.Fit(nets.Spec{Height: 32, Width: 32, Channels: 3, Classes: 11})
		if err != nil {
			b.Fatal(err)
		}
		d, err := device.NewCUDA(cudatest.Idle{}, 0)
		if err != nil {
			b.Fatal(err)
		}
		s, err := NewStep(StepOptions{Network: network, Height: 32, Width: 32, Batch: c.batch, Accumulate: 1, Target: d.Target(), Precision: number.BFloat16, NullClass: 10})
		if err != nil {
			b.Fatal(err)
		}
		m, err := d.Alloc(s.Sizes())
		if err != nil {
			b.Fatal(err)
		}
		t, err := s.Load(d, m)
		if err != nil {
			b.Fatal(err)
		}
		batch := &data.Batch{Pixels: data.NewPixels(data.Bytes, c.batch*32*32*3), Classes: make([]int32, c.batch), Indices: make([]int64, c.batch)}
		fill := func(int) error { t.Fill(batch); return nil }
		hyper := Hyper{Settings: Default(), LearningRate: 1e-4, Count: 1, EMADecays: [MaxEMAs]float64{0.99}}
		b.Run(fmt.Sprintf("%s/b%d/in turn", c.preset, c.batch), func(b *testing.B) {
			for b.Loop() {
				if _, err := t.Train(hyper, fill); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%s/b%d/ahead", c.preset, c.batch), func(b *testing.B) {
			var ends time.Duration // from the end of a step on: the next is under way
			end, err := t.Begin(hyper, fill)
			for b.Loop() {
				next, failed := t.Begin(hyper, fill)
				begin := time.Now()
				if _, e := end(); errors.Join(err, failed, e) != nil {
					b.Fatal(err, failed, e)
				}
				ends += time.Since(begin)
				end = next
			}
			b.ReportMetric(float64(ends.Nanoseconds())/float64(b.N), "ns/end")
		})
		if err := errors.Join(t.Free(), m.Free(), d.Close()); err != nil {
			b.Fatal(err)
		}
	}
}
