package equality

import (
	"path/filepath"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
	"fluxion/engine/train"
)

// TestBuckets: steps of several shapes on the GPU, one graph each on the same memory, train as on
// the CPU.
func TestBuckets(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds on the simulator")
	}
	dir := t.TempDir()
	for i, s := range []data.Size{{Height: 16, Width: 16}, {Height: 8, Width: 30}, {Height: 16, Width: 16}, {Height: 8, Width: 30}} {
		pixels := make([]byte, 3*s.Height*s.Width)
		for k := range pixels {
			pixels[k] = byte(k*(i+3)/5 + 60*i)
		}
		datatest.WritePNG(t, filepath.Join(dir, string(rune('a'+i))+".png"), pixels, s.Height, s.Width, 3, nil)
	}
	s := settings("cuda:0", 0)
	s.Data, s.Size, s.Fit, s.LRSchedule = dir, data.Square(4), "buckets:2", "constant"
	run := func(dir, device string, images int64) ([]float32, train.Start) {
		set, err := data.Open(s.Data, data.Options{Size: s.Size, Fit: data.Fit(s.Fit)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { set.Close() })
		if b := data.BucketsOf(set); len(b.Sizes) != 2 {
			t.Fatalf("%v", b)
		}
		s.Device, s.Images = device, images
		return runOn(t, dir, s, set)
	}
	want, _ := run(t.TempDir(), "cpu", 8)
	before, _ := run(t.TempDir(), "cpu", 2)
	got, _ := run(t.TempDir(), "cuda:0", 8)
	if off, moved := distance(got, want), distance(before, want); !(off <= 1e-3*moved) {
		t.Errorf("weights differ by %.2g where the steps moved them by %.2g", off, moved)
	}
}
