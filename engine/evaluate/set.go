package evaluate

import (
	"context"
	"errors"
	"fmt"

	"fluxion/engine/device"
	"fluxion/engine/metric"
	"fluxion/engine/plan"
	"fluxion/nets/feature"
)

// Source is images to be judged.
type Source interface {
	Name() string
	Len() int
	// Each hands out the images in order; their pixels are valid until visit returns.
	Each(ctx context.Context, visit func(Image) error) error
}

// Set is what is known of a set of images: as much as the metrics need that are asked.
type Set struct {
	Name string
	N    int64 // images; 0: a file of statistics did not say

	Statistics *metric.Statistics // of the features; nil where not needed
	Spatial    *metric.Statistics // of a middle layer
	Features   metric.Features    // of every image; empty where not needed
	Logits     metric.Features
}

// collector takes features in, and keeps of them what is needed.
type collector struct {
	needs   Needs
	set     *Set
	sums    map[string]*metric.Accumulator // by output
	seen    map[string]int64               // images, by output
	average bool                           // the statistics come from sums: there are more images than numbers of each
}

// NotFiniteError is features that are no numbers: weights that are not those of the
// network give such.
type NotFiniteError struct {
	Image  int64 // in the order of the set
	Output string
	Value  float32
}

func (e *NotFiniteError) Error() string {
	return fmt.Sprintf("image %d: %v among its %s features; the weights are damaged or of another network", e.Image, e.Value, e.Output)
}

func (c *collector) add(output string, rows []float32, dim int) error {
	for i, v := range rows {
		if v-v != 0 { // of infinities and NaN it is NaN
			return &NotFiniteError{c.seen[output] + int64(i/dim), output, v}
		}
	}
	c.seen[output] += int64(len(rows) / dim)
	sum := func() {
		if c.sums[output] == nil {
			c.sums[output] = metric.NewAccumulator(dim)
		}
		c.sums[output].Add(rows)
	}
	switch output {
	case feature.Logits:
		c.set.Logits.Dim = dim
		c.set.Logits.Append(rows)
	case feature.Spatial:
		sum()
	default:
		if c.average && c.needs.Statistics {
			sum()
		}
		if c.needs.Features || !c.average && c.needs.Statistics {
			c.set.Features.Dim = dim
			c.set.Features.Append(rows)
		}
	}
	return nil
}

// Collect looks at all images of a source. Progress is called with the number of
// images that were looked at; it may be nil.
func Collect(ctx context.Context, s Source, o ExtractorOptions, needs Needs, progress func(n int) error) (_ *Set, err error) {
	n := s.Len()
	if n < 1 {
		return nil, fmt.Errorf("%s has no images", s.Name())
	}
	o.Outputs = needs.outputs()
	o.Batch = min(o.Batch, n)
	c := &collector{needs: needs, set: &Set{Name: s.Name(), N: int64(n)}, sums: map[string]*metric.Accumulator{}, seen: map[string]int64{}}
	e, err := NewExtractor(o, c.add)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	dim := o.Network.Dim
	c.average = n > dim
	if !c.average && needs.Statistics || needs.Features {
		if err := device.CheckMemory(device.Need{What: "the features of all images", Bytes: plan.Product(4, n, dim)}); err != nil {
			return nil, err
		}
	}
	done := 0
	err = s.Each(ctx, func(i Image) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := e.Add(i); err != nil {
			return err
		}
		if done++; progress != nil {
			return progress(done)
		}
		return nil
	})
	if err == nil {
		err = e.Flush()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name(), err)
	}
	c.set.N = int64(done) // of which some may have been left out
	return c.set, c.finish()
}

// finish makes statistics of what came in.
func (c *collector) finish() error {
	var err error
	statistics := func(output string) *metric.Statistics {
		a := c.sums[output]
		if a == nil || err != nil {
			return nil
		}
		var s *metric.Statistics
		s, err = a.Statistics()
		return s
	}
	c.set.Spatial = statistics(feature.Spatial)
	if c.set.Statistics = statistics(feature.Pooled); c.average || err != nil || !c.needs.Statistics {
		return err
	}
	c.set.Statistics, err = metric.StatisticsOf(c.set.Features)
	return err
}
