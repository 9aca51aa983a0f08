package paper

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// ticks are numbers at an axis: the page has the same.
type ticks struct{ log bool }

// Numbers of an axis, about.
const someTicks = 6

// Ticks are at multiples of 1, 2 or 5 times a power of ten, each with its number; on a
// logarithmic axis at powers of ten, or at 1, 2 and 5 of each where there are few.
func (t ticks) Ticks(low, high float64) (all []plot.Tick) {
	add := func(x float64) { all = append(all, plot.Tick{Value: x, Label: label(x)}) }
	if !t.log {
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
