package evaluate

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"

	"fluxion/data/lookup"
	"fluxion/engine/metric"
	"fluxion/nets/feature"
)

// Needs are what a metric must know of a set.
type Needs struct {
	Statistics bool // mean and covariance of the features
	Features   bool // those of every image
	Logits     bool
	Spatial    bool // mean and covariance of a middle layer
}

// Join is what both need.
func (n Needs) Join(m Needs) Needs {
	return Needs{n.Statistics || m.Statistics, n.Features || m.Features, n.Logits || m.Logits, n.Spatial || m.Spatial}
}

// outputs of a network that tell it.
func (n Needs) outputs() []string {
	outputs := []string{feature.Pooled}
	if n.Logits {
		outputs = append(outputs, feature.Logits)
	}
	if n.Spatial {
		outputs = append(outputs, feature.Spatial)
	}
	return outputs
}

// Options of metrics.
type Options struct {
	Seed    uint64 // of subsets, orders and directions
	Subsets int    // of kid; 0: 100
	Size    int    // of a subset of kid; 0: 1000
	K       int    // neighbours; 0: 3 for precision and recall, 5 for density and coverage
	Splits  int    // of the Inception Score; 0: 10
	Closed  bool   // balls of neighbours hold their border
	Network string // of the features, for what is said of values; empty: not known
}

// Value is one number of a metric.
type Value struct {
	Name  string
	Value float64
	// Error is how far the value may be off by chance, in the sense of How; 0: not known.
	Error float64
	How   string // what was taken, and what Error is; "" where the name says it
}

// Metric is one way to judge images.
type Metric struct {
	Name    string
	Summary string
	Gives   []Given
	Needs   Needs // of each set; of the real images less, where Real says so
	Real    *Needs
	Alone   bool   // it judges one set, else samples against real images
	Network string // the only network whose features it is defined for; empty: any
	// Least is how many images of each set it takes, if the network says so many numbers
	// of each; nil: two.
	Least func(dim int, o Options) int

	compute func(a, b *Set, o Options) ([]Value, error)
}

// Given is a number that a metric gives.
type Given struct {
	Name   string
	Higher bool // is better; else lower
}

// lower are numbers of which a lower one is better.
func lower(names ...string) (list []Given) {
	for _, name := range names {
		list = append(list, Given{Name: name})
	}
	return list
}

// higher are those of which a higher one is.
func higher(names ...string) (list []Given) {
	for _, name := range names {
		list = append(list, Given{Name: name, Higher: true})
	}
	return list
}

// NetworkOfFID is the only network whose Fréchet distance is called FID.
const NetworkOfFID = "inception"

// Metrics in the order in which help lists them.
var Metrics = []Metric{
	{Name: "fid", Summary: "Fréchet Inception distance", Gives: lower("fid"), Needs: Needs{Statistics: true}, Network: NetworkOfFID, compute: frechet("fid")},
	{Name: "fd", Summary: "Fréchet distance of any network's features", Gives: lower("fd"), Needs: Needs{Statistics: true}, compute: frechet("fd")},
	{Name: "fd-infinity", Summary: "the same for unlimited samples, by a line in 1/n", Gives: lower("fd-infinity"), Needs: Needs{Features: true}, Real: &Needs{Statistics: true}, Least: func(dim int, _ Options) int { return metric.FewestOfInfinity(dim) }, compute: infinity},
	{Name: "sfid", Summary: "Fréchet distance of a middle layer, with its places", Gives: lower("sfid"), Needs: Needs{Spatial: true}, Network: NetworkOfFID, compute: spatial},
	{Name: "kid", Summary: "kernel distance: of all images, and over subsets", Gives: lower("kid", "kid-all"), Needs: Needs{Features: true}, compute: kernel},
	{Name: "is", Summary: "Inception Score of the first set alone", Gives: higher("is"), Needs: Needs{Logits: true}, Alone: true, Network: NetworkOfFID, Least: func(_ int, o Options) int { return o.splits() }, compute: inceptionScore},
	{Name: "prdc", Summary: "precision, recall, density, coverage", Gives: higher("precision", "recall", "density", "coverage"), Needs: Needs{Features: true}, Least: func(_ int, o Options) int { return cmp.Or(o.K, 5) + 1 }, compute: manifold},
	{Name: "mind", Summary: "3d times the mean squared Wasserstein distance along 1,000 directions of the d features", Gives: lower("mind"), Needs: Needs{Features: true}, compute: sliced},
	{Name: "authpct", Summary: "share of samples that are no near copy of a real image", Gives: higher("authpct"), Needs: Needs{Features: true}, compute: authentic},
}

// FindMetrics returns the metrics of names.
func FindMetrics(names []string) ([]Metric, error) {
	all := make([]string, len(Metrics))
	for i, m := range Metrics {
		all[i] = m.Name
	}
	var found []Metric
	seen := map[int]bool{}
	for _, name := range names {
		i, err := lookup.Find("metric", strings.ToLower(strings.TrimSpace(name)), all)
		if err != nil {
			return nil, err
		}
		if !seen[i] {
			found = append(found, Metrics[i])
		}
		seen[i] = true
	}
	return found, nil
}

// Of is what a metric must know of samples, or of the real images.
func (m Metric) Of(real bool) Needs {
	switch {
	case real && m.Alone:
		return Needs{}
	case real && m.Real != nil:
		return *m.Real
	}
	return m.Needs
}

