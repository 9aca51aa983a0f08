package train

import (
	"sync"
	"testing"
	"time"

	"fluxion/data"
	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/number"
	"fluxion/nets"
)

// jointStep is a step of a preset's network of which each process takes one micro-batch.
func jointStep(t testing.TB, preset string, batch int, g collective.Group) *Step {
	t.Helper()
	n, err := Network(preset, nets.Spec{Height: 32, Width: 32, Channels: 3})
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStep(StepOptions{
		Network: n, Height: 32, Width: 32, Batch: batch, Accumulate: g.World, Target: device.NewCPUTarget(1), Precision: number.Float32, Group: g,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLeaving: most gradients are complete long before the backward pass ends, and what has to
// be done for that takes no memory.
func TestLeaving(t *testing.T) {
	for _, preset := range []string{"small", "cifar"} {
		s := jointStep(t, preset, 1, collective.Local(2)[1])
		total := s.Micro.Cost().FLOPs
		done, behind := int64(0), make([]int64, len(s.Micro.Launches)) // a launch
		for i, l := range s.Micro.Launches {
			done += l.Cost.FLOPs
			behind[i] = total - done
		}
		size, soon := nets.FlatSize(s.Trained.Params), 0
		for _, l := range s.leaveIn(s.order()) {
			from, to := s.parts.Chunk(l.chunk)
			t.Logf("%s: %.1f %% of the gradients, before the last %.1f %% of the work", preset, 100*float64(to-from)/float64(size), 100*float64(behind[l.ready])/float64(total))
			if behind[l.ready] > total/20 {
				soon += to - from
			}
		}
		if soon < size/2 {
			t.Errorf("%s: %d of %d gradients are complete before the last 5 %% of the work", preset, soon, size)
		}
		alone := jointStep(t, preset, 1, collective.Alone)
		if got, want := s.Micro.Sizes[plan.Arena], alone.Micro.Sizes[plan.Arena]; got > want+want/50 {
			t.Errorf("%s: %d bytes of working memory, alone %d", preset, got, want)
		}
	}
}

// link is one of a set bandwidth, in bytes a second each way, beside whose processes nothing
// runs.
type link struct {
	collective.Link
	bandwidth float64
	busy      time.Duration
}

func (l *link) Exchange(send, recv [][]byte, watch func([]int, time.Duration) error) error {
	out, in := 0, 0
	for r := range send {
		out, in = out+len(send[r]), in+len(recv[r])
	}
	begin := time.Now()
	err := l.Link.Exchange(send, recv, watch)
	takes := time.Duration(float64(max(out, in)) / l.bandwidth * float64(time.Second))
	time.Sleep(takes - time.Since(begin))
	l.busy += takes
	return err
}

// BenchmarkLeaving is a step of two processes of one thread each, whose gradients leave while
// the backward pass goes on or behind it, over links of so many times the step's bytes a step
// of one process.
func BenchmarkLeaving(b *testing.B) {
	const preset, batch = "small", 4
	alone := benchmarkStep(b, preset, batch, []collective.Group{collective.Alone}, false, 0)
	for _, share := range []float64{0.05, 0.1, 0.2, 0.4} { // of the time of a step alone, for all its bytes
		for _, behind := range []bool{true, false} {
			name := "meanwhile"
			if behind {
				name = "behind"
			}
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					took := benchmarkStep(b, preset, batch, collective.Local(2), behind, share*alone.Seconds())
					b.ReportMetric(share, "link/step")
					b.ReportMetric(took.Seconds()/alone.Seconds(), "step/alone")
				}
			})
		}
	}
}

// benchmarkStep is the time of a step of a group in which all its bytes take so long.
func benchmarkStep(b *testing.B, preset string, batch int, groups []collective.Group, behind bool, seconds float64) time.Duration {
	const steps = 5
	took := make([]time.Duration, len(groups))
	var ranks sync.WaitGroup
	for r, g := range groups {
		ranks.Go(func() {
			if g.World > 1 {
				g = g.Through(func(l collective.Link) collective.Link {
					return &link{Link: l, bandwidth: 4 * float64(parameters(b, preset)) / max(seconds, 1e-9)}
				})
			}
			took[r] = timeSteps(b, jointStep(b, preset, batch, g), steps, behind)
		})
	}
	ranks.Wait()
	return took[0] / steps
}

func parameters(b *testing.B, preset string) int {
	return nets.FlatSize(jointStep(b, preset, 1, collective.Alone).Trained.Params)
}

// timeSteps is the time of so many steps behind the first.
func timeSteps(b *testing.B, s *Step, steps int, behind bool) time.Duration {
	d, err := device.NewCPU(1, "")
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	m, err := d.Alloc(s.Sizes())
	if err != nil {
		b.Fatal(err)
	}
	defer m.Free()
	t, err := s.Load(d, m)
	if err != nil {
		b.Fatal(err)
	}
	defer t.Free()
	if err := t.Initialise(1); err != nil {
		b.Fatal(err)
	}
	t.leaving = t.leaveIn(t.order())
	if behind {
		for i := range t.leaving {
			t.leaving[i].ready = len(t.Micro.Launches) - 1
		}
	}
	batch := &data.Batch{Pixels: data.NewPixels(data.Bytes, s.Batch*32*32*3), Indices: make([]int64, s.Batch), Classes: make([]int32, s.Batch)}
	h := Hyper{Settings: small(), LearningRate: 1e-4}
	var begin time.Time
	for i := range steps + 1 {
		if i == 1 {
			begin = time.Now()
		}
		h.Count = int64(i + 1)
		if _, err := t.Train(h, func(int) error { t.Fill(batch); return nil }); err != nil {
			b.Error(err)
			return 0
		}
	}
	return time.Since(begin)
}
