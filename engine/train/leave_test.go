package train

import (
	"fmt"
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

// slowLink is a link of a set bandwidth, in bytes a second each way.
type slowLink struct {
	collective.Link
	rank      int
	bandwidth float64
}

func (l *slowLink) Exchange(send, recv [][]byte, watch func([]int, time.Duration) error) error {
	out, in := 0, 0
	for r := range send {
		if r != l.rank {
			out, in = out+len(send[r]), in+len(recv[r])
		}
	}
	begin := time.Now()
	err := l.Link.Exchange(send, recv, watch)
	time.Sleep(time.Duration(float64(max(out, in))/l.bandwidth*float64(time.Second)) - time.Since(begin))
	return err
}

// paced is a micro-batch that takes a set time, of which each launch has its share of the
// operations, and computes nothing: how busy the machine is means little to it.
type paced struct {
	device.Program
	plan *plan.Plan
	time time.Duration
}

func (p paced) RunSteps(int, func(int) error) error {
	return p.Launches(func(int) error { return nil })
}

func (p paced) Launches(visit func(i int) error) error {
	begin, done, total := time.Now(), int64(0), p.plan.Cost().FLOPs
	for i, l := range p.plan.Launches {
		done += l.Cost.FLOPs
		time.Sleep(time.Duration(float64(p.time)*float64(done)/float64(total)) - time.Since(begin))
		if err := visit(i); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkLeaving is a step of two processes, each with a micro-batch of a second, over links
// on which all that a step sends takes a share of that: whose gradients leave meanwhile, and
// whose leave behind the backward pass.
func BenchmarkLeaving(b *testing.B) {
	for _, share := range []float64{0, 0.2, 0.4, 0.8, 1.6} {
		for name, behind := range map[string]bool{"meanwhile": false, "behind": true} {
			b.Run(fmt.Sprintf("link=%.1f/%s", share, name), func(b *testing.B) {
				for b.Loop() {
					b.ReportMetric(benchmarkStep(b, behind, share), "s/step")
				}
			})
		}
	}
}

// benchmarkStep is the seconds of the fastest of some steps of two processes whose bytes take so many.
func benchmarkStep(b *testing.B, behind bool, link float64) float64 {
	const steps = 6
	took := make([]time.Duration, 2)
	var ranks sync.WaitGroup
	for r, g := range collective.Local(2) {
		ranks.Go(func() {
			if link > 0 {
				bytes := 4 * float64(nets.FlatSize(jointStep(b, "small", 1, collective.Alone).Trained.Params)) // each way
				g = g.Through(func(l collective.Link) collective.Link { return &slowLink{l, r, bytes / link} })
			}
			took[r] = timeSteps(b, jointStep(b, "small", 1, g), steps, behind)
		})
	}
	ranks.Wait()
	return took[0].Seconds()
}

// timeSteps is the time of the fastest of so many steps.
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
	t.programs[0] = paced{t.programs[0], t.Micro, time.Second}
	t.leaving = t.leaveIn(t.order())
	if behind {
		for i := range t.leaving {
			t.leaving[i].ready = len(t.Micro.Launches) - 1
		}
	}
	batch := &data.Batch{Pixels: data.NewPixels(data.Bytes, s.Batch*32*32*3), Indices: make([]int64, s.Batch), Classes: make([]int32, s.Batch)}
	h := Hyper{Settings: small(), LearningRate: 1e-4}
	fastest := time.Hour
	for i := range steps {
		begin := time.Now()
		h.Count = int64(i + 1)
		if _, err := t.Train(h, func(int) error { t.Fill(batch); return nil }); err != nil {
			b.Error(err)
			return 0
		}
		fastest = min(fastest, time.Since(begin))
	}
	return fastest
}
