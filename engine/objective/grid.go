package objective

import (
	"fmt"
	"math"
)

// growingGrid is the noise levels between which iCT steps: those of EDM, from σ/α of 0.002
// to 80, in a number of steps that doubles until it is the last (Y. Song, P. Dhariwal,
// "Improved Techniques for Training Consistency Models", 2023, section 3.4). The zero value
// is none.
type growingGrid struct{ first, last float64 }

// Ends and shape of the grid, of T. Karras et al. (2022).
const (
	leastRatio = 0.002
	gridShape  = 7
)

func (g growingGrid) check() error {
	switch {
	case g.first == 0:
		return nil
	case g.first < 1 || g.first != math.Trunc(g.first) || g.last < g.first || g.last > 1e6 || g.last != math.Trunc(g.last):
		return fmt.Errorf("objective consistency: first is %g and last %g, want numbers of steps, as in first=10,last=1280, or first=0 for no grid", g.first, g.last)
	}
	return nil
}

// steps are those of the grid at a position of a run of so many images.
func (g growingGrid) steps(at, images int64) float64 {
	doublings := math.Floor(math.Log2(math.Floor(g.last / g.first)))
	if each := math.Floor(float64(images) / (doublings + 1)); each > 0 {
		return min(g.first*math.Exp2(math.Floor(float64(at)/each)), g.last)
	}
	return g.first
}

// level is noise level i of a grid, from 0.
func level(i, steps float64) float64 {
	a, b := math.Pow(leastRatio, 1./gridShape), math.Pow(mostRatio, 1./gridShape)
	return math.Pow(a+i/steps*(b-a), gridShape)
}

// neighbours are the levels above and below one. Of normal logarithms, the level above is
// that of the paper's probabilities.
func (g growingGrid) neighbours(ratio, steps float64) (above, below float64) {
	a, b := math.Pow(leastRatio, 1./gridShape), math.Pow(mostRatio, 1./gridShape)
	i := math.Floor(steps * (math.Pow(ratio, 1./gridShape) - a) / (b - a))
	i = min(max(i, 0), steps-1)
	if i == steps-1 && ratio >= mostRatio {
		return mostRatio, level(i, steps)
	}
	return level(i+1, steps), level(i, steps)
}
