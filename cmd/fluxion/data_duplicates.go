package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/data/likeness"
	"fluxion/engine/device"
	"fluxion/engine/plan"

	"github.com/spf13/cobra"
)

type duplicatesOptions struct {
	setOptions
	alike      likeness.Options
	skipBroken bool
	sheet      string
}

func newDataDuplicates() *cobra.Command {
	o := &duplicatesOptions{}
	c := &cobra.Command{
		Use:   "duplicates DATA",
		Short: "Find images that are nearly the same",
		Long: `Find images that are nearly the same. The pHash of an image is 64 bits of its coarse
structure, which other sizes, colours, sharpness or compression leave almost alone.
Two images are nearly the same if their hashes differ in at most --threshold bits
(unrelated ones differ in about 32) and their grey pixels, at 16 × 16, correlate by
--correlation or more, whatever their brightness and contrast. All that are so, by
one or by several steps, are one group. Mirrored images and crops are not found.

Without --size, files of several sizes are compared in squares of one.

Of digits and other line drawings many are that much alike without being copies:
--correlation 0.99 leaves the copies. Groups whose images are of several classes are
named, for one of the labels is wrong.`,
		Example: "  fluxion data duplicates cifar10/train.zip --sheet duplicates.png\n  fluxion data duplicates ~/pictures --correlation 0.95 --json",
		Args:    oneSet("duplicates"),
		RunE: func(c *cobra.Command, args []string) error {
			return o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json), args[0])
		},
	}
	o.bind(c, append(likenessSettings(&o.alike, ""), sheetSetting(&o.sheet, "what was found, each image beside the one most like it"), skipBrokenSetting(&o.skipBroken))...)
	return c
}

func (o *duplicatesOptions) run(ctx context.Context, face console.Face, spec string) error {
	if err := checkSheet(o.sheet); err != nil {
		return err
	}
	begin := time.Now()
	set, _, notes, err := o.openInOneSize(ctx, spec, math.MaxInt)
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
	f := &found{set: set, spec: spec, options: o, notes: notes}
	marks, err := o.look(ctx, face, f)
	if err != nil {
		return err
	}
	if f.groups, err = groups(ctx, face, marks, o.alike); err != nil {
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
	_, _, channels := f.set.Shape()
	n := f.set.Len()
	const perImage = 4 * 300 // what is kept, and what is looked up by
	if err := device.CheckMemory(device.Need{What: "what is kept of the images", Bytes: plan.Product(n, perImage)}); err != nil {
		return nil, err
	}
	marks, classes, broken := make([]likeness.Mark, n), make([]int, n), make([]string, n)
	err := look(ctx, face, f.spec, f.set, evenly(n, n), func() func(int, *data.Example) {
		by := hashers{}
		return func(i int, e *data.Example) { marks[i], classes[i] = by.mark(e, channels), e.Class }
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
