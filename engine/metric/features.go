// Package metric is the mathematics of judging samples: distances between sets of
// features, in float64. It knows no network and no file. Every result depends on its
// features alone: not on the number of threads, nor on how the features came in.
package metric

import (
	"fmt"
	"slices"
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

// Grow makes room for so many values more.
func (f *Features) Grow(values int) { f.Values = slices.Grow(f.Values, values) }

// Append adds rows.
func (f *Features) Append(rows []float32) { f.Values = append(f.Values, rows...) }

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
