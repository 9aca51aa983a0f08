package evaluate

import (
	"context"
	"errors"
	"fmt"
	"strings"

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

// Collector looks at sets of images, one after the other, with one network.
type Collector struct {
	extractor *Extractor
	now       *collection
}

// NewCollector compiles the network for a device; needs are those of all the sets.
func NewCollector(o ExtractorOptions, needs Needs) (*Collector, error) {
	c := &Collector{}
	o.Outputs = needs.outputs()
	var err error
	c.extractor, err = NewExtractor(o, func(output string, rows []float32, dim int) error { return c.now.add(output, rows, dim) })
	return c, err
}

// Bytes of the device's memory that it takes from Load on.
func (c *Collector) Bytes() int64 { return c.extractor.sizes().Bytes() }

// FLOPs of an image.
func (c *Collector) FLOPs() int64 { return c.extractor.FLOPs() }

// Load puts the network on the device.
func (c *Collector) Load() error { return c.extractor.Load() }

// Close gives back what it holds.
func (c *Collector) Close() error { return c.extractor.Close() }

// collection takes the features of a set in, and keeps of them what is needed.
type collection struct {
	needs   Needs
	set     *Set
	sums    map[string]*metric.Accumulator // by output
	seen    map[string]int64               // images, by output
	average bool                           // the statistics come from sums: there are more images than numbers of each
}

func newCollection(name string, needs Needs, average bool) *collection {
	return &collection{needs: needs, set: &Set{Name: name}, sums: map[string]*metric.Accumulator{}, seen: map[string]int64{}, average: average}
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

func (c *collection) add(output string, rows []float32, dim int) error {
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
		if !c.needs.Logits {
			return nil
		}
		c.set.Logits.Dim = dim
		c.set.Logits.Append(rows)
	case feature.Spatial:
		if c.needs.Spatial {
			sum()
		}
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

// Collect looks at all images of one source.
func Collect(ctx context.Context, s Source, o ExtractorOptions, needs Needs, progress func(n int) error) (_ *Set, err error) {
	if n := s.Len(); n > 0 {
		o.Batch = min(o.Batch, n)
	}
	c, err := NewCollector(o, needs)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.Load(); err != nil {
		return nil, err
	}
	return c.Collect(ctx, s, needs, progress)
}

// Collect looks at all images of a source. Progress is called with the number of
// images that were looked at; it may be nil.
func (c *Collector) Collect(ctx context.Context, s Source, needs Needs, progress func(n int) error) (*Set, error) {
	n := s.Len()
	if n < 1 {
		return nil, fmt.Errorf("%s has no images", s.Name())
	}
	if err := device.CheckMemory(needs.Memory(n, &c.extractor.Network)); err != nil {
		return nil, err
	}
	whole := n
	part, isPart := s.(Part)
	if isPart {
		whole = part.Of()
	}
	c.now, c.extractor.filled = newCollection(s.Name(), needs, whole > c.extractor.Network.Dim), 0
	done := 0
	err := s.Each(ctx, func(i Image) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := c.extractor.Add(i); err != nil {
			return err
		}
		if done++; progress != nil {
			return progress(done)
		}
		return nil
	})
	if err == nil {
		err = c.extractor.Flush()
	}
	if err != nil && strings.HasPrefix(err.Error(), s.Name()) { // that names a file of it
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name(), err)
	}
	c.now.set.N = int64(done) // of which some may have been left out
	if isPart {
		c.now.part()
		return c.now.set, nil
	}
	return c.now.set, c.now.finish()
}

// Memory of the host that is kept of what a network says of so many images.
func (n Needs) Memory(images int, of *feature.Network) device.Need {
	numbers := 0
	if n.Features || n.Statistics && images <= of.Dim {
		numbers += of.Dim
	}
	if n.Logits {
		numbers += of.Classes
	}
	return device.Need{What: "the features of all images", Bytes: plan.Product(4, images, numbers)}
}

// finish makes statistics of what came in.
func (c *collection) finish() error {
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
