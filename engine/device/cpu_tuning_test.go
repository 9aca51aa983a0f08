package device

import (
	"slices"
	"testing"

	"fluxion/engine/device/tuning"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"
)

// TestTuning runs a network and its gradients while tile sizes are tried, until all are
// settled, and then once more in a program that starts from the table: each run gives the
// bits of a device without one.
func TestTuning(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for _, name := range cpu.Names() {
		for _, precision := range []number.Type{number.Float32, number.BFloat16} {
			t.Run(name+"/"+precision.String(), func(t *testing.T) {
				plain, err := NewCPU(2, name)
				if err != nil {
					t.Fatal(err)
				}
				defer plain.Close()
				want := differentiated(t, plain, "ddpm", precision).results(t)
				same := func(n *network, run int) {
					t.Helper()
					for i, got := range n.results(t) {
						if !slices.Equal(got, want[i]) {
							t.Fatalf("run %d: result %d has other bits", run, i)
						}
					}
				}
				d, err := NewCPU(2, name)
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				dir := t.TempDir()
				note := func(note string) { t.Error(note) }
				d.Tune(tuning.New(tuning.Options{Dir: dir, Learns: true, Note: note}))
				n := differentiated(t, d, "ddpm", precision)
				if d.Trying() == 0 {
					t.Error("nothing is tried")
				}
				run := 1
				for ; d.Trying() > 0; run++ {
					same(n, run)
					n.run(t)
				}
				same(n, run)
				settled := 0
				for _, l := range n.plan.Launches {
					if e, ok := d.Tuned(l); ok && e.Best != nil {
						settled++
					}
				}
				t.Logf("%d runs, %d launches, %d settled: %+v", run, len(n.plan.Launches), settled, tuning.Inspect(dir))
				if run < 5 || settled == 0 {
					t.Errorf("%d launches settled after %d runs", settled, run)
				}
				d.Tune(tuning.New(tuning.Options{Dir: dir, Learns: true, Note: note}))
				n = differentiated(t, d, "ddpm", precision)
				if d.Trying() != 0 {
					t.Errorf("%d launches are tried again", d.Trying())
				}
				n.run(t)
				same(n, 2)
			})
		}
	}
}
