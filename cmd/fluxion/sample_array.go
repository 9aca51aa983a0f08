package main

import (
	"context"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/plan"
)

// runArray is the end of run where samples go to a .npz, as floats.
func (o *sampleOptions) runArray(ctx context.Context, face console.Face, dev device.Device, j job, seeds []int64) error {
	begin := time.Now()
	array := samples.Array{Path: o.out, Disk: o.disk, Overwrite: o.overwrite}
	want := samples.Wanted{Seeds: seeds, Size: j.size, Deciding: decidingTexts, Text: func(int64) map[string]string {
		text := map[string]string{"seed": o.seeds, "class": o.class}
		for key, value := range j.text {
			text[key] = value
		}
		if j.noise != nil && j.noise.given {
			text["noise"] = digest(j.noise.values)
		}
		return text
	}}
	there, err := array.Look(want)
	if err != nil {
		return err
	}
	if there {
		o.done(face, samples.Found{}, len(seeds), time.Since(begin).Seconds(), "")
		return nil
	}
	size := j.size[0] * j.size[1] * j.size[2]
	if err := device.CheckMemory(device.Need{What: "the samples", Bytes: plan.Product(4, len(seeds), size)}); err != nil {
		return err
	}
	values, classes := make([]float32, len(seeds)*size), []int64(nil)
	known := j.model.Network.Spec().Classes
	err = o.make(ctx, face, dev, j, seeds, func(i, class int, s generate.Sample) func() error {
		copy(values[i*size:], s.Values)
		if known > 0 {
			if j.model.Guided && class == known-1 {
				class = -1
			}
			classes = append(classes, int64(class))
		}
		return nil
	})
	if err != nil {
		return err
	}
	picture, err := array.Write(want, values, classes, o.columns)
	if err != nil {
		return err
	}
	o.done(face, samples.Found{Missing: seeds}, len(seeds), time.Since(begin).Seconds(), picture)
	return nil
}
