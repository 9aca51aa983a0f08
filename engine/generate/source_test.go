package generate

import (
	"context"
	"math"
	"slices"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/colour"
	"fluxion/kernels/cuda/driver"
	"fluxion/nets"
	"fluxion/nets/unet"
)

// The noise that a run begins with, and that of its steps, have the source's spectrum: a
// table without the network gives what that spectrum makes of what white noise gives. So
// it is under guidance, and on both devices to the bit.
func TestSpectrum(t *testing.T) {
	t.Setenv(device.Variable, driver.Simulated)
	config, err := unet.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	config = config.WithSize(8).WithClasses(classes + 1)
	const side, channels = 8, 3
	source, err := process.GetSource("spectrum:1.5")
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, s process.Source, guided bool) []float32 {
		d, err := device.Open(name, 2)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		step, err := NewStep(Options{Network: config, Height: side, Width: side, Batch: 2, Guided: guided, Source: s, Target: d.Target()})
		if err != nil {
			t.Fatal(err)
		}
		memory, err := d.Alloc(step.Sizes())
		if err != nil {
			t.Fatal(err)
		}
		defer memory.Free()
		if err := memory.Write(step.Weights, 0, make([]float32, nets.FlatSize(step.Graph.Params))); err != nil {
			t.Fatal(err)
		}
		g, err := step.Load(d, memory)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Free()
		point := process.Point{Input: 1, Alpha: 1}
		table := sampler.Table{Start: 1.25, Rows: []sampler.Row{{Call: point, A: 0.5, B: []float64{0}, C: 0.75}, {Call: point, A: 1, B: []float64{0}, C: 0.25}}}
		var all []float32
		err = g.Run(context.Background(), Request{Table: table, Seed: 4, Seeds: []int64{3, 9, 5}, Classes: []int{0, 1, 2}, NullClass: classes, Guidance: Guidance{Scale: 2}}, func(_ int, s Sample) error {
			all = append(all, s.Values...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	want := make([]float64, 3*side*side*channels)
	for i, v := range run("cpu", process.Source{}, false) {
		want[i] = float64(v)
	}
	spectrum := colour.Spectrum{Height: side, Width: side}
	for _, a := range source.Amplitudes(side, side) {
		spectrum.Amplitude = append(spectrum.Amplitude, float32(a))
	}
	want = colour.New(spectrum, 3, channels).Reference(want)
	first := run("cpu", source, false)
	for i, v := range first {
		if math.Abs(float64(v)-want[i]) > 1e-5 {
			t.Fatalf("value %d is %g, want %g", i, v, want[i])
		}
	}
	if !slices.Equal(first, run("cpu", source, true)) {
		t.Error("guidance changes the noise")
	}
	if !slices.Equal(first, run("cuda:0", source, true)) {
		t.Error("the noise is another on a GPU")
	}
}
