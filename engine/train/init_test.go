package train

import (
	"context"
	"slices"
	"strings"
	"testing"

	"fluxion/engine/model"
	"fluxion/engine/process"
	"fluxion/nets"
)

// TestInit: a run begins with another's averaged weights, but for tensors of other
// shapes; so do its own averages. It goes on from its checkpoints without them.
func TestInit(t *testing.T) {
	s := points()
	s.SampleCount, s.CheckpointEvery = 0, 0
	first, second := t.TempDir(), t.TempDir()
	run := func(s Settings, dir string) *recorder {
		t.Helper()
		o, r := options(t, s, dir)
		if _, err := Run(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		return r
	}
	run(s, first)
	s.Init, s.Images, s.LR = first, 16, 1e-30
	told := run(s, second)
	if !slices.ContainsFunc(told.start.Notes, func(n string) bool { return strings.HasPrefix(n, "the weights are those of ") }) {
		t.Errorf("notes %q", told.start.Notes)
	}
	read := func(dir, weights string) *model.Model {
		t.Helper()
		m, err := model.Read(dir, weights)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	want := read(first, model.EMA).Weights
	for _, weights := range []string{model.Raw, model.EMA} {
		if !slices.Equal(read(second, weights).Weights, want) {
			t.Errorf("%s: other weights", weights)
		}
	}
	s.Data = "toy:checkerboard" // without classes
	third := t.TempDir()
	run(s, third)
	m := read(third, model.Raw)
	of := func(m *model.Model, name string) []float32 {
		for _, p := range nets.Params(m.Network) {
			if p.Name == name {
				return m.Weights[p.Offset:][:p.Size()]
			}
		}
		return nil
	}
	for _, p := range nets.Params(m.Network) {
		if !slices.Equal(of(m, p.Name), of(read(first, model.EMA), p.Name)) {
			t.Errorf("%s is not that of the model", p.Name)
		}
	}
	unet, err := Network("micro", nets.Spec{Height: 8, Width: 8, Channels: 3})
	if err != nil {
		t.Fatal(err)
	}
	trains, err := process.Get("fm", process.ScheduleOptions{TimeScale: 16}, "u")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readBeginning(s, unet, m.Process, nets.Params(unet), nil); err == nil || !strings.Contains(err.Error(), "less than half") {
		t.Errorf("another network: %v", err)
	}
	b, err := readBeginning(s, m.Network, trains, nets.Params(m.Network), nil)
	if err != nil || !strings.Contains(b.told, "told 16 t where it was told 1000 t") {
		t.Errorf("another time: %v, %q", err, b.told)
	}
}
