package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data"
	"fluxion/data/likeness"
	"fluxion/data/setting"
	"fluxion/engine/device"
	"fluxion/engine/plan"

	"github.com/spf13/cobra"
)

type duplicatesOptions struct {
	likeness.Options
	size             int
	skipBroken, json bool
	sheet            string
}

func newDataDuplicates() *cobra.Command {
	o := &duplicatesOptions{Options: likeness.Options{Bits: 8, Correlation: 0.9}}
	c := &cobra.Command{
		Use:   "duplicates DATA",
		Short: "Find images that are nearly the same",
		Long: `Find images that are nearly the same. The pHash of an image is 64 bits of its coarse
structure, which other sizes, colours, sharpness or compression leave almost alone.
Two images are nearly the same if their hashes differ in at most --threshold bits
(unrelated ones differ in about 32) and their grey pixels, at 16 × 16, correlate by
--correlation or more, whatever their brightness and contrast. All that are so, by
one or by several steps, are one group. Mirrored images and crops are not found.

Of digits and other line drawings many are that much alike without being copies:
--correlation 0.99 leaves the copies. Groups whose images are of several classes are
named, for one of the labels is wrong.`,
		Example: "  fluxion data duplicates cifar10/train.zip --sheet duplicates.png\n  fluxion data duplicates ~/pictures --size 64 --correlation 0.95 --json",
		Args: func(_ *cobra.Command, args []string) error {
			if n := len(args); n != 1 {
				return fault.Usagef("data duplicates takes DATA, and there are %d arguments; DATA is %s", n, data.Usage())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json), args[0])
		},
	}
	c.Flags().SortFlags = false
	settings.Bind(c, setting.List{
		{Key: "threshold", Value: setting.Of(&o.Bits), Own: true, Help: "most bits in which hashes differ", Range: setting.Within(0, likeness.MaxRadius, "")},
		{Key: "correlation", Value: setting.Of(&o.Correlation), Own: true, Help: "least correlation of the pixels", Range: setting.Share("a number from 0 to 1")},
		{Key: "size", Value: setting.Of(&o.size), Own: true, Help: "side to which images are cropped and scaled first, as train does it; for pictures of several sizes", Range: setting.Within(0, data.MaxSide, "")},
		{Key: "sheet", Value: setting.Of(&o.sheet), Own: true, Help: "FILE.png for a sheet of what was found, each image beside the one most like it"},
		{Key: "skip_broken", Value: setting.Of(&o.skipBroken), Own: true, Help: "leave out images that cannot be decoded; a note names each"},
	})
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object per event and nothing else")
	return c
}

func (o *duplicatesOptions) run(ctx context.Context, face console.Face, spec string) error {
	if o.sheet != "" && !strings.HasSuffix(strings.ToLower(o.sheet), ".png") {
		return fault.Usagef("--sheet %s: want a name that ends in .png", o.sheet)
	}
	begin := time.Now()
	set, err := data.Open(spec, data.Options{Size: o.size, CacheBytes: 1}) // images are read once
	if err != nil {
		return err
	}
	defer set.Close()
	if _, _, channels := set.Shape(); set.Kind() != data.Bytes || channels != 1 && channels != 3 {
		return fault.Usagef("%s holds numbers, not pictures: want pictures", spec)
	}
	if err := roomForSheet("--sheet", o.sheet, duplicatesText); err != nil {
		return err
	}
	f := &found{set: set, spec: spec, options: o, notes: data.Notes(set)}
	marks, err := o.look(ctx, face, f)
	if err != nil {
		return err
	}
	if f.groups, err = likeness.Groups(ctx, marks, o.Options); err != nil {
		return err
	}
	if o.sheet != "" {
		if err := f.draw(); err != nil {
			return err
		}
	}
	return f.show(face, time.Since(begin))
}

// look reads all images, and returns what is kept of those that can be read.
func (o *duplicatesOptions) look(ctx context.Context, face console.Face, f *found) ([]likeness.Mark, error) {
	height, width, channels := f.set.Shape()
	n := f.set.Len()
	const perImage = 4 * 300 // what is kept, and what is looked up by
	if err := device.CheckMemory(device.Need{What: "what is kept of the images", Bytes: plan.Product(n, perImage)}); err != nil {
		return nil, err
	}
	marks, classes, broken := make([]likeness.Mark, n), make([]int, n), make([]string, n)
	err := look(ctx, face, f.spec, f.set, evenly(n, n), func() func(int, *data.Example) {
		hasher := likeness.NewHasher(height, width, channels)
		return func(i int, e *data.Example) { marks[i], classes[i] = hasher.Mark(e.Bytes), e.Class }
	}, func(i int, err *data.Error) error {
		if !o.skipBroken {
			return err
		}
		broken[i] = err.Path
		return nil
	})
	if err != nil {
		return nil, err
	}
	kept := marks[:0]
	for i := range n {
		if broken[i] != "" {
			f.notes = append(f.notes, broken[i]+" cannot be read and is left out")
			continue
		}
		kept = append(kept, marks[i])
		f.numbers, f.classes = append(f.numbers, i), append(f.classes, classes[i])
	}
	if len(kept) == 0 {
		return nil, &data.Error{Path: f.spec, Problem: fmt.Sprintf("has no image that can be read, of %d", n)}
	}
	return kept, nil
}
