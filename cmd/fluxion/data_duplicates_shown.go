package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/data/likeness"
	"fluxion/data/stable"
)

// found is what there is to tell of a set.
type found struct {
	set     data.Dataset
	spec    string
	options *duplicatesOptions
	numbers []int // in the set, of the images that could be read
	classes []int
	groups  [][]likeness.Member
	notes   []string
}

// shownDuplicates is the result in JSON.
type shownDuplicates struct {
	Event       string       `json:"event"`
	Data        string       `json:"data"`
	Images      int          `json:"images"`
	Threshold   int          `json:"threshold"`
	Correlation float64      `json:"correlation"`
	Duplicates  int          `json:"duplicates"` // images beside the first of each group
	Share       float64      `json:"share"`      // of these
	Mixed       int          `json:"mixed"`      // groups of several classes
	Groups      []shownGroup `json:"groups"`
	Sheet       string       `json:"sheet,omitempty"`
	Notes       []string     `json:"notes"`
	Seconds     float64      `json:"seconds"`
}

type shownGroup struct {
	Mixed  bool         `json:"mixed"`
	Images []shownImage `json:"images"`
}

type shownImage struct {
	Index       int     `json:"index"`
	Name        string  `json:"name"`
	Class       string  `json:"class,omitempty"`
	Near        string  `json:"near"` // the image most like it
	Bits        int     `json:"bits"` // in which their hashes differ
	Correlation float64 `json:"correlation"`
}

// result names what was found. Groups are in the order of the set.
func (f *found) result(took time.Duration) shownDuplicates {
	r := shownDuplicates{
		Event: "done", Data: f.spec, Images: len(f.numbers), Threshold: f.options.alike.Bits, Correlation: f.options.alike.Correlation, Groups: []shownGroup{},
		Sheet: f.options.sheet, Notes: orEmpty(f.notes), Seconds: took.Seconds(),
	}
	for _, g := range f.groups {
		var shown shownGroup
		class := -1 // −1 is none
		for _, m := range g {
			c := f.classes[m.Index]
			shown.Mixed = shown.Mixed || class >= 0 && c >= 0 && c != class
			class = max(class, c)
			image := shownImage{f.numbers[m.Index], f.name(m.Index), "", f.name(m.Near), m.Bits, m.Correlation}
			if c >= 0 {
				image.Class = f.set.Classes()[c]
			}
			shown.Images = append(shown.Images, image)
		}
		if shown.Mixed {
			r.Mixed++
		}
		r.Duplicates += len(g) - 1
		r.Groups = append(r.Groups, shown)
	}
	r.Share = float64(r.Duplicates) / float64(r.Images)
	return r
}

func (f *found) name(i int) string { return data.NameOf(f.set, f.numbers[i]) }

// groupsShown is how many groups a person is shown.
const groupsShown = 100

func (f *found) show(face console.Face, took time.Duration) error {
	r := f.result(took)
	return face.Result(r, func(out io.Writer) error {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for i, g := range r.Groups[:min(len(r.Groups), groupsShown)] {
			if i == 0 {
				fmt.Fprintln(w, "group\timage\tclass\tmost like\tbits\tcorrelation")
			}
			for _, m := range g.Images {
				fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%.3f\n", i+1, console.Visible(m.Name), console.Visible(m.Class), console.Visible(m.Near), m.Bits, m.Correlation)
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		var lines []string
		if more := len(r.Groups) - groupsShown; more > 0 {
			lines = append(lines, fmt.Sprintf("… and %s more groups: --json lists all", console.Thousands(int64(more))))
		}
		for _, n := range r.Notes {
			lines = append(lines, console.Visible(noteLine(n)))
		}
		lines = append(lines, fmt.Sprintf("%s of %s images of %s are nearly the same as one before them, %.3g %%, in %s: at most %d bits, correlation %g or more; %.1f s",
			console.Thousands(int64(r.Duplicates)), console.Thousands(int64(r.Images)), r.Data, 100*r.Share, plural(len(r.Groups), "group"), r.Threshold, r.Correlation, r.Seconds))
		if r.Mixed > 0 {
			lines = append(lines, fmt.Sprintf("groups of several classes: %s", console.Thousands(int64(r.Mixed))))
		}
		if r.Sheet != "" {
			lines = append(lines, "sheet       "+r.Sheet)
		}
		for _, line := range lines {
			if _, err := fmt.Fprintln(out, line); err != nil {
				return err
			}
		}
		return nil
	})
}

// duplicatesText is what a sheet holds as text, so that another one may take its place.
var duplicatesText = map[string]string{"fluxion": "duplicates"}

// pairsShown is how many pairs a sheet has, pairColumns how many in a row.
const pairsShown, pairColumns = 100, 5

// draw writes a sheet of pairs, the most alike first: evenly spaced ones where there are
// more than fit, so that the least alike tell whether the threshold is right.
func (f *found) draw() error {
	var pairs []likeness.Member
	for _, g := range f.groups {
		of := map[int]int{}
		for _, m := range g {
			of[m.Index] = m.Near
		}
		for _, m := range g {
			if m.Index < m.Near || of[m.Near] != m.Index { // a pair is drawn once
				pairs = append(pairs, m)
			}
		}
	}
	if len(pairs) == 0 {
		f.options.sheet = ""
		f.notes = append(f.notes, "nothing was found, so there is no sheet")
		return nil
	}
	stable.Sort(pairs, func(a, b likeness.Member) int { return cmp.Compare(b.Correlation, a.Correlation) })
	_, _, channels := f.set.Shape()
	example := data.NewExample(f.set)
	var tiles []data.Tile
	n := min(len(pairs), pairsShown)
	for i := range n {
		m := pairs[i*len(pairs)/n]
		for _, at := range []int{m.Index, m.Near} {
			size, err := example.ReadShaped(f.set, f.numbers[at])
			if err != nil {
				return err
			}
			tiles = append(tiles, data.Tile{Pixels: data.Pixels{Bytes: slices.Clone(example.Bytes)}, Size: size, Channels: channels})
		}
	}
	file, err := data.EncodeTiles(tiles, 2*pairColumns, duplicatesText)
	if err != nil {
		return fmt.Errorf("the sheet cannot be encoded: %w", err)
	}
	return fault.Output(durable.Disk{}.WriteFile(f.options.sheet, file))
}
