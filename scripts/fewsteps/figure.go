package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// Measures of a figure, in pixels, and what of the plane a panel shows.
const (
	panelSide    = 150
	panelTitle   = 24 // two lines
	panelColumns = 6
	panelHalf    = 2.2
	panelPoints  = 400
)

// figure writes the samples of methods in one step as an SVG, a panel each, over points of the data.
func (r runner) figure(s set, real *points, t table) error {
	type panel struct {
		name   string
		steps  string
		points [][]float64
	}
	panels := []panel{{"the data", "", real.real}}
	for _, m := range s.methods {
		for _, way := range t.ways(m) {
			made, err := readPoints(filepath.Join(r.dir, m.out(s, way)), 0, panelPoints)
			if err != nil {
				return err
			}
			panels = append(panels, panel{m.name, way + " step" + map[bool]string{true: "s"}[way != "1"], made})
		}
	}
	rows := (len(panels) + panelColumns - 1) / panelColumns
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="7.5">`+"\n", panelColumns*panelSide, rows*(panelSide+panelTitle))
	fmt.Fprintln(&b, `<style>svg{background:#fff}text{fill:#222;text-anchor:middle}path{fill:none;stroke-linecap:round;stroke-width:1.6}.d{stroke:#d8d8d8}.s{stroke:#1f5fa8}</style>`)
	for i, p := range panels {
		x, y := i%panelColumns*panelSide, i/panelColumns*(panelSide+panelTitle)
		fmt.Fprintf(&b, `<g transform="translate(%d %d)"><text x="%d" y="10">%s</text><text x="%[3]d" y="20">%[5]s</text>`, x, y, panelSide/2, p.name, p.steps)
		dots(&b, "d", real.real[:panelPoints])
		if i > 0 {
			dots(&b, "s", p.points)
		}
		fmt.Fprintln(&b, "</g>")
	}
	fmt.Fprintln(&b, "</svg>")
	return os.WriteFile(r.svg, b.Bytes(), 0o666)
}

// dots are points as a path of lines without length.
func dots(b *bytes.Buffer, class string, points [][]float64) {
	fmt.Fprintf(b, `<path class="%s" d="`, class)
	for _, p := range points {
		if max(p[0], p[1], -p[0], -p[1]) < panelHalf {
			fmt.Fprintf(b, "M%.1f %.1fh0", (p[0]/panelHalf+1)*panelSide/2, panelTitle+(1-p[1]/panelHalf)*panelSide/2)
		}
	}
	b.WriteString(`"/>`)
}

// ways are those shown of a method: one step, and of the flow many.
func (t table) ways(m method) (shown []string) {
	for _, way := range []string{"1", "64"} {
		if t[m.name][way] != nil {
			shown = append(shown, way)
		}
	}
	return shown
}
