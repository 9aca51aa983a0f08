package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/engine/scheduler"
	"fluxion/engine/trace"
)

// choice is a name and what it is.
type choice struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

// choices are all names, by kind, in the order in which they are shown.
func choices() (kinds []string, all map[string][]choice) {
	all = map[string][]choice{}
	add := func(kind, name, parameters, about string) {
		if len(all[kind]) == 0 {
			kinds = append(kinds, kind)
		}
		if parameters != "" {
			about += " (" + parameters + ")"
		}
		all[kind] = append(all[kind], choice{name, about})
	}
	for _, s := range process.ListSchedules() {
		add("schedules", s.Name, "", s.About)
	}
	for _, g := range sampler.ListGrids() {
		add("grids", g.Name, g.Defaults.String(), g.About)
	}
	for _, s := range sampler.List() {
		add("samplers", s.Name, s.Describe(), s.About)
	}
	for _, y := range process.ListOutputs() {
		add("outputs", y.Name, "", y.About)
	}
	for _, w := range process.ListWeightings() {
		add("weightings", w.Name, w.Defaults.String(), w.About)
	}
	for _, t := range process.ListTimeSamplers() {
		add("time_samplers", t.Name, t.Defaults.String(), t.About)
	}
	for _, d := range trace.ListDenoisers() {
		add("denoisers", d.Usage, "", d.About)
	}
	for _, name := range scheduler.Names() {
		add("schedulers", name, "", scheduler.List()[name])
	}
	for _, d := range scheduler.Departures() {
		kind := "defect, left out"
		if d.Convention {
			kind = "convention, kept"
		}
		add("departures_of_diffusers", d.Name, "", fmt.Sprintf("%s: it %s, where theory %s; %s", kind, d.Theirs, d.Ours, d.Why))
	}
	return kinds, all
}

func printChoices(face console.Face) error {
	kinds, all := choices()
	return face.Result(all, func(out io.Writer) error { return showChoices(out, kinds, all) })
}

func showChoices(out io.Writer, kinds []string, all map[string][]choice) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i, kind := range kinds {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, strings.ReplaceAll(kind, "_", " ")+":")
		for _, c := range all[kind] {
			fmt.Fprintf(w, "  %s\t%s\n", c.Name, c.About)
		}
	}
	return w.Flush()
}
