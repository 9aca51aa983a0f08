// Package figures computes the figures of "Diffusion Meets Flow Matching" from
// this engine's own schedules, weightings and samplers, and those of what is made of
// flows since, objectives and couplings: numbers only, drawn by whoever calls. Nothing
// here is copied from the article; each figure is a claim that can be seen, most of
// engine/process/MATHEMATICS.md.
package figures

import "fmt"

// Figure is one chart, or a family of charts along a slider.
type Figure struct {
	Name    string // of its files
	Title   string
	Caption string // what is to be seen, and the section of MATHEMATICS.md behind it
	X, Y    string // axis labels with units
	// YRange bounds the axis; {0, 0} fits the data.
	YRange [2]float64
	LogX   bool
	LogY   bool
	Plane  bool // both axes have one unit of length, and XRange and YRange bound them
	XRange [2]float64
	Across int // panels of a row, where frames have some
	Slider Slider
	Frames []Frame // one for each value of the slider, or just one
}

// Slider is a quantity that a figure was computed for at several values.
type Slider struct {
	Name    string
	Values  []float64 // empty: no slider
	Default int       // index of the value that is drawn on paper
}

// Frame is the chart at one value of the slider, or several beside each other.
type Frame struct {
	Series []Series
	Panels []Panel // in the place of Series, row by row; series of one name have one colour
	Note   string  // a number worth reading, "" for none
}

// Panel is one of several charts.
type Panel struct {
	Title  string
	Series []Series
}

// All are the charts of a frame: the panels, or the one chart.
func (f Frame) All() []Panel {
	if f.Panels == nil {
		return []Panel{{Series: f.Series}}
	}
	return f.Panels
}

// Kind is how a series is drawn.
type Kind string

// Kinds of series.
const (
	Line    Kind = "line"
	Marked  Kind = "marked" // a line between few points, which are seen
	Dashed  Kind = "dashed"
	Points  Kind = "points"
	Cloud   Kind = "cloud"   // hundreds of points
	Threads Kind = "threads" // many thin lines, cut by NaN
)

// Series is points (X[i], Y[i]) in order.
type Series struct {
	Name string
	Kind Kind
	X, Y []float64
}

// curve samples f at n points, evenly from a to b.
func curve(name string, kind Kind, a, b float64, n int, f func(x float64) float64) Series {
	s := Series{Name: name, Kind: kind}
	for i := range n {
		x := a + (b-a)*float64(i)/float64(n-1)
		s.X, s.Y = append(s.X, x), append(s.Y, f(x))
	}
	return s
}

// family computes one frame for each value.
func family(name string, values []float64, initial int, frame func(v float64) (Frame, error)) (Slider, []Frame, error) {
	var frames []Frame
	for _, v := range values {
		f, err := frame(v)
		if err != nil {
			return Slider{}, nil, fmt.Errorf("%s = %g: %w", name, v, err)
		}
		frames = append(frames, f)
	}
	return Slider{name, values, initial}, frames, nil
}
