// Package paper draws figures: as PNG, SVG and CSV, and all of them as a page.
package paper

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html"
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"strconv"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data/durable"
	"fluxion/engine/figures"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

//go:embed page.html
var page []byte

// ChartScript and ChartStyle draw charts on a page: draw(figure, place) adds one.
var (
	//go:embed chart.js
	ChartScript []byte
	//go:embed chart.css
	ChartStyle []byte
)

// Where what a page shows, and what draws it, goes.
var (
	pageData  = []byte("/*DATA*/[]")
	pageChart = []byte("/*CHART*/")
	pageStyle = []byte("/*STYLE*/")
	pageTitle = []byte("<!--TITLE-->")
	pageText  = []byte("<!--TEXT-->")
)

// Sizes of a figure on paper; its legend stands beside it.
const (
	plotWidth, plotHeight = 17 * vg.Centimeter, 12 * vg.Centimeter
	panelSide             = 6.5 * vg.Centimeter // of one of several charts
	legendWidth           = 7 * vg.Centimeter
	titleHeight           = 1.1 * vg.Centimeter
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
	sheet, err := layOut(f)
	if err != nil {
		return nil, fmt.Errorf("figure %s: %w", f.Name, err)
	}
	var paths []string
	for _, format := range []string{"png", "svg"} {
		canvas, err := draw.NewFormattedCanvas(sheet.width, sheet.height, format)
		if err != nil {
			return nil, fmt.Errorf("figure %s: %w", f.Name, err)
		}
		sheet.draw(draw.New(canvas))
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

// sheet is a figure on paper: charts in rows, a title above them and a legend beside.
type sheet struct {
	title         string
	plots         []*plot.Plot
	empty         []bool // there is nothing to be seen on it
	across        int
	side          [2]vg.Length // of a chart
	legend        plot.Legend
	width, height vg.Length
}

// layOut makes a sheet of the frame that a figure shows on paper.
func layOut(f figures.Figure) (*sheet, error) {
	frame := f.Frames[f.Slider.Default]
	all := frame.All()
	s := &sheet{title: f.Title, across: 1, side: [2]vg.Length{plotWidth, plotHeight - titleHeight}, legend: plot.NewLegend()}
	if f.Slider.Values != nil {
		s.title += fmt.Sprintf(" (%s: %g)", f.Slider.Name, f.Slider.Values[f.Slider.Default])
	}
	if frame.Panels != nil {
		s.across, s.side = min(f.Across, len(all)), [2]vg.Length{panelSide, panelSide}
		if !f.Plane {
			s.side[0] *= 1.4
		}
	} else if f.Plane {
		s.side = [2]vg.Length{plotHeight, plotHeight}
	}
	s.legend.Top, s.legend.Left, s.legend.Padding, s.legend.TextStyle.Font = true, true, vg.Millimeter, sans(10)
	colours := map[string]color.Color{}
	for i, panel := range all {
		p, err := s.plotOf(f, panel, colours)
		if err != nil {
			return nil, err
		}
		if frame.Panels != nil { // outer axes are enough
			if i%s.across > 0 {
				p.Y.Label.Text = ""
			}
			if i+s.across < len(all) {
				p.X.Label.Text = ""
			}
		}
		s.plots, s.empty = append(s.plots, p), append(s.empty, frame.Panels != nil && len(panel.Series) == 0)
	}
	if f.XRange == [2]float64{} && frame.Panels != nil {
		same(s.plots)
	}
	rows := (len(all) + s.across - 1) / s.across
	s.width, s.height = vg.Length(s.across)*s.side[0]+legendWidth, vg.Length(rows)*s.side[1]+titleHeight
	return s, nil
}

// same gives charts beside each other the same axes.
func same(plots []*plot.Plot) {
	x, y := plots[0].X, plots[0].Y
	for _, p := range plots {
		x.Min, x.Max = min(x.Min, p.X.Min), max(x.Max, p.X.Max)
		y.Min, y.Max = min(y.Min, p.Y.Min), max(y.Max, p.Y.Max)
	}
	for _, p := range plots {
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = x.Min, x.Max, y.Min, y.Max
	}
}

func (s *sheet) draw(c draw.Canvas) {
	c.SetColor(color.White)
	c.Fill(c.Path())
	style := s.plots[0].Title.TextStyle
	style.XAlign, style.YAlign, style.Font = draw.XLeft, draw.YTop, sans(13)
	c.FillText(style, vg.Point{X: 2 * margin, Y: c.Max.Y - margin}, s.title)
	for i, p := range s.plots {
		if s.empty[i] {
			continue
		}
		left, top := vg.Length(i%s.across)*s.side[0], s.height-titleHeight-vg.Length(i/s.across)*s.side[1]
		p.Draw(draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: left + margin, Y: top - s.side[1] + margin}, Max: vg.Point{X: left + s.side[0] - margin, Y: top},
		}})
	}
	s.legend.Draw(draw.Crop(c, s.width-legendWidth+margin, -margin, margin, -titleHeight-margin))
}

