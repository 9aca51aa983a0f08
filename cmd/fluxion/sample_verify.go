package main

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"path/filepath"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/generate"
)

// verifyOneIn is of how many pictures one is made again.
const verifyOneIn = 1000

// verify holds the pictures that are there against what the command would make: all must be
// there, of these settings, and decode; one in a thousand is made again and compared.
func (o *sampleOptions) verify(ctx context.Context, face console.Face, dev device.Device, j job, folder samples.Folder, found samples.Found, seeds []int64) error {
	if n := len(found.Missing); n > 0 {
		others := ""
		if n > 1 {
			others = fmt.Sprintf(", nor are %d others of the %d", n-1, len(seeds))
		}
		return &data.Error{Path: folder.File(found.Missing[0]), Problem: fmt.Sprintf("is not there or not whole%s; the same command without --verify makes what is missing", others)}
	}
	for _, seed := range seeds {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if _, _, _, _, err := data.ReadPNG(folder.File(seed)); err != nil {
			return err
		}
	}
	if len(seeds) == 0 {
		return fault.Usagef("--part %v of the images has none; want fewer parts", o.part)
	}
	return o.makeAgain(ctx, face, dev, j, folder.Path, seeds, func(seed int64) ([]byte, error) { return folder.Read(ctx, seed) })
}

// toMakeAgain are the pictures that are compared: one in a thousand.
func toMakeAgain(seeds []int64) []int64 {
	again := make([]int64, (len(seeds)+verifyOneIn-1)/verifyOneIn)
	for i := range again {
		again[i] = seeds[data.Spread(len(seeds), len(again), i)]
	}
	return again
}

// makeAgain makes some pictures again and compares them with those that are there.
func (o *sampleOptions) makeAgain(ctx context.Context, face console.Face, dev device.Device, j job, out string, seeds []int64, there func(seed int64) ([]byte, error)) error {
	again := toMakeAgain(seeds)
	var wrong []string
	err := o.make(ctx, face, dev, j, again, func(i, class int, s generate.Sample) func() error {
		name := filepath.Base(o.folder(j).File(again[i]))
		made, err := o.encoder(s, j.madeOf(again[i]), j.textOf(again[i], class))()
		same := false
		if err == nil {
			same, err = samePicture(out, name, made, func() ([]byte, error) { return there(again[i]) })
		}
		if err == nil && !same {
			wrong = append(wrong, name)
		}
		return func() error { return err }
	})
	if err != nil {
		return err
	}
	return o.verified(face, out, len(seeds), len(again), wrong)
}

// verified tells of images that are there, some of which were made again.
func (o *sampleOptions) verified(face console.Face, out string, images, again int, wrong []string) error {
	if len(wrong) > 0 {
		return &data.Error{Path: out, Problem: fmt.Sprintf("%s of %d pictures that were made again are not what is made here; another processor or program may have made them, or changed them", console.Abridged(wrong, 3), again)}
	}
	face.Event("verified", map[string]any{"images": images, "again": again, "out": o.out},
		fmt.Sprintf("%d images in %s: all there, of these settings, and whole; %d made again, with the same bytes", images, o.out, again))
	return nil
}

// samePicture says whether a file is a picture with these bytes, or with these pixels: what
// is noted in it of the program decides nothing.
func samePicture(out, name string, made []byte, read func() ([]byte, error)) (bool, error) {
	there, err := read()
	if err != nil || bytes.Equal(there, made) {
		return err == nil, err
	}
	a, err := png.Decode(bytes.NewReader(there))
	if err != nil {
		return false, &data.Error{Path: filepath.Join(out, name), Problem: "is no whole PNG", Err: err}
	}
	b, err := png.Decode(bytes.NewReader(made))
	if err != nil || a.Bounds() != b.Bounds() {
		return false, err
	}
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			if a.At(x, y) != b.At(x, y) {
				return false, nil
			}
		}
	}
	return true, nil
}

// checkVerify says what --verify does not go with.
func (o *sampleOptions) checkVerify() error {
	switch {
	case !o.verifies:
		return nil
	case o.overwrite:
		return fault.Usagef("--verify makes nothing, and --overwrite makes pictures anew; want one of the two")
	}
	return nil
}
