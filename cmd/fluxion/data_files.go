package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"fluxion/data"
	"fluxion/data/stable"
)

// shownFiles is what the headers of a set's files say.
type shownFiles struct {
	Formats map[string]int `json:"formats"` // of the files whose headers were looked at
	Sizes   []shownSize    `json:"sizes"`   // of these, the most frequent first
	Headers int            `json:"headers"`
}

type shownSize struct {
	Width  int `json:"width"`
	Height int `json:"height"`
	Files  int `json:"files"`
}

// filesOf reads the headers of at most k files, evenly spread; those that cannot be read are left out.
func filesOf(ctx context.Context, set data.Dataset, k int) (shownFiles, error) {
	f, sizes := shownFiles{Formats: map[string]int{}, Sizes: []shownSize{}}, map[[2]int]int{}
	for _, i := range evenly(set.Len(), k) {
		if err := context.Cause(ctx); err != nil {
			return f, err
		}
		h, there, err := data.HeaderOf(set, i)
		if !there {
			return f, nil
		}
		if err != nil { // told where images are read
			continue
		}
		f.Headers++
		f.Formats[fmt.Sprintf("%s %d bit", h.Format, h.Bits)]++
		sizes[[2]int{h.Width, h.Height}]++
	}
	for s, n := range sizes {
		f.Sizes = append(f.Sizes, shownSize{s[0], s[1], n})
	}
	stable.Sort(f.Sizes, func(a, b shownSize) int {
		return cmp.Or(b.Files-a.Files, a.Width-b.Width, a.Height-b.Height)
	})
	return f, nil
}

// maxSide of the squares that images of several sizes are looked at in.
const maxSide = 256

// medianSide is the shorter side of the middle file.
func medianSide(sizes []shownSize) int {
	var sides []int
	for _, s := range sizes {
		sides = append(sides, slices.Repeat([]int{min(s.Width, s.Height)}, s.Files)...)
	}
	if len(sides) == 0 {
		return 0
	}
	slices.Sort(sides)
	return min(sides[len(sides)/2], maxSide)
}

// openInOneSize opens a set so that its images can be looked at although its files have several sizes and no --size was
// given: in squares, of which the last note tells. At most k headers are read for that.
func (o *setOptions) openInOneSize(ctx context.Context, spec string, k int) (set data.Dataset, f shownFiles, notes []string, err error) {
	if set, err = o.open(spec); err != nil {
		return nil, f, nil, err
	}
	notes = append([]string{}, data.Notes(set)...)
	if f, err = filesOf(ctx, set, k); err != nil {
		set.Close()
		return nil, f, nil, err
	}
	if o.Size != (data.Size{}) || len(f.Sizes) < 2 {
		return set, f, notes, nil
	}
	set.Close()
	of := o.Options
	of.Size = data.Square(medianSide(f.Sizes))
	set, err = data.Open(spec, of)
	return set, f, append(notes, fmt.Sprintf("files are of several sizes, so train wants a --size: what follows is of squares of %d", of.Size.Height)), err
}

// headersLooked are read of a set that must have one size, before anything else is done with it.
const headersLooked = 100

// sizesApart refuses a set whose files have several sizes; like is the --size that it advises, or "" for theirs.
func sizesApart(path string, set data.Dataset, like string) error {
	f, err := filesOf(context.Background(), set, headersLooked)
	if err != nil || len(f.Sizes) < 2 {
		return err
	}
	a, b := f.Sizes[0], f.Sizes[1]
	return &data.Error{Path: path, Problem: fmt.Sprintf("has pictures of several sizes, such as %d×%d and %d×%d; give --size to bring all to one, such as --size %s",
		a.Width, a.Height, b.Width, b.Height, cmp.Or(like, fmt.Sprint(medianSide(f.Sizes))))}
}
