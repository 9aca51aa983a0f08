package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fetch"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/cmd/fluxion/internal/paper"
	"fluxion/data"
	"fluxion/data/stable"
	"fluxion/engine/figures"
	"fluxion/engine/record"
	"fluxion/engine/rundir"

	"github.com/spf13/cobra"
)

type runsOptions struct {
	page string
	json bool
	face console.Face
}

func newRuns() *cobra.Command {
	o := &runsOptions{}
	c := &cobra.Command{
		Use:   "runs [FOLDER…]",
		Short: "Runs in folders: how far each is, its loss, why it ended",
		Long: `List the run folders below folders (runs if none is given): which train now, how far
each is and how fast, its loss, what its newest evaluation said, and why it ended before
its end, if it did. What is read is what train writes; nothing is changed.

--page FILE compares them: the curves of their losses, and of each value of their
evaluations, as a page that needs no network.`,
		Example: "  fluxion runs\n  fluxion runs runs /mnt/runs --page runs.html",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, folders []string) error {
			o.face = console.NewFace(c.OutOrStdout(), o.json)
			return o.run(folders)
		},
	}
	c.Flags().StringVar(&o.page, "page", "", "file to write a page with their curves to")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	return c
}

// aRun is what is told of one.
type aRun struct {
	Run     string             `json:"run"`
	State   string             `json:"state"`
	Why     string             `json:"why,omitempty"`
	Problem string             `json:"problem,omitempty"` // it cannot be read
	Images  int64              `json:"images"`
	Of      int64              `json:"of"`
	Loss    *float64           `json:"loss"`
	Rate    float64            `json:"images_per_second"`
	Elapsed float64            `json:"elapsed_seconds"`
	Updated time.Time          `json:"updated"`
	Metrics map[string]float64 `json:"metrics,omitempty"`
	Grid    string             `json:"grid,omitempty"`

	Uncertainty bool `json:"uncertainty,omitempty"` // is part of the loss

	stats []byte
}

func (o *runsOptions) run(folders []string) error {
	if len(folders) == 0 {
		folders = []string{"runs"}
	}
	if o.page != "" {
		if err := outdir.Room("--page", o.page); err != nil {
			return err
		}
	}
	var runs []aRun
	seen := map[string]bool{}
	for _, folder := range folders {
		if err := fetch.Here("FOLDER", folder); err != nil {
			return err
		}
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			return &data.Error{Path: folder, Problem: "no such folder; want a folder of runs, or a run's own"}
		}
		found, err := findRuns(folder)
		if err != nil {
			return err
		}
		for _, dir := range found {
			if at := filepath.Clean(dir); !seen[at] {
				seen[at] = true
				runs = append(runs, lookAtRun(dir))
			}
		}
	}
	stable.Sort(runs, func(a, b aRun) int { return b.Updated.Compare(a.Updated) })
	if o.page != "" {
		about := paper.About{Title: "Runs", Text: fmt.Sprintf("%s, as of %s. Click a name to hide its curve.", plural(len(runs), "run"), time.Now().Format("2 January 2006, 15:04"))}
		if err := paper.WritePage(o.page, about, compare(runs)); err != nil {
			return err
		}
	}
	return o.show(runs)
}

// runDepth is how deep below a folder runs are looked for.
const runDepth = 3

// findRuns are the run folders at or below a folder.
func findRuns(root string) (dirs []string, err error) {
	var walk func(dir string, depth int) error
	walk = func(dir string, depth int) error {
		if rundir.Is(dir) {
			dirs = append(dirs, dir)
			return nil
		}
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, e := range entries {
			if e.IsDir() && depth < runDepth && e.Name()[0] != '.' {
				err = errors.Join(err, walk(filepath.Join(dir, e.Name()), depth+1))
			}
		}
		return err
	}
	return dirs, walk(root, 0)
}

// lookAtRun reads what a run's folder says. What cannot be read is told with it.
func lookAtRun(dir string) aRun {
	r := aRun{Run: dir}
	look, err := rundir.LookAt(dir)
	if err == nil {
		r.stats, err = rundir.Stats(dir)
	}
	var settings struct {
		Images      int64
		Uncertainty bool
	}
	if err == nil {
		if err = json.Unmarshal(look.Settings, &settings); err != nil {
			err = fmt.Errorf("%s: %w", filepath.Join(dir, rundir.ConfigFile), err)
		}
	}
	if err != nil {
		r.Problem = err.Error()
	}
	r.State, r.Why, r.Grid, r.Of, r.Uncertainty = look.State, look.Why, look.Grid, settings.Images, settings.Uncertainty
	if s, ok := record.Newest(r.stats); ok {
		r.Images, r.Loss, r.Rate, r.Elapsed, r.Updated = s.Images, &s.Loss, s.ImagesPerSecond, s.Elapsed.Seconds(), s.Time
	}
	if all := record.Evaluations(r.stats, math.MaxInt64); len(all) > 0 {
		r.Metrics = map[string]float64{}
		for _, v := range all[len(all)-1].Values {
			r.Metrics[v.Name] = v.Value
		}
	}
	return r
}

// compare are the curves of runs: of their losses, and of each value of their evaluations.
func compare(runs []aRun) []figures.Figure {
	loss := figures.Figure{Name: "loss", Title: "Loss", Caption: "Running mean of the loss. Losses of other objectives and weightings do not compare.", X: "images seen", Y: "loss", Frames: make([]figures.Frame, 1)}
	values := map[string]*figures.Figure{}
	var names []string
	for _, r := range runs {
		if line := lossLine(r.stats, r.Run); len(line.X) > 0 {
			loss.Frames[0].Series = append(loss.Frames[0].Series, line)
		}
		lines := map[string]*figures.Series{}
		for _, e := range record.Evaluations(r.stats, math.MaxInt64) {
			for _, v := range e.Values {
				if values[v.Name] == nil {
					names = append(names, v.Name)
					values[v.Name] = &figures.Figure{
						Name: v.Name, Title: v.Name, Caption: "Values compare where metrics, features, counts and real images are the same.", X: "images seen", Y: v.Name, Frames: make([]figures.Frame, 1),
					}
				}
				if lines[v.Name] == nil {
					lines[v.Name] = &figures.Series{Name: r.Run, Kind: figures.Marked}
				}
				lines[v.Name].X = append(lines[v.Name].X, float64(e.Images))
				lines[v.Name].Y = append(lines[v.Name].Y, v.Value)
			}
		}
		for _, name := range names {
			if line := lines[name]; line != nil {
				values[name].Frames[0].Series = append(values[name].Frames[0].Series, *line)
			}
		}
	}
	list := []figures.Figure{loss}
	for _, name := range names {
		list = append(list, *values[name])
	}
	return list
}
