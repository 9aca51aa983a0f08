package train

import (
	"errors"
	"fmt"
	"slices"
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

// TestArriving: launches wait for little of the weights before the first of the work, and for
// none before those that they read. What comes is all weights, each once.
func TestArriving(t *testing.T) {
	for _, c := range []struct {
		preset string
		begun  float64 // of the weights, at most, before 1 % of the work
		late   float64 // of their time that launches wait for them, at most, where all take a fifth of the micro-batch's
	}{{"small", 0.1, 0.15}, {"cifar", 0.1, 0.25}} {
		s := jointStep(t, c.preset, 1, collective.Local(2)[1])
		all := s.arrivals(s.readOrder())
		needed := s.neededBy(all)
		total, size := s.Micro.Cost().FLOPs, nets.FlatSize(s.Trained.Params)
		done, before := int64(0), []float64{0} // share of the work before each launch
		for _, l := range s.Micro.Launches {
			done += l.Cost.FLOPs
			before = append(before, float64(done)/float64(total))
		}
		come := make([]int, size)
		here, begun, late := 0, 0, 0.0
		for i, tensors := range all {
			for _, x := range s.stretches(tensors) {
				for r := range 2 {
					from, to := s.ofRank(x, r)
					for e := from; e < to; e++ {
						come[e]++
					}
					here += to - from
				}
			}
			if before[needed[i]] < 0.01 {
				begun = here
			}
			late = max(late, float64(here)/float64(size)-5*before[needed[i]])
		}
		if slices.Min(come) != 1 || slices.Max(come) != 1 {
			t.Errorf("%s: weights come %d to %d times", c.preset, slices.Min(come), slices.Max(come))
		}
		for i, first := range s.firstReads() {
			at := slices.IndexFunc(all, func(tensors []int) bool { return slices.Contains(tensors, i) })
			if needed[at] > first {
				t.Errorf("%s: %s is waited for by launch %d, and launch %d reads it", c.preset, s.Trained.Params[i].Name, needed[at], first)
			}
		}
		t.Logf("%s: %.1f %% of the weights before 1 %% of the work; launches wait for %.1f %% of the time of all", c.preset, 100*float64(begun)/float64(size), 100*late)
		if float64(begun) > c.begun*float64(size) || late > c.late {
			t.Errorf("%s: %d of %d weights are waited for before 1 %% of the work, and launches wait for %.3f of the time of all", c.preset, begun, size, late)
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

// What goes to other processes while they compute.
const (
	nothingMeanwhile = iota
	gradientsMeanwhile
	allMeanwhile
)

// BenchmarkLeaving is a step of two processes, each with a micro-batch of a second, over links
// on which all that a step sends takes a share of that: gradients leave behind the backward pass
// or meanwhile, and weights come behind the optimizer, or while the next step has begun.
func BenchmarkLeaving(b *testing.B) {
	for _, share := range []float64{0, 0.2, 0.4, 0.8, 1.6} {
		for meanwhile, name := range []string{"nothing", "gradients", "all"} {
			b.Run(fmt.Sprintf("link=%.1f/meanwhile=%s", share, name), func(b *testing.B) {
				for b.Loop() {
					b.ReportMetric(benchmarkStep(b, meanwhile, share), "s/step")
				}
			})
		}
	}
}

// benchmarkStep is the seconds of the fastest of some steps of two processes whose bytes take so many.
func benchmarkStep(b *testing.B, meanwhile int, link float64) float64 {
	const steps = 6
	took := make([]time.Duration, 2)
	var ranks sync.WaitGroup
	for r, g := range collective.Local(2) {
		ranks.Go(func() {
			if link > 0 {
				bytes := 4 * float64(nets.FlatSize(jointStep(b, "small", 1, collective.Alone).Trained.Params)) // each way
				g = g.Through(func(l collective.Link) collective.Link { return &slowLink{l, r, bytes / link} })
			}
			took[r] = timeSteps(b, jointStep(b, "small", 1, g), steps, meanwhile)
		})
	}
	ranks.Wait()
	return took[0].Seconds()
}

// timeSteps is the time of the fastest of so many steps, of which the first awaits no weights.
func timeSteps(b *testing.B, s *Step, steps, meanwhile int) time.Duration {
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
	if err := errors.Join(t.Initialise(1), t.arriveIn(t.readOrder())); err != nil {
		b.Fatal(err)
	}
	t.programs[0] = paced{t.programs[0], t.Micro, time.Second}
	t.leaving = t.leaveIn(t.order())
	if meanwhile < gradientsMeanwhile {
		for i := range t.leaving {
			t.leaving[i].ready = len(t.Micro.Launches) - 1
		}
	}
	batch := &data.Batch{Pixels: data.NewPixels(data.Bytes, s.Batch*32*32*3), Indices: make([]int64, s.Batch), Classes: make([]int32, s.Batch)}
	h := Hyper{Settings: small(), LearningRate: 1e-4}
	fastest := time.Hour
	for i := range steps + 1 {
		begin := time.Now()
		h.Count = int64(i + 1)
		_, err := t.Train(h, func(int) error { t.Fill(batch); return nil })
		if err == nil && meanwhile < allMeanwhile {
			err = t.Arrive()
		}
		if err != nil {
			b.Error(err)
			return 0
		}
		if i > 0 {
			fastest = min(fastest, time.Since(begin))
		}
	}
	return fastest
}
