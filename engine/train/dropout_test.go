package train

import (
	"context"
	"strings"
	"testing"
)

// TestDropout: a run that leaves values out goes on to the bit, in steps of several
// micro-batches, too, and learns otherwise than one that leaves out none. A network
// that has none is refused.
func TestDropout(t *testing.T) {
	s := small()
	s.Dropout, s.SampleCount, s.CheckpointEvery = 0.25, 0, s.Images/2
	whole, cut := t.TempDir(), t.TempDir()
	run := func(s Settings, dir string) Result {
		t.Helper()
		o, _ := options(t, s, dir)
		result, err := Run(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	with := run(s, whole)
	half := s
	half.Images /= 2
	half.Decay = 0
	s.Decay = 0
	again := t.TempDir()
	run(s, again)
	run(half, cut)
	run(s, cut)
	same(t, files(t, cut), files(t, again))
	none := s
	none.Dropout = 0
	if without := run(none, t.TempDir()); without.Loss == with.Loss {
		t.Error("nothing was left out")
	}
	p := points()
	p.Dropout = 0.1
	o, _ := options(t, p, t.TempDir())
	if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "has no dropout") {
		t.Errorf("a perceptron: %v", err)
	}
}
