package sweeps

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/paper"
	"fluxion/data/stable"
	"fluxion/engine/figures"
	"fluxion/engine/model"
)

// Write writes the table, and what is drawn of it, and returns the paths. The table
// itself comes first: it is what a sweep goes on from.
func (f Folder) Write(t *Table) ([]string, error) {
	text, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		return nil, err
	}
	table, err := t.csv()
	if err != nil {
		return nil, err
	}
	paths := []string{filepath.Join(f.Path, File), filepath.Join(f.Path, "sweep.csv")}
	for i, file := range [][]byte{append(text, '\n'), table} {
		if err := f.Disk.WriteFile(paths[i], file); err != nil {
			return nil, fault.Output(err)
		}
	}
	for _, name := range t.Values {
		drawn, err := paper.DrawPlots(f.Disk, f.Path, t.figure(name))
		if err != nil {
			return nil, err
		}
		paths = append(paths, drawn...)
	}
	return paths, nil
}

// csv is a row for each cell.
func (t *Table) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	header := []string{"sampler", "steps", "guidance", "weights", "nfe", "images"}
	for _, name := range t.Values {
		header = append(header, name, name+"_error")
	}
	rows := [][]string{append(header, "seconds", "problem")}
	number := func(x float64, ok bool) string {
		if !ok {
			return ""
		}
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	for _, c := range t.Cells {
		row := []string{c.Sampler, strconv.Itoa(c.Steps), number(c.Guidance, true), c.Weights, number(c.NFE, c.NFE > 0), strconv.FormatInt(c.Images, 10)}
		for _, name := range t.Values {
			v, ok := c.Metrics[name]
			e, known := c.Errors[name]
			row = append(row, number(v, ok), number(e, known))
		}
		rows = append(rows, append(row, number(c.Seconds, c.Seconds > 0), c.Problem))
	}
	err := w.WriteAll(rows)
	return b.Bytes(), err
}

// figure draws a value over the calls of the network, or, where all cells have one number
// of steps, over the width of the average of the weights if there are several, or over
// guidance: a series for each way of the rest. Weights without a width are a line across.
func (t *Table) figure(name string) figures.Figure {
	f := figures.Figure{Name: name, Title: fmt.Sprintf("%s of %s", name, t.About["model"]), X: "calls of the network for an image", Y: name}
	steps, guidances, weights, widths := map[int]bool{}, map[float64]bool{}, map[string]bool{}, map[float64]bool{}
	for _, c := range t.Cells {
		steps[c.Steps], guidances[c.Guidance], weights[c.Weights] = true, true, true
		if sigma, _, ok := model.PowerOf(c.Weights); ok {
			widths[sigma] = true
		}
	}
	overWidth := len(steps) == 1 && len(widths) > 1
	overGuidance := !overWidth && len(steps) == 1 && len(guidances) > 1
	switch {
	case overWidth:
		f.X = "σ_rel of the average of the weights"
	case overGuidance:
		f.X = "guidance"
	}
	type point struct{ x, y float64 }
	var order []string
	of := map[string][]point{}
	for _, c := range t.Cells {
		y, ok := c.Metrics[name]
		if !ok {
			continue
		}
		series, x := c.Sampler, c.NFE
		if overGuidance {
			x = c.Guidance
		} else if len(guidances) > 1 {
			series += fmt.Sprintf(", guidance %g", c.Guidance)
		}
		sigma, images, power := model.PowerOf(c.Weights)
		xs := []float64{x}
		switch {
		case overWidth && power:
			if xs = []float64{sigma}; images > 0 {
				series += fmt.Sprintf(", after %d images", images)
			}
		case overWidth:
			series += ", " + c.Weights
			ends := slices.Sorted(maps.Keys(widths))
			xs = []float64{ends[0], ends[len(ends)-1]}
		case len(weights) > 1:
			series += ", " + c.Weights
		}
		if of[series] == nil {
			order = append(order, series)
		}
		for _, x := range xs {
			of[series] = append(of[series], point{x, y})
		}
	}
	var frame figures.Frame
	for _, series := range order {
		points := of[series]
		stable.Sort(points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
		s := figures.Series{Name: series, Kind: figures.Marked}
		if len(points) == 1 {
			s.Kind = figures.Points
		}
		for _, p := range points {
			s.X, s.Y = append(s.X, p.x), append(s.Y, p.y)
		}
		frame.Series = append(frame.Series, s)
	}
	f.Frames = []figures.Frame{frame}
	return f
}
