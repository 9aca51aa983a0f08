package train

import (
	"context"
	"strings"
	"sync"
	"testing"

	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/kernels/cuda/cudatest"
)

// gpuDevice is a device of the driver of tests, which other devices of the test do not know of.
func gpuDevice(t *testing.T) device.Device {
	t.Helper()
	t.Setenv(device.Variable, cudatest.Name())
	d, err := device.Open("cuda:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// TestSameBitsOnGPUs: processes with a GPU each come to the bits of one, also where a share is
// no whole node of the tree.
func TestSameBitsOnGPUs(t *testing.T) {
	for precision, worlds := range map[string][]int{"fp32": {1, 2}, "bf16": {1, 3}} {
		if testing.Short() && precision != "fp32" {
			continue
		}
		t.Run(precision, func(t *testing.T) {
			s := shared(func(s *Settings) {
				s.Precision, s.Batch, s.Accumulate, s.Images, s.CheckpointEvery, s.SampleCount, s.SampleEvery = precision, 3, 3, 6, 0, 0, 0
			})
			dirs := []string{}
			for _, world := range worlds {
				dirs = append(dirs, t.TempDir())
				all := of(t, world, s, dirs[len(dirs)-1])
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
