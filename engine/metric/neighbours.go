package metric

import (
	"math"
	"slices"
)

// Manifold is how two sets lie in each other, by balls around each image that reach
// to its k-th neighbour of the same set.
type Manifold struct {
	Precision float64 // share of samples within a ball of a real image (Kynkäänniemi et al., 2019)
	Recall    float64 // share of real images within a ball of a sample
	Density   float64 // balls of real images around a sample, over k (Naeem et al., 2020)
	Coverage  float64 // share of real images whose ball holds a sample
}

// ManifoldOptions of Neighbours.
type ManifoldOptions struct {
	K      int  // 0: 3 for precision and recall, 5 for density and coverage
	Closed bool // a ball holds its own border, as with the authors of precision and recall; else not, as with those of density and coverage
}

// Neighbours compares samples with real images.
func Neighbours(samples, real Features, o ManifoldOptions) (Manifold, error) {
	var m Manifold
	kPR, kDC := o.K, o.K
	if o.K == 0 {
		kPR, kDC = 3, 5
	}
	if err := pair("precision and recall", samples, real, max(kPR, kDC)+1); err != nil {
		return m, err
	}
	most := max(kPR, kDC)
	ofReal, ofSamples := nearest(real, most), nearest(samples, most)
	within := func(d, radius float64) bool { return d < radius || o.Closed && d == radius }
	n, all := samples.Len(), real.Len()
	stripes := make([]int, (n+tile-1)/tile) // balls
	precise := make([]bool, n)
	// By column, since a real image meets samples of all stripes: its own stripe of bits.
	recalled, covered := make([][]bool, len(stripes)), make([][]bool, len(stripes))
	distances(samples, real, func(i, h, j, w int, d []float64) {
		s := i / tile
		if recalled[s] == nil {
			recalled[s], covered[s] = make([]bool, all), make([]bool, all)
		}
		for k := range h {
			for l, v := range d[k*tile:][:w] {
				precise[i+k] = precise[i+k] || within(v, ofReal[j+l][kPR-1])
				recalled[s][j+l] = recalled[s][j+l] || within(v, ofSamples[i+k][kPR-1])
				if within(v, ofReal[j+l][kDC-1]) {
					stripes[s]++
					covered[s][j+l] = true
				}
			}
		}
	})
	balls := 0
	for _, s := range stripes {
		balls += s
	}
	m.Precision = share(precise)
	m.Recall, m.Coverage = share(either(recalled)), share(either(covered))
	m.Density = float64(balls) / float64(kDC) / float64(n)
	return m, nil
}

// either says of each column whether a row has it.
func either(rows [][]bool) []bool {
	all := make([]bool, len(rows[0]))
	for _, row := range rows {
		for i, b := range row {
			all[i] = all[i] || b
		}
	}
	return all
}

func share(of []bool) float64 {
	n := 0
	for _, b := range of {
		if b {
			n++
		}
	}
	return float64(n) / float64(len(of))
}

// nearest is the squared distances of each image to its k nearest others.
func nearest(f Features, k int) [][]float64 {
	found := make([][]float64, f.Len())
	distances(f, f, func(i, h, j, w int, d []float64) {
		for r := range h {
			at := i + r
			for l, v := range d[r*tile:][:w] {
				if j+l != at {
					found[at] = keep(found[at], v, k)
				}
			}
		}
	})
	return found
}

// keep adds v to the k smallest, which are sorted.
func keep(least []float64, v float64, k int) []float64 {
	if len(least) == k && v >= least[k-1] {
		return least
	}
	at, _ := slices.BinarySearch(least, v)
	if len(least) == k {
		least = least[:k-1]
	}
	return slices.Insert(least, at, v)
}

// Match is the image of a set that is nearest to a given one.
type Match struct {
	Index    int
	Distance float64 // not squared
}

// Nearest finds, for each sample, the nearest of the real images.
func Nearest(samples, real Features) ([]Match, error) {
	if err := pair("the nearest image", samples, real, 1); err != nil {
		return nil, err
	}
	found := make([]Match, samples.Len())
	for i := range found {
		found[i].Distance = math.Inf(1)
	}
	distances(samples, real, func(i, h, j, w int, d []float64) {
		for k := range h {
			for l, v := range d[k*tile:][:w] {
				if v < found[i+k].Distance {
					found[i+k] = Match{j + l, v}
				}
			}
		}
	})
	for i := range found {
		found[i].Distance = math.Sqrt(found[i].Distance)
	}
	return found, nil
}

// Authentic is the share of samples that lie farther from the nearest real image than
// that one from its own nearest (Alaa et al., "How Faithful is your Synthetic Data?",
// 2022). Well below a half says that the samples are copies.
func Authentic(samples, real Features) (float64, error) {
	if err := pair("authenticity", samples, real, 2); err != nil {
		return 0, err
	}
	matches, err := Nearest(samples, real)
	if err != nil {
		return 0, err
	}
	others := nearest(real, 1)
	authentic := make([]bool, len(matches))
	for i, m := range matches {
		authentic[i] = m.Distance > math.Sqrt(others[m.Index][0])
	}
	return share(authentic), nil
}