// plotOf draws a chart. Series of one name have one colour in all, and one line of the
// legend.
func (s *sheet) plotOf(f figures.Figure, panel figures.Panel, colours map[string]color.Color) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = panel.Title, f.X, f.Y
	p.Title.Padding = vg.Millimeter
	p.Title.TextStyle.Font = sans(11)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font, a.Tick.Label.Font = sans(11), sans(9)
		a.Color, a.Tick.Color, a.Tick.Length = ink, ink, vg.Points(3)
		a.Padding = 0
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{f.LogX}, ticks{f.LogY}
	if f.LogX {
		p.X.Scale = plot.LogScale{}
	}
	if f.LogY {
		p.Y.Scale = plot.LogScale{}
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = rules, rules
	p.Add(grid)
	for _, series := range panel.Series {
		known := colours[series.Name] != nil
		if !known {
			colours[series.Name] = next(series.Kind, colours)
		}
		for j, run := range finiteRuns(series, f.LogX, f.LogY) {
			thumbnail, err := addRun(p, series.Kind, run, colours[series.Name])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", series.Name, err)
			}
			if j == 0 && !known {
				s.legend.Add(series.Name, thumbnail...)
			}
		}
	}
	if f.XRange != [2]float64{} {
		p.X.Min, p.X.Max = f.XRange[0], f.XRange[1]
	}
	if f.YRange != [2]float64{} {
		p.Y.Min, p.Y.Max = f.YRange[0], f.YRange[1]
	}
	return p, nil
}

// addRun draws a part of a series, and returns what stands for it in the legend.
func addRun(p *plot.Plot, kind figures.Kind, run plotter.XYs, c color.Color) (thumbnail []plot.Thumbnailer, err error) {
	if kind != figures.Points && kind != figures.Cloud {
		l, err := plotter.NewLine(run)
		if err != nil {
			return nil, err
		}
		l.Color, l.Width = c, vg.Points(1.4)
		switch kind {
		case figures.Dashed:
			l.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
		case figures.Threads:
			l.Color, l.Width = faint(c), vg.Points(0.6)
		}
		p.Add(l)
		thumbnail = append(thumbnail, l)
	}
	if kind == figures.Points || kind == figures.Cloud || kind == figures.Marked {
		s, err := plotter.NewScatter(run)
		if err != nil {
			return nil, err
		}
		s.Color, s.Radius, s.Shape = c, vg.Points(2.2), draw.CircleGlyph{}
		if kind == figures.Cloud {
			s.Color, s.Radius = faint(c), vg.Points(1.1)
		}
		p.Add(s)
		thumbnail = append(thumbnail, s)
	}
	return thumbnail, nil
}

var (
	ink   = color.RGBA{0x4a, 0x52, 0x5e, 255} // of axes
	rules = color.RGBA{0xe0, 0xe4, 0xea, 255} // behind a chart
	grey  = color.RGBA{0x8a, 0x93, 0xa0, 255} // of threads
)

