package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/plan"
)

// array is the file of floats that samples go to, and what it is to hold.
func (o *sampleOptions) array(j job, path string, seeds []int64, text string) (samples.Array, samples.Wanted) {
	return samples.Array{Path: path, Disk: o.disk, Overwrite: o.overwrite}, samples.Wanted{Seeds: seeds, Size: j.made, Deciding: decidingTexts, Text: func(int64) map[string]string {
		all := o.commonText(j)
		all["seed"] = text
		return all
	}}
}

// runArray is the end of run where samples go to a .npz, as floats.
func (o *sampleOptions) runArray(ctx context.Context, face console.Face, dev device.Device, j job, whole []int64) error {
	begin := time.Now()
	array, want := o.array(j, o.out, whole, o.seeds)
	lies, err := array.Look(ctx, want)
	if err != nil {
		return err
	}
	own := o.part.seeds(whole)
	if o.verifies {
		return o.verifyArray(ctx, face, dev, j, own, whole, lies)
	}
	if lies.There {
		o.done(face, samples.Found{}, len(own), 0, time.Since(begin).Seconds(), "")
		return nil
	}
	if err := device.CheckMemory(device.Need{What: "the samples", Bytes: plan.Product(4, len(whole), samples.Values(j.made))}); err != nil {
		return err
	}
	before := array.Take(want, lies)
	if o.part.of > 1 {
		return o.runArrayPart(ctx, face, dev, j, whole, before)
	}
	values, found, err := o.floatsBeside(ctx, face, dev, j, whole, before)
	if err != nil {
		return err
	}
	picture, err := array.Write(ctx, want, values, o.arrayLabels(j, whole), o.columns)
	if err != nil {
		return err
	}
	o.done(face, found, len(whole), 0, time.Since(begin).Seconds(), picture)
	return nil
}

// floatsBeside makes the samples that are not there yet, and puts them beside those that are.
func (o *sampleOptions) floatsBeside(ctx context.Context, face console.Face, dev device.Device, j job, seeds []int64, there ...samples.Taken) (values []float32, found samples.Found, err error) {
	size := samples.Values(j.made)
	values = make([]float32, len(seeds)*size)
	for i, seed := range seeds {
		missing := true
		for _, t := range there {
			if of := t.Of(seed); of != nil && missing {
				copy(values[i*size:], of)
				missing = false
			}
		}
		if missing {
			found.Missing = append(found.Missing, seed)
		}
	}
	for _, t := range there {
		if t.Cut {
			found.Broken++
		}
	}
	if len(found.Missing) == 0 {
		return values, found, nil
	}
	made, err := o.floatsOf(ctx, face, dev, j, found.Missing)
	for k, seed := range found.Missing {
		i, _ := slices.BinarySearch(seeds, seed)
		copy(values[i*size:], made[k*size:][:size])
	}
	return values, found, err
}

// floatsOf makes samples, next to each other.
func (o *sampleOptions) floatsOf(ctx context.Context, face console.Face, dev device.Device, j job, seeds []int64) ([]float32, error) {
	size := samples.Values(j.made)
	values := make([]float32, len(seeds)*size)
	return values, o.make(ctx, face, dev, j, seeds, func(i, _ int, s generate.Sample) func() error {
		copy(values[i*size:], s.Values)
		return nil
	})
}

// arrayLabels are what the model is told of each image: of no elements where that is nothing.
func (o *sampleOptions) arrayLabels(j job, seeds []int64) data.Array {
	labels, label := data.Array{Name: "labels", Shape: []int{len(seeds)}}, o.labelOf(j)
	if label == nil {
		return labels
	}
	if j.labels != nil {
		labels.Shape = append(labels.Shape, len(j.model.Labels.Names))
	}
	for _, seed := range seeds {
		switch l := label(seed); {
		case j.labels == nil:
			labels.Integers = append(labels.Integers, l.Class)
		case l.Numbers != nil:
			labels.Floats = append(labels.Floats, l.Numbers...)
		default:
			labels.Floats = append(labels.Floats, slices.Repeat([]float32{float32(math.NaN())}, labels.Shape[1])...)
		}
	}
	return labels
}

