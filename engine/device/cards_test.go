package device_test

import (
	"context"
	"slices"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
	"fluxion/kernels/number"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// TestPicturesOfCards: what is cut for whichever card samples the same images, to the bit.
func TestPicturesOfCards(t *testing.T) {
	preset, err := catalog.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	flow, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		t.Fatal(err)
	}
	method, err := sampler.Get("euler")
	if err != nil {
		t.Fatal(err)
	}
	table, err := method.Plan(flow, sampler.Options{Steps: 2})
	if err != nil {
		t.Fatal(err)
	}
	pictures := func(card cuda.Card) (all []float32) {
		options := simdriver.Options{}
		if card.Warpgroup > 0 {
			options.Major = card.Major
		}
		gpu, err := device.NewCUDA(simdriver.New(options).Direct(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer gpu.Close()
		gpu.CutFor(card)
		const batch = 3
		s, err := generate.NewStep(generate.Options{Network: preset.Network, Height: 8, Width: 8, Batch: batch, Target: gpu.Target(), Precision: number.BFloat16, Prepare: true})
		if err != nil {
			t.Fatal(err)
		}
		m, err := gpu.Alloc(s.Sizes())
		if err != nil {
			t.Fatal(err)
		}
		defer m.Free()
		if err := device.Fill(m, s.Weights.Size, func(flats ...[]float32) { nets.Initialise(s.Graph.Params, 7, flats...) }, s.Weights); err != nil {
			t.Fatal(err)
		}
		g, err := s.Load(gpu, m)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Free()
		err = g.Run(context.Background(), generate.Request{Table: table, Guidance: generate.Guidance{Scale: 1}, Seeds: []int64{3, 1, 4}}, func(_ int, s generate.Sample) error {
			all = append(all, s.Values...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	want := pictures(cuda.Card{})
	if len(want) == 0 {
		t.Fatal("no pictures")
	}
	for _, card := range cuda.Cards() {
		if got := pictures(card); !slices.Equal(got, want) {
			t.Errorf("%s samples other images", card.Name)
		}
	}
}