// next is the colour of a name that has none: threads are grey, and others take turns.
func next(kind figures.Kind, colours map[string]color.Color) color.Color {
	if kind == figures.Threads {
		return grey
	}
	taken := 0
	for _, c := range colours {
		if c != color.Color(grey) {
			taken++
		}
	}
	return palette[taken%len(palette)]
}

// sans is a font without serifs.
func sans(points vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: points}
}

// faint is a colour of which many lie over each other.
func faint(c color.Color) color.Color {
	n, ok := color.NRGBAModel.Convert(c).(color.NRGBA)
	if !ok {
		return c
	}
	n.A = 150
	return n
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
	panels := f.Frames[0].Panels != nil
	if panels {
		rows[0] = []string{slider, "panel", "series", f.X, f.Y}
	}
	for i, frame := range f.Frames {
		at := strconv.Itoa(i)
		if f.Slider.Values != nil {
			at = number(f.Slider.Values[i])
		}
		for _, p := range frame.All() {
			for _, s := range p.Series {
				for j, x := range s.X {
					row := []string{at, s.Name, number(x), number(s.Y[j])}
					if panels {
						row = slices.Insert(row, 1, p.Title)
					}
					rows = append(rows, row)
				}
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
		XRange  *[2]float64 `json:"xRange,omitempty"`
		YRange  *[2]float64 `json:"yRange,omitempty"`
		Plane   bool        `json:"plane,omitempty"`
		Across  int         `json:"across,omitempty"`
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
		Panels []pagePanel `json:"panels"`
		Note   string      `json:"note,omitempty"`
	}
	pagePanel struct {
		Title  string       `json:"title,omitempty"`
		Series []pageSeries `json:"series"`
	}
	pageSeries struct {
		Name string       `json:"name"`
		Kind figures.Kind `json:"kind"`
		X    []*float64   `json:"x"`
		Y    []*float64   `json:"y"`
	}
)

// About is what stands above the figures of a page.
type About struct{ Title, Text string }

// WritePage writes all figures as one page that needs nothing else.
func WritePage(path string, about About, list []figures.Figure) error {
	all := make([]pageFigure, len(list))
	for i, f := range list {
		v := pageFigure{Name: f.Name, Title: f.Title, Caption: f.Caption, X: f.X, Y: f.Y, LogX: f.LogX, LogY: f.LogY, Plane: f.Plane}
		if f.Frames[0].Panels != nil {
			v.Across = min(f.Across, len(f.Frames[0].Panels))
		}
		if f.XRange != [2]float64{} {
			v.XRange = &f.XRange
		}
		if f.YRange != [2]float64{} {
			v.YRange = &f.YRange
		}
		if f.Slider.Values != nil {
			v.Slider = &pageSlider{f.Slider.Name, f.Slider.Values, f.Slider.Default}
		}
		for _, frame := range f.Frames {
			out := pageFrame{Note: frame.Note}
			for _, p := range frame.All() {
				panel := pagePanel{Title: p.Title}
				for _, s := range p.Series {
					panel.Series = append(panel.Series, pageSeries{s.Name, s.Kind, rounded(s.X), rounded(s.Y)})
				}
				out.Panels = append(out.Panels, panel)
			}
			v.Frames = append(v.Frames, out)
		}
		all[i] = v
	}
	data, err := json.Marshal(all) // escapes <, so no text can end the script
	if err != nil {
		return err
	}
	whole := page
	escaped := func(text string) []byte { return []byte(html.EscapeString(text)) }
	for _, part := range [][2][]byte{
		{pageStyle, ChartStyle}, {pageChart, ChartScript}, {pageTitle, escaped(about.Title)}, {pageText, escaped(about.Text)}, {pageData, data},
	} {
		whole = bytes.ReplaceAll(whole, part[0], part[1])
	}
	return fault.Output(durable.Disk{}.WriteFile(path, whole))
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
