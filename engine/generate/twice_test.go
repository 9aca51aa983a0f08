package generate

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/number"
	"fluxion/kernels/update"
	"fluxion/nets"
	"fluxion/nets/unet"
)

// TestLoadedTwice: one compiled step, loaded into two memories, makes the pictures of
// the weights of each, in whatever order they are loaded and run: those that a step of
// its own makes. The sampler keeps outputs in slots; guidance looks at whole images.
func TestLoadedTwice(t *testing.T) {
	d, err := device.NewCPU(1, "portable")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sampler.Get("dpm++-2m")
	if err != nil {
		t.Fatal(err)
	}
	table, err := s.Plan(p, sampler.Options{Steps: 3})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := table.Fold().Memory(update.MaxHistory)
	if err != nil {
		t.Fatal(err)
	}
	config, err := unet.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	compile := func() *Step {
		step, err := NewStep(Options{
			Network: config.WithSize(8).WithClasses(3), Height: 8, Width: 8, Batch: 2, Guided: true, Reduced: true, Slots: kept.Slots,
			Target: d.Target(), Precision: number.Float32,
		})
		if err != nil {
			t.Fatal(err)
		}
		return step
	}
	load := func(step *Step, weight int) *Generator {
		memory, err := d.Alloc(step.Sizes())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { memory.Free() })
		g, err := step.Load(d, memory)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Free() })
		weights := make([]float32, nets.FlatSize(step.Graph.Params))
		for i := range weights {
			weights[i] = float32((i+weight)%7)*0.02 - 0.05
		}
		if err := memory.Write(step.Weights, 0, weights); err != nil {
			t.Fatal(err)
		}
		return g
	}
	pictures := func(g *Generator) (all []byte) {
		r := Request{Table: table, Seed: 9, Seeds: []int64{3, 4, 5}, Classes: []int{0, 1, 1}, NullClass: 2, Guidance: Guidance{Scale: 2, Rescale: 0.5}}
		err := g.Run(context.Background(), r, func(_ int, s Sample) error {
			pixels := s.Pixels
			all = append(all, slices.Clone(pixels)...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	want := [][]byte{pictures(load(compile(), 0)), pictures(load(compile(), 1))}
	if bytes.Equal(want[0], want[1]) {
		t.Fatal("other weights give the same pictures")
	}
	step := compile()
	loaded := []*Generator{load(step, 0), load(step, 1)}
	for _, i := range []int{0, 1, 0} {
		if !bytes.Equal(pictures(loaded[i]), want[i]) {
			t.Errorf("the step in memory %d makes other pictures than one of its own", i)
		}
	}
}
