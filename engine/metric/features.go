// Package metric is the mathematics of judging samples: distances between sets of
// features, in float64. It knows no network and no file. Every result depends on its
// features alone: not on the number of threads, nor on how the features came in.
package metric

import (
	"fmt"
	"math"
)

// Features are what a network says of images: Len rows of Dim numbers.
type Features struct {
	Dim    int
	Values []float32 // row after row
}

// Len is the number of images.
func (f Features) Len() int {
	if f.Dim == 0 {
		return 0
	}
	return len(f.Values) / f.Dim
}

// Row is what is said of image i.
func (f Features) Row(i int) []float32 { return f.Values[i*f.Dim:][:f.Dim] }

// Append adds rows.
func (f *Features) Append(rows []float32) { f.Values = append(f.Values, rows...) }

// Check says whether the features can be compared: whole rows of numbers.
func (f Features) Check() error {
	switch {
	case f.Dim < 1:
		return fmt.Errorf("features of %d numbers an image; want at least 1", f.Dim)
	case len(f.Values)%f.Dim != 0:
		return fmt.Errorf("%d numbers are no whole rows of %d", len(f.Values), f.Dim)
	}
	for i, v := range f.Values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("feature %d of image %d is %v", i%f.Dim, i/f.Dim, v)
		}
	}
	return nil
}

// CountError is too few images for a metric.
type CountError struct {
	Metric    string
	Have, Min int
}

func (e *CountError) Error() string {
	return fmt.Sprintf("%s of %d images: want at least %d", e.Metric, e.Have, e.Min)
}

// DimError is features of different networks.
type DimError struct{ A, B int }

func (e *DimError) Error() string {
	return fmt.Sprintf("features of %d and of %d numbers an image are of different networks", e.A, e.B)
}

// pair checks that a metric of two sets can be taken, each of at least so many images.
func pair(metric string, a, b Features, least int) error {
	if a.Dim != b.Dim {
		return &DimError{a.Dim, b.Dim}
	}
	if n := min(a.Len(), b.Len()); n < least {
		return &CountError{metric, n, least}
	}
	return nil
}
