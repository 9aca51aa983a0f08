// Package paper draws figures: as PNG, SVG and CSV, and all of them as a page.
package paper

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data/durable"
	"fluxion/engine/figures"
)

// Sizes of a figure on paper, in points. Its legend stands beside it.
const (
	plotWidth, plotHeight = 482, 309
	panelSide             = 184 // of one of several charts
	titleHeight           = 31
	margin                = 8
	sampleWidth           = 20 // of a line in the legend
	legendLine            = 1.4 * legendSize
)

// palette of series, the page's.
var palette = []color.NRGBA{
	{0x0b, 0x62, 0xc4, 255}, {0xd1, 0x49, 0x5b, 255}, {0x2a, 0x9d, 0x5c, 255}, {0xe0, 0x8e, 0x0b, 255}, {0x7a, 0x4f, 0xbf, 255}, {0x0a, 0x93, 0x96, 255},
	{0xb5, 0x17, 0x9e, 255}, {0x6c, 0x75, 0x7d, 255}, {0x8d, 0x6e, 0x3f, 255}, {0x3a, 0x5a, 0x40, 255}, {0xff, 0x7f, 0x50, 255}, {0x53, 0x90, 0xd9, 255},
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
	sheet := layOut(f)
	var paths []string
	for _, format := range []struct {
		name string
		on   canvas
	}{{"png", newPixels(sheet.width, sheet.height)}, {"svg", newVectors(sheet.width, sheet.height)}} {
		sheet.draw(format.on)
		content, err := format.on.encode()
		if err != nil {
			return nil, fmt.Errorf("figure %s: %w", f.Name, err)
		}
		path := filepath.Join(dir, f.Name+"."+format.name)
		if err := disk.WriteFile(path, content); err != nil {
			return nil, fault.Output(err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// sheet is a figure on paper: charts in rows, a title above them and a legend beside.
type sheet struct {
	title         string
	charts        []*chart // nil where there is nothing to be seen
	across        int
	side          [2]float64 // of a chart
	legend        []entry
	letters       *letters
	width, height float64
}

// entry is a line of the legend.
type entry struct {
	name   string
	kind   figures.Kind
	colour color.NRGBA
}

// layOut makes a sheet of the frame that a figure shows on paper.
func layOut(f figures.Figure) *sheet {
	frame := f.Frames[f.Slider.Default]
	all := frame.All()
	s := &sheet{title: f.Title, across: 1, side: [2]float64{plotWidth, plotHeight}, letters: sans()}
	if f.Slider.Values != nil {
		s.title += fmt.Sprintf(" (%s: %g)", f.Slider.Name, f.Slider.Values[f.Slider.Default])
	}
	if frame.Panels != nil {
		s.across, s.side = min(f.Across, len(all)), [2]float64{panelSide, panelSide}
		if !f.Plane {
			s.side[0] *= 1.4
		}
	} else if f.Plane {
		s.side = [2]float64{plotHeight + titleHeight, plotHeight + titleHeight}
	}
	colours := map[string]color.NRGBA{}
	for i, panel := range all {
		c := s.chartOf(f, panel, colours)
		if frame.Panels != nil { // outer axes are enough
			c.inner.x, c.inner.y = i+s.across < len(all), i%s.across > 0
			if len(panel.Series) == 0 {
				c = nil
			}
		}
		s.charts = append(s.charts, c)
	}
	if f.XRange == [2]float64{} && frame.Panels != nil {
		same(s.charts)
	}
	rows := (len(all) + s.across - 1) / s.across
	s.width, s.height = float64(s.across)*s.side[0], float64(rows)*s.side[1]+titleHeight
	names := 0.0
	for _, e := range s.legend {
		names = max(names, s.letters.width(e.name, legendSize))
	}
	s.width += sampleWidth + names + 3*margin
	s.width = max(s.width, s.letters.width(s.title, titleSize)+4*margin)
	return s
}

// same gives charts beside each other the same axes.
func same(charts []*chart) {
	x, y := emptyAxis("", false), emptyAxis("", false)
	for _, c := range charts {
		if c != nil {
			x.low, x.high = min(x.low, c.x.low), max(x.high, c.x.high)
			y.low, y.high = min(y.low, c.y.low), max(y.high, c.y.high)
		}
	}
	for _, c := range charts {
		if c != nil {
			c.x.low, c.x.high, c.y.low, c.y.high = x.low, x.high, y.low, y.high
		}
	}
}

func (s *sheet) draw(on canvas) {
	on.write(point{2 * margin, margin + titleSize}, words{text: s.title, size: titleSize})
	for i, c := range s.charts {
		if c == nil {
			continue
		}
		left, top := float64(i%s.across)*s.side[0], titleHeight+float64(i/s.across)*s.side[1]
		c.draw(on, s.letters, box{left + margin, top, left + s.side[0] - margin, top + s.side[1] - margin})
	}
	left, top := float64(s.across)*s.side[0]+margin, float64(titleHeight+margin)
	on.clip(box{0, 0, s.width, s.height})
	for i, e := range s.legend {
		at := point{left, top + (float64(i)+0.5)*legendLine}
		around := box{at.x, at.y, at.x + sampleWidth, at.y}.grown(1)
		middle, line := []point{{at.x + sampleWidth/2, at.y}}, []point{at, {at.x + sampleWidth, at.y}}
		switch e.kind {
		case figures.Points, figures.Cloud:
			mark(on, e.kind, e.colour, middle, around)
		case figures.Marked:
			mark(on, figures.Line, e.colour, line, around)
			mark(on, figures.Points, e.colour, middle, around)
		default:
			mark(on, e.kind, e.colour, line, around)
		}
		on.write(point{at.x + sampleWidth + margin/2, at.y + capHeight*legendSize/2}, words{text: e.name, size: legendSize})
	}
}

// chartOf draws a panel. Series of one name have one colour in all, and one line of the
// legend.
func (s *sheet) chartOf(f figures.Figure, panel figures.Panel, colours map[string]color.NRGBA) *chart {
	c := &chart{title: panel.Title, x: emptyAxis(f.X, f.LogX), y: emptyAxis(f.Y, f.LogY), plane: f.Plane}
	for _, series := range panel.Series {
		runs := finiteRuns(series, f.LogX, f.LogY)
		colour, known := colours[series.Name]
		if !known {
			colour = next(series.Kind, colours)
			colours[series.Name] = colour
			if runs != nil {
				s.legend = append(s.legend, entry{series.Name, series.Kind, colour})
			}
		}
		for _, run := range runs {
			for _, p := range run {
				c.x.include(p.x)
				c.y.include(p.y)
			}
		}
		c.series = append(c.series, drawn{series.Kind, colour, runs})
	}
	if f.XRange != [2]float64{} {
		c.x.low, c.x.high = f.XRange[0], f.XRange[1]
	}
	if f.YRange != [2]float64{} {
		c.y.low, c.y.high = f.YRange[0], f.YRange[1]
	}
	return c
}

// next is the colour of a name that has none: threads are grey, and others take turns.
func next(kind figures.Kind, colours map[string]color.NRGBA) color.NRGBA {
	if kind == figures.Threads {
		return grey
	}
	taken := 0
	for _, c := range colours {
		if c != grey {
			taken++
		}
	}
	return palette[taken%len(palette)]
}

// finiteRuns cuts a series where it cannot be drawn.
func finiteRuns(s figures.Series, logX, logY bool) [][]point {
	var runs [][]point
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
		runs[last] = append(runs[last], point{x, y})
	}
	return runs
}

func drawable(v float64, logarithmic bool) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (!logarithmic || v > 0)
}
