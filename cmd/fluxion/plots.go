package main

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"fluxion/engine/figures"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

//go:embed page.html
var page []byte

// pageData is where the page's figures go.
var pageData = []byte("/*DATA*/[]")

// drawFigure writes a figure as PNG, SVG and CSV and returns the paths.
func drawFigure(dir string, f figures.Figure) ([]string, error) {
	p, err := plotOf(f)
	if err != nil {
		return nil, fmt.Errorf("figure %s: %w", f.Name, err)
	}
	var paths []string
	for _, format := range []string{"png", "svg"} {
		w, err := p.WriterTo(18*vg.Centimeter, 12*vg.Centimeter, format)
		if err != nil {
			return nil, fmt.Errorf("figure %s: %w", f.Name, err)
		}
		var b bytes.Buffer
		if _, err := w.WriteTo(&b); err != nil {
			return nil, fmt.Errorf("figure %s: %w", f.Name, err)
		}
		path := filepath.Join(dir, f.Name+"."+format)
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			return nil, output(err)
		}
		paths = append(paths, path)
	}
	table, err := tableOf(f)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, f.Name+".csv")
	return append(paths, path), output(os.WriteFile(path, table, 0o666))
}

// plotOf draws the frame that a figure shows on paper.
func plotOf(f figures.Figure) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = f.Title, f.X, f.Y
	if f.Slider.Values != nil {
		p.Title.Text += fmt.Sprintf(" (%s = %g)", f.Slider.Name, f.Slider.Values[f.Slider.Default])
	}
	if f.LogX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	if f.LogY {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	p.Add(plotter.NewGrid())
	for i, s := range f.Frames[f.Slider.Default].Series {
		for j, run := range finiteRuns(s, f.LogX, f.LogY) {
			thumbnail, err := addRun(p, s.Kind, run, plotutil.Color(i))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
			if j == 0 {
				p.Legend.Add(s.Name, thumbnail)
			}
		}
	}
	p.Legend.Top, p.Legend.Padding = true, vg.Millimeter
	if f.YRange != [2]float64{} {
		p.Y.Min, p.Y.Max = f.YRange[0], f.YRange[1]
	}
	return p, nil
}

func addRun(p *plot.Plot, kind figures.Kind, run plotter.XYs, c color.Color) (plot.Thumbnailer, error) {
	if kind == figures.Points {
		s, err := plotter.NewScatter(run)
		if err != nil {
			return nil, err
		}
		s.Color, s.Radius, s.Shape = c, vg.Points(2), plotutil.Shape(0)
		p.Add(s)
		return s, nil
	}
	l, err := plotter.NewLine(run)
	if err != nil {
		return nil, err
	}
	l.Color, l.Width = c, vg.Points(1.4)
	if kind == figures.Dashed {
		l.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
	}
	p.Add(l)
	return l, nil
}

// finiteRuns cuts a series where it cannot be drawn.
func finiteRuns(s figures.Series, logX, logY bool) []plotter.XYs {
	var runs []plotter.XYs
	open := false
	for i, x := range s.X {
		y := s.Y[i]
		if !drawable(x, logX) || !drawable(y, logY) {
			open = false
			continue
		}
		if !open {
			runs, open = append(runs, nil), true
		}
		last := len(runs) - 1
		runs[last] = append(runs[last], plotter.XY{X: x, Y: y})
	}
	return runs
}

func drawable(v float64, logarithmic bool) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (!logarithmic || v > 0)
}

// tableOf is every number of a figure: slider, series, x, y.
func tableOf(f figures.Figure) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	slider := f.Slider.Name
	if slider == "" {
		slider = "frame"
	}
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	rows := [][]string{{slider, "series", f.X, f.Y}}
	for i, frame := range f.Frames {
		at := strconv.Itoa(i)
		if f.Slider.Values != nil {
			at = number(f.Slider.Values[i])
		}
		for _, s := range frame.Series {
			for j, x := range s.X {
				rows = append(rows, []string{at, s.Name, number(x), number(s.Y[j])})
			}
		}
	}
	err := w.WriteAll(rows)
	return b.Bytes(), err
}

// The page's view of a figure. Numbers that are not finite are null, and six
// digits are more than a screen shows.
type (
	pageFigure struct {
		Name    string      `json:"name"`
		Title   string      `json:"title"`
		Caption string      `json:"caption"`
		X       string      `json:"xLabel"`
		Y       string      `json:"yLabel"`
		YRange  *[2]float64 `json:"yRange,omitempty"`
		LogX    bool        `json:"logX"`
		LogY    bool        `json:"logY"`
		Slider  *pageSlider `json:"slider,omitempty"`
		Frames  []pageFrame `json:"frames"`
	}
	pageSlider struct {
		Name    string    `json:"name"`
		Values  []float64 `json:"values"`
		Default int       `json:"default"`
	}
	pageFrame struct {
		Series []pageSeries `json:"series"`
		Note   string       `json:"note,omitempty"`
	}
	pageSeries struct {
		Name string       `json:"name"`
		Kind figures.Kind `json:"kind"`
		X    []*float64   `json:"x"`
		Y    []*float64   `json:"y"`
	}
)

// writePage writes all figures as one page that needs nothing else.
func writePage(path string, list []figures.Figure) error {
	all := make([]pageFigure, len(list))
	for i, f := range list {
		v := pageFigure{Name: f.Name, Title: f.Title, Caption: f.Caption, X: f.X, Y: f.Y, LogX: f.LogX, LogY: f.LogY}
		if f.YRange != [2]float64{} {
			v.YRange = &f.YRange
		}
		if f.Slider.Values != nil {
			v.Slider = &pageSlider{f.Slider.Name, f.Slider.Values, f.Slider.Default}
		}
		for _, frame := range f.Frames {
			out := pageFrame{Note: frame.Note}
			for _, s := range frame.Series {
				out.Series = append(out.Series, pageSeries{s.Name, s.Kind, rounded(s.X), rounded(s.Y)})
			}
			v.Frames = append(v.Frames, out)
		}
		all[i] = v
	}
	data, err := json.Marshal(all) // escapes <, so no text can end the script
	if err != nil {
		return err
	}
	return output(os.WriteFile(path, bytes.Replace(page, pageData, data, 1), 0o666))
}

func rounded(values []float64) []*float64 {
	out := make([]*float64, len(values))
	for i, v := range values {
		if drawable(v, false) {
			short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64)
			if err == nil {
				out[i] = &short
			}
		}
	}
	return out
}
