package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/data/likeness"
	"fluxion/data/setting"
	"fluxion/data/stable"
	"fluxion/data/survey"
	"fluxion/engine/device"
	"fluxion/engine/plan"

	"github.com/spf13/cobra"
)

type checkOptions struct {
	setOptions
	alike   likeness.Options
	unalike float64
	sheet   string
}

func newDataCheck() *cobra.Command {
	o := &checkOptions{unalike: 6}
	c := &cobra.Command{
		Use:   "check DATA",
		Short: "Find what is broken, there twice, or unlike the rest",
		Long: `Read all images of a set, as train takes them, and tell which cannot be read, which are
nearly the same as one before (data duplicates tells more of them), and which are unlike
the rest: flat, or so bright or dark, of so much or little contrast or detail, that they
are --unalike deviations or more from the median of all, by the median of deviations.

Without --size, files of several sizes are looked at in squares of one.

It ends with code 3 if an image cannot be read: train stops there, too, unless it is told
to --skip-broken. What is alike or unlike is for you to judge: the sheet shows the most
unlike ones first.`,
		Example: "  fluxion data check ~/pictures --sheet unlike.png\n  fluxion data check cifar10/train.zip --json",
		Args:    oneSet("check"),
		RunE: func(c *cobra.Command, args []string) error {
			return o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json), args[0])
		},
	}
	o.bind(c, append(likenessSettings(&o.alike, ""),
		setting.Setting{Key: "unalike", Value: setting.Of(&o.unalike), Own: true, Help: "deviations from the median from which on an image is unlike the rest", Range: setting.Positive},
		sheetSetting(&o.sheet, "the images that are most unlike the rest"),
	)...)
	return c
}

// shownCheck is the result in JSON.
type shownCheck struct {
	Event      string         `json:"event"`
	Data       string         `json:"data"`
	Images     int            `json:"images"`
	Broken     []shownBroken  `json:"broken"`
	Duplicates int            `json:"duplicates"`
	Groups     int            `json:"duplicate_groups"`
	Compared   bool           `json:"compared"` // duplicates were looked for
	Outliers   []shownOutlier `json:"outliers"`
	Notes      []string       `json:"notes"`
	Sheet      string         `json:"sheet,omitempty"`
	Seconds    float64        `json:"seconds"`
}

type shownBroken struct {
	Index int    `json:"index"`
	Name  string `json:"name"`
	Why   string `json:"why"`
}

type shownOutlier struct {
	Index int      `json:"index"`
	Name  string   `json:"name"`
	Trait string   `json:"trait"`
	Value float64  `json:"value"`
	Score *float64 `json:"score"` // null: flat
}

func (o *checkOptions) run(ctx context.Context, face console.Face, spec string) error {
	if err := checkSheet(o.sheet); err != nil {
		return err
	}
	begin := time.Now()
	set, _, notes, err := o.openInOneSize(ctx, spec, math.MaxInt)
	if err != nil {
		return err
	}
	defer set.Close()
	if err := roomForSheet("--sheet", o.sheet, checkText); err != nil {
		return err
	}
	r := &shownCheck{Event: "done", Data: spec, Images: set.Len(), Broken: []shownBroken{}, Outliers: []shownOutlier{}, Notes: notes}
	if err := o.look(ctx, face, set, r); err != nil {
		return err
	}
	if o.sheet != "" && len(r.Outliers) > 0 {
		if err := o.draw(set, r); err != nil {
			return err
		}
	}
	r.Seconds = time.Since(begin).Seconds()
	if err := face.Result(r, r.text); err != nil {
		return err
	}
	if n := len(r.Broken); n > 0 {
		return &data.Error{Path: spec, Problem: fmt.Sprintf("%d of %d images cannot be read; replace them, or train with --skip-broken", n, r.Images)}
	}
	return nil
}

