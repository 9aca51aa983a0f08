package generate

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// TestPrepare: weights laid out once a run give the same pictures as weights laid
// out in every launch, those that the memory holds when a run begins.
func TestPrepare(t *testing.T) {
	for _, name := range cpu.Names() {
		for _, precision := range []number.Type{number.Float32, number.BFloat16} {
			t.Run(fmt.Sprint(name, " ", precision), func(t *testing.T) {
				d, err := device.NewCPU(2, name)
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				// Weights of EDM2's network are made of the parameters in each run.
				for preset, lasting := range map[string]bool{"micro": true, "edm2-micro": false} {
					plain, prepared := preparedPictures(t, d, preset, precision, false, false), preparedPictures(t, d, preset, precision, true, lasting)
					if bytes.Equal(plain[0], plain[1]) {
						t.Errorf("%s: other weights give the same pictures", preset)
					}
					for run := range plain {
						if !bytes.Equal(plain[run], prepared[run]) {
							t.Errorf("%s, run %d: weights laid out before give other pictures", preset, run)
						}
					}
				}
			})
		}
	}
}

// preparedPictures are those of two runs with other weights, some of which are laid out or none.
func preparedPictures(t *testing.T, d device.Device, name string, precision number.Type, prepare, some bool) (pictures [2][]byte) {
	t.Helper()
	preset, err := catalog.Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	step, err := NewStep(Options{
		Network: preset.Network, Height: 8, Width: 8, Batch: 2, Target: d.Target(), Precision: precision, Prepare: prepare,
	})
	if err != nil {
		t.Fatal(err)
	}
	// Without products of bfloat16 only the layers of the time, in float32, have any.
	if n := step.Sizes()[step.Plan.Prepared]; (n > 0) != some {
		t.Fatalf("%s, prepare %v: %d bytes of weights laid out", name, prepare, n)
	}
	memory, err := d.Alloc(step.Sizes())
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Free()
	generator, err := step.Load(d, memory)
	if err != nil {
		t.Fatal(err)
	}
	defer generator.Free()
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sampler.Get("euler")
	if err != nil {
		t.Fatal(err)
	}
	table, err := s.Plan(p, sampler.Options{Steps: 3})
	if err != nil {
		t.Fatal(err)
	}
	for run := range pictures {
		weights := make([]float32, nets.FlatSize(step.Graph.Params))
		nets.Initialise(step.Graph.Params, 1, weights)
		for i := range weights { // layers that begin at zero must matter, too
			weights[i] += float32((i+run)%5)*0.02 - 0.04
		}
		if err := memory.Write(step.Weights, 0, weights); err != nil {
			t.Fatal(err)
		}
		r := Request{Table: table, Seed: 9, Seeds: []int64{3, 4, 5}, Guidance: Guidance{Scale: 1}}
		err := generator.Run(context.Background(), r, func(_ int, s Sample) error {
			pixels := s.Pixels
			pictures[run] = append(pictures[run], slices.Clone(pixels)...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return pictures
}
