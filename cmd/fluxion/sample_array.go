package main

import (
	"context"
	"math"
	"slices"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/plan"
)

// runArray is the end of run where samples go to a .npz, as floats.
func (o *sampleOptions) runArray(ctx context.Context, face console.Face, dev device.Device, j job, seeds []int64) error {
	begin := time.Now()
	array := samples.Array{Path: o.out, Disk: o.disk, Overwrite: o.overwrite}
	want := samples.Wanted{Seeds: seeds, Size: j.made, Deciding: decidingTexts, Text: func(int64) map[string]string {
		text := o.commonText(j)
		text["seed"] = o.seeds
		return text
	}}
	there, err := array.Look(ctx, want)
	if err != nil {
		return err
	}
	if there {
		o.done(face, samples.Found{}, len(seeds), 0, time.Since(begin).Seconds(), "")
		return nil
	}
	size := j.made[0] * j.made[1] * j.made[2]
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
	labels := data.Array{Name: "labels", Shape: []int{len(seeds)}, Integers: classes}
	if l := j.labels; l != nil {
		labels.Shape = append(labels.Shape, len(j.model.Labels.Names))
		for _, seed := range seeds {
			if of := l.of(seed); of != nil {
				labels.Floats = append(labels.Floats, of...)
			} else {
				labels.Floats = append(labels.Floats, slices.Repeat([]float32{float32(math.NaN())}, labels.Shape[1])...)
			}
		}
	}
	picture, err := array.Write(ctx, want, values, labels, o.columns)
	if err != nil {
		return err
	}
	o.done(face, samples.Found{Missing: seeds}, len(seeds), 0, time.Since(begin).Seconds(), picture)
	return nil
}
