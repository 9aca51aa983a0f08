package paper

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strconv"

	"fluxion/engine/figures"
)

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
