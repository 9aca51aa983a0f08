package generate

import (
	"bytes"
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

// TestShapes: an image among others of several sizes is the one that is made alone, of its own seed,
// class and size; each is told once, and progress rises to all.
func TestShapes(t *testing.T) {
	d, err := device.NewCPU(2, "")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	config, err := unet.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	config = config.WithSize(8).WithClasses(classes + 1)
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sampler.Get("ddim")
	if err != nil {
		t.Fatal(err)
	}
	table, err := s.Plan(p, sampler.Options{Steps: 3})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := table.Memory(update.MaxHistory)
	if err != nil {
		t.Fatal(err)
	}
	made := func(sizes []Size, seeds []int64, told []int) [][]byte {
		t.Helper()
		shapes, err := NewShapes(Options{Network: config, Batch: 2, Slots: kept.Slots, Calls: len(table.Rows), Target: d.Target(), Precision: number.Float32}, sizes)
		if err != nil {
			t.Fatal(err)
		}
		memory, err := d.Alloc(shapes.Sizes())
		if err != nil {
			t.Fatal(err)
		}
		defer memory.Free()
		weights := make([]float32, nets.FlatSize(shapes.Steps[0].Graph.Params))
		nets.Initialise(shapes.Steps[0].Graph.Params, 1, weights)
		for i := range weights { // layers that begin at zero must matter, too
			weights[i] += float32(i%5)*0.02 - 0.04
		}
		if err := memory.Write(shapes.Steps[0].Weights, 0, weights); err != nil {
			t.Fatal(err)
		}
		g, err := shapes.Load(d, memory)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Free()
		got, last := make([][]byte, len(sizes)), 0.0
		r := Request{Table: table, Seed: 9, Seeds: seeds, Classes: told, NullClass: classes, Guidance: Guidance{Scale: 1}, Step: func(done, of int) {
			if share := float64(done) / float64(of); share < last || share >= 1 {
				t.Errorf("%d of %d are done, behind a share of %.2f", done, of, last)
			} else {
				last = share
			}
		}}
		err = g.Run(t.Context(), r, func(i int, s Sample) error {
			if got[i] != nil || len(s.Pixels) != 3*sizes[i].Height*sizes[i].Width {
				t.Errorf("image %d of %v has %d values, or comes again", i, sizes[i], len(s.Pixels))
			}
			got[i] = slices.Clone(s.Pixels)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	square, wide, high := Size{8, 8}, Size{4, 12}, Size{12, 4}
	sizes, seeds, told := []Size{wide, square, wide, high, wide, square}, []int64{4, 7, 1, 0, 2, 3}, []int{0, 1, 2, 0, 1, 2}
	all := made(sizes, seeds, told)
	for i := range sizes {
		if alone := made(sizes[i:i+1], seeds[i:i+1], told[i:i+1]); !bytes.Equal(alone[0], all[i]) {
			t.Errorf("image %d of %v is another among others", i, sizes[i])
		}
	}
}