// look reads all images.
func (o *checkOptions) look(ctx context.Context, face console.Face, set data.Dataset, r *shownCheck) error {
	height, width, channels := set.Shape()
	n := set.Len()
	const perImage = 4*300 + 4*48 // marks and traits, and what they are sorted in
	if err := device.CheckMemory(device.Need{What: "what is kept of the images", Bytes: plan.Product(n, perImage)}); err != nil {
		return err
	}
	r.Compared = set.Kind() == data.Bytes && (channels == 1 || channels == 3)
	marks, traits, whole := make([]likeness.Mark, n), make([]survey.Traits, n), make([]bool, n)
	err := look(ctx, face, r.Data, set, evenly(n, n), func() func(int, *data.Example) {
		by, room := hashers{}, make([]float32, height*width*channels)
		return func(i int, e *data.Example) {
			if r.Compared {
				marks[i] = by.mark(e, channels)
			}
			values := room[:e.Len()]
			e.Values(values)
			traits[i], whole[i] = survey.TraitsOf(values, e.Size.Height, e.Size.Width, channels), true
		}
	}, func(i int, err *data.Error) error {
		r.Broken = append(r.Broken, shownBroken{i, data.NameOf(set, i), err.Error()})
		return nil
	})
	if err != nil {
		return err
	}
	stable.Sort(r.Broken, func(a, b shownBroken) int { return a.Index - b.Index })
	var numbers []int
	for i, w := range whole {
		if w {
			marks[len(numbers)], traits[len(numbers)] = marks[i], traits[i]
			numbers = append(numbers, i)
		}
	}
	if r.Compared {
		groups, err := groups(ctx, face, marks[:len(numbers)], o.alike)
		if err != nil {
			return err
		}
		r.Groups = len(groups)
		for _, g := range groups {
			r.Duplicates += len(g) - 1
		}
	}
	for _, u := range survey.Outliers(traits[:len(numbers)], o.unalike) {
		i := numbers[u.Index]
		shown := shownOutlier{Index: i, Name: data.NameOf(set, i), Trait: u.Trait, Value: u.Value}
		if !math.IsInf(u.Score, 0) {
			shown.Score = &u.Score
		}
		r.Outliers = append(r.Outliers, shown)
	}
	return nil
}

// checkText is what a sheet holds as text, so that another one may take its place.
var checkText = map[string]string{"fluxion": "unlike"}

// draw writes a sheet of the images that are most unlike the rest.
func (o *checkOptions) draw(set data.Dataset, r *shownCheck) error {
	var numbers []int
	for _, u := range r.Outliers {
		if !slices.Contains(numbers, u.Index) && len(numbers) < sheetImages {
			numbers = append(numbers, u.Index)
		}
	}
	file, err := gridOf(set, numbers, checkText)
	if err != nil || file == nil {
		return err
	}
	r.Sheet = o.sheet
	return fault.Output(durable.Disk{}.WriteFile(o.sheet, file))
}

// linesShown is how many images of a kind a person is shown.
const linesShown = 20

func (r *shownCheck) text(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	number := func(n int) string { return console.Thousands(int64(n)) }
	for i, b := range r.Broken {
		if i == linesShown {
			fmt.Fprintf(w, "broken\t… and %s more: --json lists all\n", number(len(r.Broken)-i))
			break
		}
		fmt.Fprintf(w, "broken\t%s\n", console.Visible(b.Why))
	}
	for i, u := range r.Outliers {
		if i == linesShown {
			fmt.Fprintf(w, "unlike\t… and %s more: --json lists all\n", number(len(r.Outliers)-i))
			break
		}
		score := "shows nothing"
		if u.Score != nil {
			score = fmt.Sprintf("%+.1f deviations", *u.Score)
		}
		fmt.Fprintf(w, "unlike\t%s\t%s %.3g\t%s\n", console.Visible(u.Name), u.Trait, u.Value, score)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var lines []string
	for _, n := range r.Notes {
		lines = append(lines, console.Visible(noteLine(n)))
	}
	alike := "numbers, of which none were compared"
	if r.Compared {
		alike = fmt.Sprintf("%s nearly the same as one before, in %s", number(r.Duplicates), plural(r.Groups, "group"))
	}
	lines = append(lines, fmt.Sprintf("%s images of %s: %s broken; %s; %s outliers; %.1f s", number(r.Images), r.Data, number(len(r.Broken)), alike, number(len(r.Outliers)), r.Seconds))
	if r.Sheet != "" {
		lines = append(lines, "sheet       "+r.Sheet)
	}
	_, err := fmt.Fprintln(out, strings.Join(lines, "\n"))
	return err
}