// runArrayPart makes a part of the samples, which lies beside the file until those of all parts are
// there: who finds them writes the file. before are those that the file has already.
func (o *sampleOptions) runArrayPart(ctx context.Context, face console.Face, dev device.Device, j job, whole []int64, before samples.Taken) (err error) {
	begin := time.Now()
	work := samples.Folder{Path: o.out + samples.WorkEnding, Disk: o.disk}
	if err := samples.MakeAbove(o.disk, o.out); err != nil {
		return fault.Output(err)
	}
	leave, err := work.EnterWork()
	if err != nil {
		return fault.Output(err)
	}
	written := false
	defer func() {
		if err = errors.Join(err, leave(err)); err == nil && written {
			err = work.RemoveWork()
		}
	}()
	piece := func(number int) (samples.Array, samples.Wanted) {
		seeds := part{number, o.part.of}.seeds(whole)
		return o.array(j, samples.Below(work.Path, fmt.Sprintf("%06d-of-%06d.npz", number, o.part.of)), seeds, samples.Ranges(seeds))
	}
	own, want := piece(o.part.number)
	lies, err := own.Look(ctx, want)
	if err != nil {
		return err
	}
	found := samples.Found{}
	for number := 1; number <= o.part.of && !lies.There; number++ { // what other parts have made
		of, want := piece(number)
		if _, err := of.Look(ctx, want); err != nil {
			return err
		}
	}
	if !lies.There && len(want.Seeds) > 0 {
		var values []float32
		values, found, err = o.floatsBeside(ctx, face, dev, j, want.Seeds, own.Take(want, lies), before)
		if err == nil {
			err = own.Put(ctx, want, values, data.Array{})
		}
		if err != nil {
			return err
		}
	}
	values, left, picture := make([]float32, len(whole)*samples.Values(j.made)), 0, ""
	for number := 1; number <= o.part.of; number++ {
		n, err := o.takePiece(ctx, piece, number, values)
		if err != nil {
			return err
		}
		left += n
	}
	if left == 0 {
		array, all := o.array(j, o.out, whole, o.seeds)
		if picture, err = array.Write(ctx, all, values, o.arrayLabels(j, whole), o.columns); err != nil {
			return err
		}
		written = true
	}
	o.done(face, found, len(want.Seeds), left, time.Since(begin).Seconds(), picture)
	return nil
}

// takePiece puts the samples of a part to their places among all; left is how many it lacks.
func (o *sampleOptions) takePiece(ctx context.Context, piece func(int) (samples.Array, samples.Wanted), number int, values []float32) (left int, err error) {
	of, want := piece(number)
	lies, err := of.Look(ctx, want)
	if err != nil || !lies.There {
		return len(want.Seeds), err
	}
	own, err := of.Read(want)
	size := samples.Values(want.Size)
	for i := 0; i < len(own); i += size {
		copy(values[(i/size*o.part.of+number-1)*size:], own[i:i+size])
	}
	return 0, err
}

// verifyArray holds a file of floats against what the command would make: all must be there, of these
// settings, and finite; one in a thousand is made again and compared.
func (o *sampleOptions) verifyArray(ctx context.Context, face console.Face, dev device.Device, j job, own, whole []int64, lies samples.Lying) error {
	if !lies.There {
		problem := "is not there; the same command without --verify makes it"
		switch {
		case lies.Cut:
			problem = "is not whole; the same command without --verify makes it again"
		case lies.Has != nil:
			problem = fmt.Sprintf("has the samples of seeds %s, of %s that are asked for; the same command without --verify makes what is missing", samples.Ranges(lies.Has), samples.Ranges(whole))
		}
		return &data.Error{Path: o.out, Problem: problem}
	}
	if len(own) == 0 {
		return fault.Usagef("--part %v of the images has none; want fewer parts", o.part)
	}
	set, err := data.Open(o.out, data.Options{CacheBytes: 1, Labels: data.NoLabels})
	if err != nil {
		return err
	}
	defer set.Close()
	if h, w, c := set.Shape(); set.Len() != len(whole) || [3]int{h, w, c} != j.made || set.Kind() != data.Floats {
		return &data.Error{Path: o.out, Problem: fmt.Sprintf("holds %d samples of %d×%d×%d %v; want %d of %s float32: it was changed by another program", set.Len(), h, w, c, set.Kind(), len(whole), sizeText(j.made))}
	}
	stored := func(seed int64) ([]float32, error) {
		e := data.NewExample(set)
		i, _ := slices.BinarySearch(whole, seed)
		return e.Floats, set.Read(i, e)
	}
	for _, seed := range own {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if _, err := stored(seed); err != nil {
			return err
		}
	}
	again := toMakeAgain(own)
	made, err := o.floatsOf(ctx, face, dev, j, again)
	if err != nil {
		return err
	}
	var wrong []string
	for i, seed := range again {
		size := samples.Values(j.made)
		values, err := stored(seed)
		if err != nil {
			return err
		}
		if !slices.Equal(values, made[i*size:][:size]) {
			wrong = append(wrong, fmt.Sprintf("sample %d", seed))
		}
	}
	if len(wrong) == 0 && strings.EqualFold(filepath.Ext(o.out), ".npz") {
		if err := data.CheckNPZ(o.out); err != nil {
			return err
		}
	}
	return o.verified(face, o.out, len(own), len(again), wrong)
}
