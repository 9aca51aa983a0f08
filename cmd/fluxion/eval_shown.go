package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/engine/evaluate"
)

// shownEvaluation is the result in JSON.
type shownEvaluation struct {
	Event      string              `json:"event"`
	Metrics    map[string]float64  `json:"metrics"`
	Errors     map[string]float64  `json:"errors"` // standard errors and deviations, of metrics that have one
	N          []int64             `json:"n"`      // images of each set; 0: not known
	Sets       []string            `json:"sets"`
	Sizes      []string            `json:"sizes"`    // of their images; "" of stored statistics
	How        map[string]string   `json:"how"`      // what a metric was taken of, and what its error is
	Sampling   []map[string]string `json:"sampling"` // of each set; null of what is no model
	Network    string              `json:"network"`
	Weights    string              `json:"weights"` // the beginning of the SHA-256 of the file
	Convention string              `json:"convention"`
	Precision  string              `json:"precision"`
	Save       string              `json:"save,omitempty"`
	Part       string              `json:"part,omitempty"`    // of the set that was looked at
	Nearest    string              `json:"nearest,omitempty"` // the sheet
	Pairs      []pair              `json:"pairs,omitempty"`   // on it, the most alike first
	Copies     *shownCopies        `json:"copies,omitempty"`  // among all samples
	Notes      []string            `json:"notes"`
	Seconds    float64             `json:"seconds"`
}

func (j *judging) show(sets [2]*evaluate.Set, values []evaluate.Value, pairs []pair, copies *shownCopies, took time.Duration) error {
	r := shownEvaluation{
		Event: "done", Metrics: map[string]float64{}, Errors: map[string]float64{}, How: map[string]string{}, Network: j.about.Network, Weights: j.about.Weights,
		Convention: j.about.Convention, Precision: j.about.Precision, Save: j.save, Part: j.part, Nearest: j.nearest, Pairs: pairs, Copies: copies, Notes: orEmpty(j.notes), Seconds: took.Seconds(),
	}
	for _, v := range values {
		r.Metrics[v.Name] = v.Value
		if v.Error != 0 {
			r.Errors[v.Name] = v.Error
		}
		if v.How != "" {
			r.How[v.Name] = v.How
		}
	}
	var of []string
	for i, side := range j.sides {
		n, size := sets[i].N, ""
		text := side.path
		if n > 0 {
			text = fmt.Sprintf("%s images of %s", console.Thousands(n), side.path)
		}
		if side.source != nil {
			size = shapeText(side.source)
			text += ", " + size
		}
		if j.part != "" {
			text += fmt.Sprintf(", part %s of %s", j.part, console.Thousands(whole(side.source)))
		}
		sampling := side.sampling
		if side.parts != nil {
			sampling = side.told
		}
		r.Sampling = append(r.Sampling, sampling)
		r.N, r.Sets, r.Sizes, of = append(r.N, n), append(r.Sets, side.path), append(r.Sizes, size), append(of, text)
	}
	return j.face.Result(r, func(out io.Writer) error {
		for _, v := range values {
			text := fmt.Sprintf("%-12s %.6g", v.Name, v.Value)
			if v.Error != 0 {
				text += fmt.Sprintf(" ± %.2g", v.Error)
			}
			if v.How != "" {
				text += " (" + v.How + ")"
			}
			if _, err := fmt.Fprintln(out, text); err != nil {
				return err
			}
		}
		for _, n := range j.notes {
			if _, err := fmt.Fprintln(out, noteLine(n)); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(out, "%s; %s; %.1f s\n", strings.Join(of, " against "), j.how(), took.Seconds())
		if err == nil && j.save != "" {
			_, err = fmt.Fprintf(out, "saved       %s\n", j.save)
		}
		if err == nil && j.nearest != "" {
			_, err = fmt.Fprintf(out, "nearest     %s: %d samples beside the real image most like each, at distances %.4g to %.4g\n", j.nearest, len(pairs), pairs[0].Distance, pairs[len(pairs)-1].Distance)
		}
		if err == nil && copies != nil {
			_, err = fmt.Fprintf(out, "near copies %.3g %% of the samples lie nearer than %.4g to a real image, as %g %% of the real images do to another and of new images would\n",
				100*copies.Share, copies.Distance, 100*copies.Expected)
		}
		return err
	})
}
