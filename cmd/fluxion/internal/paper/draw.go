// Package paper draws figures: as PNG, SVG and CSV, and all of them as a page.
package paper

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"strconv"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data/durable"
	"fluxion/engine/figures"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

//go:embed page.html
var page []byte

// pageData is where the page's figures go.
var pageData = []byte("/*DATA*/[]")

// Sizes of a figure on paper; its legend stands beside it.
const (
	plotWidth, plotHeight = 17 * vg.Centimeter, 12 * vg.Centimeter
	legendWidth           = 7 * vg.Centimeter
	margin                = 3 * vg.Millimeter
)

// palette of series, the page's.
var palette = []color.Color{
	color.RGBA{0x0b, 0x62, 0xc4, 255}, color.RGBA{0xd1, 0x49, 0x5b, 255}, color.RGBA{0x2a, 0x9d, 0x5c, 255}, color.RGBA{0xe0, 0x8e, 0x0b, 255},
	color.RGBA{0x7a, 0x4f, 0xbf, 255}, color.RGBA{0x0a, 0x93, 0x96, 255}, color.RGBA{0xb5, 0x17, 0x9e, 255}, color.RGBA{0x6c, 0x75, 0x7d, 255},
	color.RGBA{0x8d, 0x6e, 0x3f, 255}, color.RGBA{0x3a, 0x5a, 0x40, 255}, color.RGBA{0xff, 0x7f, 0x50, 255}, color.RGBA{0x53, 0x90, 0xd9, 255},
}

// Draw writes a figure as PNG, SVG and CSV and returns the paths.
func Draw(dir string, f figures.Figure) ([]string, error) {
	paths, err := DrawPlots(durable.Disk{}, dir, f)
	if err != nil {
		return nil, err
	}
	table, err := tableOf(f)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, f.Name+".csv")
	return append(paths, path), fault.Output(durable.Disk{}.WriteFile(path, table))
}

// DrawPlots writes a figure as PNG and SVG and returns the paths.
func DrawPlots(disk durable.Disk, dir string, f figures.Figure) ([]string, error) {
	p, legend, err := plotOf(f)
	if err != nil {
		return nil, fmt.Errorf("figure %s: %w", f.Name, err)
	}
	var paths []string
	for _, format := range []string{"png", "svg"} {
		canvas, err := draw.NewFormattedCanvas(plotWidth+legendWidth, plotHeight, format)
		if err != nil {
			return nil, fmt.Errorf("figure %s: %w", f.Name, err)
		}
		sheet := draw.New(canvas)
		sheet.SetColor(color.White)
		sheet.Fill(sheet.Path())
		p.Draw(draw.Crop(sheet, margin, -legendWidth, margin, -margin))
		legend.Draw(draw.Crop(sheet, plotWidth+margin, -margin, margin, -1.2*vg.Centimeter))
		var b bytes.Buffer
		if _, err := canvas.WriteTo(&b); err != nil {
			return nil, fmt.Errorf("figure %s: %w", f.Name, err)
		}
		path := filepath.Join(dir, f.Name+"."+format)
		if err := disk.WriteFile(path, b.Bytes()); err != nil {
			return nil, fault.Output(err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// plotOf draws the frame that a figure shows on paper.
func plotOf(f figures.Figure) (*plot.Plot, plot.Legend, error) {
	p, legend := plot.New(), plot.NewLegend()
	legend.Top, legend.Left, legend.Padding = true, true, vg.Millimeter
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = f.Title, f.X, f.Y
	p.Title.Padding = 2 * vg.Millimeter
	if f.Slider.Values != nil {
		p.Title.Text += fmt.Sprintf(" (%s: %g)", f.Slider.Name, f.Slider.Values[f.Slider.Default])
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
			thumbnail, err := addRun(p, s.Kind, run, palette[i%len(palette)])
			if err != nil {
				return nil, legend, fmt.Errorf("%s: %w", s.Name, err)
			}
			if j == 0 {
				legend.Add(s.Name, thumbnail)
			}
		}
	}
	if f.YRange != [2]float64{} {
		p.Y.Min, p.Y.Max = f.YRange[0], f.YRange[1]
	}
	return p, legend, nil
}

func addRun(p *plot.Plot, kind figures.Kind, run plotter.XYs, c color.Color) (plot.Thumbnailer, error) {
	if kind == figures.Points {
		s, err := plotter.NewScatter(run)
		if err != nil {
			return nil, err
		}
		s.Color, s.Radius, s.Shape = c, vg.Points(2), draw.CircleGlyph{}
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

// WritePage writes all figures as one page that needs nothing else.
func WritePage(path string, list []figures.Figure) error {
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
	return fault.Output(durable.Disk{}.WriteFile(path, bytes.Replace(page, pageData, data, 1)))
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
