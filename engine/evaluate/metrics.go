package evaluate

import (
	"fmt"
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
}

// Value is one number of a metric.
type Value struct {
	Name  string
	Value float64
	// Error is how far the value may be off by chance: its standard error, or the
	// deviation over subsets; 0: not known.
	Error float64
}

// Metric is one way to judge images.
type Metric struct {
	Name    string
	Summary string
	Needs   Needs
	Alone   bool   // it judges one set, else samples against real images
	Network string // the only network whose features it is defined for; empty: any

	compute func(a, b *Set, o Options) ([]Value, error)
}

// Metrics in the order in which help lists them.
var Metrics = []Metric{
	{Name: "fid", Summary: "Fréchet Inception distance", Needs: Needs{Statistics: true}, Network: "inception", compute: frechet("fid")},
	{Name: "fd", Summary: "Fréchet distance of any network's features", Needs: Needs{Statistics: true}, compute: frechet("fd")},
	{Name: "fd-infinity", Summary: "the same for unlimited samples, by a line in 1/n", Needs: Needs{Statistics: true, Features: true}, compute: infinity},
	{Name: "sfid", Summary: "Fréchet distance of a middle layer, with its places", Needs: Needs{Spatial: true}, Network: "inception", compute: spatial},
	{Name: "kid", Summary: "kernel distance: of all images, and over subsets", Needs: Needs{Features: true}, compute: kernel},
	{Name: "is", Summary: "Inception Score of the first set alone", Needs: Needs{Logits: true}, Alone: true, Network: "inception", compute: inceptionScore},
	{Name: "prdc", Summary: "precision, recall, density, coverage", Needs: Needs{Features: true}, compute: manifold},
	{Name: "mind", Summary: "sliced Wasserstein distance", Needs: Needs{Features: true}, compute: sliced},
	{Name: "authpct", Summary: "share of samples that are no near copy of a real image", Needs: Needs{Features: true}, compute: authentic},
}

// FindMetrics returns the metrics of names.
func FindMetrics(names []string) ([]Metric, error) {
	all := make([]string, len(Metrics))
	for i, m := range Metrics {
		all[i] = m.Name
	}
	var found []Metric
	for _, name := range names {
		i, err := lookup.Find("metric", strings.ToLower(strings.TrimSpace(name)), all)
		if err != nil {
			return nil, err
		}
		found = append(found, Metrics[i])
	}
	return found, nil
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

// Compute judges samples against real images; b is nil for metrics of one set.
func Compute(metrics []Metric, a, b *Set, o Options) ([]Value, error) {
	var all []Value
	for _, m := range metrics {
		for _, s := range []*Set{a, b} {
			if s == nil || m.Alone && s == b {
				continue
			}
			if err := s.has(m); err != nil {
				return nil, err
			}
		}
		values, err := m.compute(a, b, o)
		if err != nil {
			return nil, err
		}
		all = append(all, values...)
	}
	return all, nil
}

// has says what a metric needs that is not known of the set, as of a file of statistics.
func (s *Set) has(m Metric) error {
	for _, c := range []struct {
		need, have bool
		what       string
	}{
		{m.Needs.Statistics, s.Statistics != nil, "mean and covariance of features"},
		{m.Needs.Spatial, s.Spatial != nil, "mean and covariance of a middle layer"},
		{m.Needs.Features, len(s.Features.Values) > 0, "the features of every image"},
		{m.Needs.Logits, len(s.Logits.Values) > 0, "the logits of every image"},
	} {
		if c.need && !c.have {
			return fmt.Errorf("%s needs %s, which %s does not hold; give the images", m.Name, c.what, s.Name)
		}
	}
	return nil
}

func frechet(name string) func(a, b *Set, o Options) ([]Value, error) {
	return func(a, b *Set, _ Options) ([]Value, error) {
		v, err := metric.Frechet(a.Statistics, b.Statistics)
		return []Value{{Name: name, Value: v}}, err
	}
}

func infinity(a, b *Set, o Options) ([]Value, error) {
	v, deviation, err := metric.FrechetInfinity(a.Features, b.Statistics, o.Seed)
	return []Value{{"fd-infinity", v, deviation}}, err
}

func spatial(a, b *Set, _ Options) ([]Value, error) {
	v, err := metric.Frechet(a.Spatial, b.Spatial)
	return []Value{{Name: "sfid", Value: v}}, err
}

func kernel(a, b *Set, o Options) ([]Value, error) {
	// All pairs of so many images are as many as those of the usual subsets together.
	const whole = 20000
	mean, deviation, err := metric.KernelSubsets(a.Features, b.Features, metric.KernelOptions{Subsets: o.Subsets, Size: o.Size, Seed: o.Seed})
	values := []Value{{"kid", mean, deviation}}
	if err != nil || max(a.Features.Len(), b.Features.Len()) > whole {
		return values, err
	}
	v, err := metric.KernelDistance(a.Features, b.Features)
	return append(values, Value{Name: "kid-all", Value: v}), err
}

func inceptionScore(a, _ *Set, o Options) ([]Value, error) {
	splits := o.Splits
	if splits == 0 {
		splits = 10
	}
	mean, deviation, err := metric.InceptionScore(a.Logits, splits, o.Seed)
	return []Value{{"is", mean, deviation}}, err
}

func manifold(a, b *Set, o Options) ([]Value, error) {
	m, err := metric.Neighbours(a.Features, b.Features, metric.ManifoldOptions{K: o.K})
	return []Value{{Name: "precision", Value: m.Precision}, {Name: "recall", Value: m.Recall}, {Name: "density", Value: m.Density}, {Name: "coverage", Value: m.Coverage}}, err
}

func sliced(a, b *Set, o Options) ([]Value, error) {
	v, err := metric.Sliced(a.Features, b.Features, 0, o.Seed)
	return []Value{{Name: "mind", Value: v}}, err
}

func authentic(a, b *Set, _ Options) ([]Value, error) {
	v, err := metric.Authentic(a.Features, b.Features)
	return []Value{{Name: "authpct", Value: 100 * v}}, err
}
