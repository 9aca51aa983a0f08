package process

import (
	"fmt"
	"strconv"
	"strings"
)

// Interval is a range of noise levels σ/α; the zero value holds all. Guidance within one
// is T. Kynkäänniemi et al., "Applying Guidance in a Limited Interval Improves Sample and
// Distribution Quality in Diffusion Models" (2024).
type Interval [2]float64

// ParseInterval reads LO,HI; empty is all.
func ParseInterval(text string) (i Interval, err error) {
	if text == "" {
		return i, nil
	}
	low, high, _ := strings.Cut(text, ",")
	for k, s := range []string{low, high} {
		if i[k], err = strconv.ParseFloat(strings.TrimSpace(s), 64); err != nil || !(i[k] >= 0) {
			return i, fmt.Errorf("want LO,HI in σ/α, as in 0.3,5")
		}
	}
	if i[0] >= i[1] {
		return i, fmt.Errorf("want LO below HI, as in 0.3,5")
	}
	return i, nil
}

// Holds says whether a point lies within.
func (i Interval) Holds(q Point) bool {
	ratio := q.Sigma / q.Alpha
	return i == Interval{} || ratio >= i[0] && ratio <= i[1]
}
