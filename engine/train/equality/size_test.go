package equality

import (
	"slices"
	"testing"

	"fluxion/data"
	"fluxion/engine/train"
)

// TestRectangles: images that are no squares train on the GPU as on the CPU, and go on to the bit.
func TestRectangles(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds on the simulator")
	}
	s := settings("cuda:0", 4)
	s.Size = data.Size{Height: 4, Width: 8}
	open := func() data.Dataset {
		set, err := data.Open("glyphs", data.Options{Size: s.Size})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { set.Close() })
		return few{set, 40}
	}
	run := func(dir, device string, images int64) ([]float32, train.Start) {
		s.Device, s.Images = device, images
		return runOn(t, dir, s, open())
	}
	want, _ := run(t.TempDir(), "cpu", 4)
	before, _ := run(t.TempDir(), "cpu", 2)
	got, start := run(t.TempDir(), "cuda:0", 4)
	if start.Height != 4 || start.Width != 8 || !start.Resident {
		t.Errorf("trained on %d×%d, on the GPU %v", start.Height, start.Width, start.Resident)
	}
	if off, moved := distance(got, want), distance(before, want); !(off <= 1e-3*moved) {
		t.Errorf("weights differ by %.2g where a step moved them by %.2g", off, moved)
	}
	dir := t.TempDir()
	run(dir, "cuda:0", 2)
	if again, _ := run(dir, "cuda:0", 4); !slices.Equal(again, got) {
		t.Errorf("a run that went on differs by %.2g", distance(again, got))
	}
}