// Check says why metrics cannot be taken with a network, of one set or of two.
func Check(metrics []Metric, network string, two bool) error {
	for _, m := range metrics {
		if m.Network != "" && m.Network != network {
			hint := ""
			if m.Name == "fid" {
				hint = "; the same distance of other features is fd"
			}
			return fmt.Errorf("%s is defined for the features of %s, not of %s%s", m.Name, m.Network, network, hint)
		}
		if !m.Alone && !two {
			return fmt.Errorf("%s compares two sets of images, and there is one", m.Name)
		}
	}
	return nil
}

// CheckCount says why metrics cannot be taken of sets of so many images, of which so many
// numbers are known each; a count of 0 is not known.
func CheckCount(metrics []Metric, counts []int64, dim int, o Options) error {
	for _, m := range metrics {
		least := 2
		if m.Least != nil {
			least = m.Least(dim, o)
		}
		for i, n := range counts {
			if n > 0 && n < int64(least) && (i == 0 || !m.Alone) {
				return &metric.CountError{Metric: m.Name, Have: int(n), Min: least}
			}
		}
	}
	return nil
}

// Compute judges samples against real images; b is nil for metrics of one set.
func Compute(ctx context.Context, metrics []Metric, a, b *Set, o Options) ([]Value, error) {
	var all []Value
	for _, m := range metrics {
		for i, s := range []*Set{a, b} {
			if s == nil {
				continue
			}
			if err := s.Has(m, i == 1); err != nil {
				return nil, err
			}
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		values, err := m.compute(a, b, o)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
				return nil, fmt.Errorf("%s is %v", v.Name, v.Value)
			}
		}
		all = append(all, values...)
	}
	return all, nil
}

// Has says what a metric needs that is not known of the set, as of a file of statistics.
func (s *Set) Has(m Metric, real bool) error {
	needs := m.Of(real)
	for _, c := range []struct {
		need, have bool
		what       string
	}{
		{needs.Statistics, s.Statistics != nil, "mean and covariance of features"},
		{needs.Spatial, s.Spatial != nil, "mean and covariance of a middle layer"},
		{needs.Features, len(s.Features.Values) > 0, "the features of every image"},
		{needs.Logits, len(s.Logits.Values) > 0, "the logits of every image"},
	} {
		if c.need && !c.have {
			return fmt.Errorf("%s needs %s, which %s does not hold; give the images", m.Name, c.what, s.Name)
		}
	}
	return nil
}

func frechet(name string) func(a, b *Set, o Options) ([]Value, error) {
	return func(a, b *Set, o Options) ([]Value, error) {
		v, err := metric.Frechet(a.Statistics, b.Statistics)
		value := Value{Name: name, Value: v}
		if name == "fd" && o.Network != "" {
			value.How = fmt.Sprintf("Fréchet distance on %s features", o.Network)
		}
		return []Value{value}, err
	}
}

func infinity(a, b *Set, o Options) ([]Value, error) {
	v, deviation, err := metric.FrechetInfinity(a.Features, b.Statistics, o.Seed)
	return []Value{{"fd-infinity", v, deviation, "± is the standard error of the line, not of the draw of images"}}, err
}

func spatial(a, b *Set, _ Options) ([]Value, error) {
	v, err := metric.Frechet(a.Spatial, b.Spatial)
	return []Value{{Name: "sfid", Value: v}}, err
}

func kernel(a, b *Set, o Options) ([]Value, error) {
	// All pairs of so many images are as many as those of the usual subsets together.
	const whole = 20000
	subsets, size := o.Subsets, o.Size
	if subsets == 0 {
		subsets = 100
	}
	if size == 0 {
		size = 1000
	}
	n, m := a.Features.Len(), b.Features.Len()
	if size >= n && size >= m { // one subset: all
		v, err := metric.KernelDistance(a.Features, b.Features)
		return []Value{{Name: "kid", Value: v, How: "of all images"}}, err
	}
	size = min(size, n, m)
	mean, deviation, err := metric.KernelSubsets(a.Features, b.Features, metric.KernelOptions{Subsets: subsets, Size: size, Seed: o.Seed})
	values := []Value{{"kid", mean, deviation, fmt.Sprintf("± is the deviation over %d subsets of %d", subsets, size)}}
	if err != nil || max(n, m) > whole {
		return values, err
	}
	v, err := metric.KernelDistance(a.Features, b.Features)
	return append(values, Value{Name: "kid-all", Value: v, How: "of all images"}), err
}

func inceptionScore(a, _ *Set, o Options) ([]Value, error) {
	mean, deviation, err := metric.InceptionScore(a.Logits, o.splits(), o.Seed)
	return []Value{{"is", mean, deviation, fmt.Sprintf("± is the deviation over %d parts", o.splits())}}, err
}

func (o Options) splits() int {
	if o.Splits == 0 {
		return 10
	}
	return o.Splits
}

func manifold(a, b *Set, o Options) ([]Value, error) {
	m, err := metric.Neighbours(a.Features, b.Features, metric.ManifoldOptions{K: o.K, Closed: o.Closed})
	of, dc := "k = 3", "k = 5"
	if o.K > 0 {
		of = fmt.Sprintf("k = %d", o.K)
		dc = of
	}
	return []Value{{"precision", m.Precision, 0, of}, {"recall", m.Recall, 0, of}, {"density", m.Density, 0, dc}, {"coverage", m.Coverage, 0, dc}}, err
}

func sliced(a, b *Set, o Options) ([]Value, error) {
	v, err := metric.Sliced(a.Features, b.Features, 0, o.Seed)
	return []Value{{Name: "mind", Value: v}}, err
}

func authentic(a, b *Set, _ Options) ([]Value, error) {
	v, err := metric.Authentic(a.Features, b.Features)
	return []Value{{Name: "authpct", Value: 100 * v}}, err
}
