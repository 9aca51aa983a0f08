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
	"fluxion/engine/plan"
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

// waitedFor is a GPU whose programs are waited for, each behind its run.
type waitedFor struct{ device.Device }

func (d waitedFor) Load(p *plan.Plan, m device.Memory, results ...plan.Tensor) (device.Program, error) {
	program, err := d.Device.Load(p, m, results...)
	return struct{ device.Program }{program}, err
}

// TestBegins: micro-batches that are launched before what the one before came to is read come to the same bits, also where
// the objective learns of errors, for which the next step waits.
func TestBegins(t *testing.T) {
	s := points()
	s.Precision, s.Batch, s.Accumulate, s.Images, s.SampleCount, s.SampleEvery, s.CheckpointEvery = "fp32", 2, 2, 4, 0, 0, 0
	s.NoiseScale, s.Uncertainty = true, true
	var dirs []string
	for _, d := range []device.Device{simulatedGPU(t, 1<<30), waitedFor{simulatedGPU(t, 1<<30)}} {
		dirs = append(dirs, t.TempDir())
		o, _ := options(t, s, dirs[len(dirs)-1])
		o.Device = d
		if _, err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	same(t, files(t, dirs[0]), files(t, dirs[1]))
}

// BenchmarkHost is what the host does for a step on a GPU that takes no time: what a GPU would wait for, and,
// where the next step is launched meanwhile, need not. Where the objective learns of errors, it waits for what is
// not done meanwhile.
func BenchmarkHost(b *testing.B) {
	for _, c := range []struct {
		preset            string
		batch, accumulate int
		change            func(*Settings)
		name              string
	}{
		{"micro", 8, 1, nil, ""}, {"cifar", 8, 1, nil, ""}, {"cifar", 128, 1, nil, ""}, {"cifar", 128, 4, nil, "/accumulate 4"},
		{"cifar", 128, 1, func(s *Settings) { s.TimeSampler, s.Weighting = "adaptive", "sigmoid" }, "/adaptive"},
		{"cifar", 128, 1, func(s *Settings) { s.Uncertainty = true }, "/uncertainty"},
	} {
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
		settings := Default()
		settings.Batch, settings.Accumulate = c.batch, c.accumulate
		if c.change != nil {
			c.change(&settings)
		}
		o, err := NewObjective(settings, nil)
		if err != nil {
			b.Fatal(err)
		}
		micro := c.batch / c.accumulate
		s, err := NewStep(StepOptions{Network: network, Objective: o, Height: 32, Width: 32, Batch: micro, Accumulate: c.accumulate, Target: d.Target(), Precision: number.BFloat16, NullClass: 10})
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
		batch := &data.Batch{Pixels: data.NewPixels(data.Bytes, micro*32*32*3), Classes: make([]int32, micro), Indices: make([]int64, micro)}
		fill := func(int) error { t.Fill(batch); return nil }
		hyper := Hyper{Settings: settings, LearningRate: 1e-4, Count: 1, EMADecays: [MaxEMAs]float64{0.99}}
		name := fmt.Sprintf("%s/b%d%s", c.preset, c.batch, c.name)
		b.Run(name+"/in turn", func(b *testing.B) {
			for b.Loop() {
				if _, err := t.Train(hyper, fill); err != nil {
					b.Fatal(err)
				}
				t.Observe()
			}
		})
		b.Run(name+"/ahead", func(b *testing.B) {
			fill := fill
			if !t.Ahead() { // the images are there
				fill = func(int) error { t.Feed(); return nil }
			}
			var waits time.Duration // of the GPU: from the end of a step on, until the next is launched
			var end func() (Outcome, error)
			for b.Loop() {
				var next func() (Outcome, error)
				var failed error
				if t.Ahead() {
					next, failed = t.Begin(hyper, fill)
				} else {
					t.Bring(batch)
				}
				begin := time.Now()
				if end != nil {
					if _, err := end(); err != nil {
						b.Fatal(err)
					}
					t.Observe()
				}
				if next == nil && failed == nil {
					next, failed = t.Begin(hyper, fill)
				}
				if failed != nil {
					b.Fatal(failed)
				}
				waits += time.Since(begin)
				end = next
			}
			b.ReportMetric(float64(waits.Nanoseconds())/float64(b.N), "ns/wait")
		})
		if err := errors.Join(t.Free(), m.Free(), d.Close()); err != nil {
			b.Fatal(err)
		}
	}
}
