package paper

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html"
	"strconv"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data/durable"
	"fluxion/engine/figures"
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
