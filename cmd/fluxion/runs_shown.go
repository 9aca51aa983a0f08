package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"fluxion/cmd/fluxion/internal/console"
)

// show prints a table of runs, the newest first.
func (o *runsOptions) show(runs []aRun) error {
	return o.face.Result(map[string]any{"event": "done", "runs": append([]aRun{}, runs...), "page": o.page}, func(out io.Writer) error {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "run\tstate\timages\t\tloss\timg/s\tlast\tevaluation")
		for _, r := range runs {
			share, loss, last := "", "–", "–"
			if r.Of > 0 {
				share = fmt.Sprintf("%.0f %%", percent(r.Images, r.Of))
			}
			if r.Loss != nil {
				loss = fmt.Sprintf("%.4f", *r.Loss)
				if r.Uncertainty {
					loss += "*"
				}
			}
			if !r.Updated.IsZero() {
				last = ago(time.Since(r.Updated))
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.1f\t%s\t%s\n", console.Visible(r.Run), r.State, console.Thousands(r.Images), share, loss, r.Rate, last, metricsText(r.Metrics))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		for _, r := range runs {
			for _, why := range []string{r.Why, r.Problem} {
				if why != "" {
					fmt.Fprintf(out, "%s: %s\n", console.Visible(r.Run), console.Visible(why))
				}
			}
		}
		if slices.ContainsFunc(runs, func(r aRun) bool { return r.Uncertainty && r.Loss != nil }) {
			fmt.Fprintln(out, "* with --uncertainty, by which errors are divided and whose logarithm is added: it may be below 0, and compares with no other loss")
		}
		if len(runs) == 0 {
			fmt.Fprintln(out, "there are none; fluxion train makes one")
		}
		if o.page != "" {
			fmt.Fprintf(out, "page        %s\n", o.page)
		}
		return nil
	})
}

func metricsText(metrics map[string]float64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		parts = append(parts, fmt.Sprintf("%s %.5g", console.Visible(name), metrics[name]))
	}
	return strings.Join(parts, ", ")
}

// ago is a time before now, in one unit.
func ago(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if d >= unit.of {
			return fmt.Sprintf("%d %s ago", d/unit.of, unit.name)
		}
	}
	return fmt.Sprintf("%d s ago", max(0, d/time.Second))
}
