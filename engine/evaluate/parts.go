package evaluate

import (
	"fmt"

	"fluxion/engine/metric"
	"fluxion/nets/feature"
)

// Part is a source of some images of a set, which is looked at in parts. Of it is kept
// what Join makes that of the set from: its statistics are nil where the set has too few
// images for sums, and its features are kept instead.
type Part interface {
	Source
	Of() int // images of the set
}

// part ends a part: its sums are those of few images, perhaps of one.
func (c *collection) part() {
	if a := c.sums[feature.Spatial]; a != nil {
		c.set.Spatial = a.Part()
	}
	if a := c.sums[feature.Pooled]; a != nil {
		c.set.Statistics = a.Part()
	}
}

// Join is what is known of a set, from its parts in their order: what Collect would know
// of all its images at once.
func Join(name string, parts []*Set) (*Set, error) {
	s := &Set{Name: name}
	var statistics, spatial []*metric.Statistics
	features, logits := 0, 0
	for _, p := range parts {
		features, logits = features+len(p.Features.Values), logits+len(p.Logits.Values)
	}
	s.Features.Grow(features)
	s.Logits.Grow(logits)
	for _, p := range parts {
		if p.N == 0 {
			continue // all its images were left out
		}
		s.N += p.N
		if p.Statistics != nil {
			statistics = append(statistics, p.Statistics)
		}
		if p.Spatial != nil {
			spatial = append(spatial, p.Spatial)
		}
		for _, of := range []struct{ all, more *metric.Features }{{&s.Features, &p.Features}, {&s.Logits, &p.Logits}} {
			if of.more.Len() > 0 {
				of.all.Dim = of.more.Dim
				of.all.Append(of.more.Values)
			}
		}
	}
	for _, of := range []*metric.Features{&s.Features, &s.Logits} {
		if n := int64(of.Len()); n > 0 && n != s.N {
			return nil, fmt.Errorf("%s: only some parts hold the features of every image", name)
		}
	}
	var err error
	if len(spatial) > 0 {
		if s.Spatial, err = metric.Pool(spatial...); err != nil {
			return nil, err
		}
	}
	switch {
	case len(statistics) > 0:
		s.Statistics, err = metric.Pool(statistics...)
	case s.Features.Len() > 0:
		s.Statistics, err = metric.StatisticsOf(s.Features)
	}
	return s, err
}
