package train

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/cuda/nccl"
	"fluxion/kernels/cuda/simdriver"
	"fluxion/kernels/number"
	"fluxion/nets"
)

// anyones is a device that processes may share, as they do who test on one GPU.
type anyones struct{ device.Device }

// gpuDevice is a device that other devices of the test do not know of: a simulated one, with
// a driver of its own, or, where tests run on a GPU, that one.
func gpuDevice(t *testing.T) (d device.Device) {
	t.Helper()
	var err error
	if cudatest.OnGPU() {
		d, err = device.Open("cuda:0", 1)
	} else {
		d, err = device.NewCUDA(simdriver.New(simdriver.Options{}).Direct(), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if cudatest.OnGPU() {
		return anyones{d}
	}
	return d
}

// TestSameBitsOnGPUs: processes with a GPU each come to the bits of one, also where a share is
// no whole node of the tree, whether NCCL moves their gradients and weights, or the host.
func TestSameBitsOnGPUs(t *testing.T) {
	if testing.Short() {
		t.Skip("40 s of a core on a simulated GPU")
	}
	for _, c := range []struct {
		precision string
		world     int
		by        string
	}{{"fp32", 2, nccl.Simulated}, {"bf16", 3, "off"}} {
		t.Run(fmt.Sprintf("%s on %d, NCCL %s", c.precision, c.world, c.by), func(t *testing.T) {
			by := c.by
			if cudatest.OnGPU() {
				by = "off" // there may be one GPU, which processes of NCCL do not share
			}
			t.Setenv(device.NCCLVariable, by)
			s := shared(func(s *Settings) {
				s.Precision, s.Batch, s.Accumulate, s.Images, s.CheckpointEvery, s.SampleCount, s.SampleEvery = c.precision, 3, 3, 6, 0, 0, 0
				s.Preset = wide(t)
			})
			dirs := []string{t.TempDir(), t.TempDir()}
			for i, world := range []int{1, c.world} {
				all := of(t, world, s, dirs[i])
				for r := range all {
					all[r].Device = gpuDevice(t)
				}
				for r, err := range together(t, func(int) context.Context { return t.Context() }, all) {
					if err != nil {
						t.Fatalf("process %d of %d: %v", r, world, err)
					}
				}
			}
			same(t, files(t, dirs[0]), files(t, dirs[1]))
		})
	}
}

// TestCuts: plans for GPUs are cut before launches that wait for weights, and where chunks of
// gradients are complete, which most are long before the backward pass ends.
func TestCuts(t *testing.T) {
	n, err := Network("small", nets.Spec{Height: 32, Width: 32, Channels: 3})
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStep(StepOptions{
		Network: n, Height: 32, Width: 32, Batch: 1, Accumulate: 2, Target: device.CUDATarget{}, Precision: number.BFloat16, Group: collective.Local(2)[1],
	})
	if err != nil {
		t.Fatal(err)
	}
	var ready []int
	size, soon := nets.FlatSize(s.Trained.Params), 0
	for _, l := range s.leaveIn(s.order()) {
		ready = append(ready, l.ready)
		if from, to := s.parts.Chunk(l.chunk); l.ready < len(s.Micro.Launches)*9/10 {
			soon += to - from
		}
	}
	all := s.arrivals(s.readOrder())
	waits := s.neededBy(all)
	want := slices.Clone(ready)
	for _, launch := range waits {
		want = append(want, launch-1)
	}
	slices.Sort(want)
	if !slices.Equal(slices.Compact(want), s.Micro.Cuts) || len(ready) < 3 || len(waits) < mostArrivals {
		t.Errorf("cut behind launches %v of %d, chunks are complete behind %v, and %v wait for weights", s.Micro.Cuts, len(s.Micro.Launches), ready, waits)
	}
	// Projections of times run side by side, early in the forward pass: they come first, with little else.
	early := 0
	for i, tensors := range all {
		if waits[i] > len(s.Micro.Launches)/10 {
			break
		}
		for _, n := range tensors {
			early += s.Trained.Params[n].Size()
		}
	}
	if early == 0 || early > size/4 {
		t.Errorf("a tenth of the launches waits for %d of %d weights", early, size)
	}
	if soon < size/2 {
		t.Errorf("%d of %d gradients are complete before the last tenth of the launches", soon, size)
	}
	t.Logf("cut behind launches %v of %d", s.Micro.Cuts, len(s.Micro.Launches))
}

// TestSlices: slices of one GPU have its name and its bus, and are told apart; one that two processes have is named.
func TestSlices(t *testing.T) {
	if cudatest.OnGPU() {
		t.Skip("of simulated GPUs")
	}
	slice := func() *simdriver.Driver { return simdriver.New(simdriver.Options{Slice: "1g.5gb"}) }
	one, two := slice(), slice()
	for _, c := range []struct {
		drivers [2]*simdriver.Driver
		twice   bool
	}{{[2]*simdriver.Driver{one, two}, false}, {[2]*simdriver.Driver{one, one}, true}} {
		var names [2]string
		for r, d := range c.drivers {
			gpu, err := device.NewCUDA(d.Direct(), 0)
			if err != nil {
				t.Fatal(err)
			}
			names[r] = device.Identity(gpu)
			if err := gpu.Close(); err != nil {
				t.Error(err)
			}
			if all, err := d.Direct().Devices(); err != nil || !all[0].Slice || !strings.Contains(names[r], all[0].UUID) || !strings.HasPrefix(all[0].UUID, "MIG-") {
				t.Errorf("%s, of %+v, %v", names[r], all, err)
			}
		}
		groups := collective.Local(2)
		var ranks sync.WaitGroup
		for r, g := range groups {
			ranks.Go(func() {
				if err := apartIn(g, names[r]); (err != nil) != c.twice || err != nil && !strings.Contains(err.Error(), "CUDA_VISIBLE_DEVICES=MIG-") {
					t.Errorf("process %d with %s: %v", r, names[r], err)
				}
			})
		}
		ranks.Wait()
	}
}

// TestApart: two processes with one GPU are named, and none begins.
func TestApart(t *testing.T) {
	for _, c := range []struct {
		names [3]string
		want  string // in all processes alike
	}{{names: [3]string{"the A at 1 of x", "the A at 2 of x", "the A at 1 of y"}}, {}, {[3]string{"", "the A at 1 of x", "the A at 1 of x"}, "processes 1 and 2 of the group both have the A at 1 of x"}} {
		groups := collective.Local(3)
		var ranks sync.WaitGroup
		for r, g := range groups {
			ranks.Go(func() {
				got := ""
				if err := apartIn(g, c.names[r]); err != nil {
					got = err.Error()
				}
				if !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
					t.Errorf("process %d: %q, want %q", r, got, c.want)
				}
			})
		}
		ranks.Wait()
	}
}
