package paper

import (
	"math"
	"strconv"
)

// axis is a range of numbers, with ticks at round ones.
type axis struct {
	label     string
	low, high float64
	log       bool
}

// emptyAxis is one without a range.
func emptyAxis(label string, log bool) axis { return axis{label, math.Inf(1), math.Inf(-1), log} }

// include widens the range.
func (a *axis) include(v float64) { a.low, a.high = min(a.low, v), max(a.high, v) }

// settled is the axis with a range whose numbers can be told apart.
func (a axis) settled() axis {
	if a.low > a.high { // nothing is drawn
		a.low, a.high = 0, 1
		if a.log {
			a.low, a.high = 1, 10
		}
	}
	far := max(math.Abs(a.low), math.Abs(a.high))
	switch {
	case a.high-a.low > 1e-9*far:
	case a.log:
		a.low, a.high = a.low/2, a.high*2
	default:
		by := max(1, far/1e3)
		a.low, a.high = a.low-by, a.high+by
	}
	return a
}

// part is where a number is on the axis, from 0 to 1; what is far outside is as far as
// arithmetic goes well.
func (a axis) part(v float64) float64 {
	part := v/(a.high-a.low) - a.low/(a.high-a.low)
	if a.log {
		part = math.Log(v/a.low) / math.Log(a.high/a.low)
	}
	return min(1e6, max(-1e6, part))
}

// tick is a number at an axis: the page has the same.
type tick struct {
	value float64
	label string
}

// Numbers of an axis, about.
const someTicks = 6

// ticks are at multiples of 1, 2 or 5 times a power of ten, each with its number; on a
// logarithmic axis at powers of ten, or at 1, 2 and 5 of each where there are few.
func (a axis) ticks() (all []tick) {
	low, high := a.low, a.high
	add := func(x float64) { all = append(all, tick{x, label(x)}) }
	if !a.log {
		step := step(high - low)
		for i := math.Ceil(low/step - 1e-9); i*step <= high+1e-9*step; i++ {
			add(i * step)
		}
		return all
	}
	from, to := math.Log10(low), math.Log10(high)
	between := []float64{1}
	if to-from < 3 {
		between = []float64{1, 2, 5}
	}
	every := math.Max(1, math.Ceil((to-from)/(someTicks+2)))
	for e := math.Floor(from); e <= to; e += every {
		for _, m := range between {
			if x := m * math.Pow(10, e); x >= low*(1-1e-9) && x <= high*(1+1e-9) {
				add(x)
			}
		}
	}
	return all
}

// step is the next of 1, 2 and 5 times a power of ten, of so many in a width.
func step(width float64) float64 {
	raw := width / someTicks
	base := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if m*base >= raw {
			return m * base
		}
	}
	return 10 * base
}

// label is a number as an axis has it: with few digits, and a minus that is one.
func label(x float64) string {
	text := strconv.FormatFloat(math.Abs(x), 'g', 6, 64)
	if a := math.Abs(x); a != 0 && (a >= 1e5 || a < 1e-3) {
		text = strconv.FormatFloat(a, 'e', -1, 64)
	}
	if x < 0 {
		return "−" + text
	}
	return text
}
