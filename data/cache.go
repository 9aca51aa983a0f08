package data

import "sync/atomic"

// cache keeps decoded images. Every image has a state, so that readers never wait for each other.
type cache struct {
	Dataset
	buckets  *Buckets // nil: images have one shape
	size     int      // values of an image then
	from     []int64  // of several: where in pixels each image begins, and the end
	pixels   Pixels
	examples []kept
	state    []atomic.Uint32
}

// kept is what is known of an image beside its pixels.
type kept struct {
	class int32
	noise int64
}

const (
	empty = iota
	filling
	full
)

// cached wraps a data set whose decoded images fit into this many bytes.
func cached(d Dataset, limit int64) Dataset {
	if cheap(d) {
		return d
	}
	c := &cache{Dataset: d, buckets: BucketsOf(d), size: ValuesOf(d)}
	n, values := int64(d.Len()), limit/int64(d.Kind().Size())
	all := n * int64(c.size)
	if c.buckets != nil {
		_, _, channels := d.Shape()
		if all = c.buckets.values(channels); all <= values {
			c.from = c.buckets.places(channels)
		}
	}
	if c.size < 1 || c.from == nil && n > values/int64(c.size) || all > values {
		return d
	}
	c.pixels, c.examples, c.state = NewPixels(d.Kind(), int(all)), make([]kept, n), make([]atomic.Uint32, n)
	return c
}

// values of all images.
func (b *Buckets) values(channels int) (n int64) {
	for k, s := range b.Sizes {
		n += int64(len(b.members[k])) * int64(s.Height) * int64(s.Width) * int64(channels)
	}
	return n
}

// places are where images begin that lie one behind the other, and where the last ends.
func (b *Buckets) places(channels int) []int64 {
	from := make([]int64, len(b.of)+1)
	for i, k := range b.of {
		from[i+1] = from[i] + int64(b.Sizes[k].Height)*int64(b.Sizes[k].Width)*int64(channels)
	}
	return from
}

// place is where image i is kept; false: it is wanted in another shape than it has there.
func (c *cache) place(i int, e *Example) (from, to int, ok bool) {
	if c.buckets == nil {
		return i * c.size, (i + 1) * c.size, e.Size == (Size{}) || e.Size == SizeOf(c.Dataset, i)
	}
	return int(c.from[i]), int(c.from[i+1]), e.Size == c.buckets.SizeOf(i)
}

// cheap says that images are as fast read as kept, or others each time, whatever labels they have.
func cheap(d Dataset) bool {
	if l, ok := d.(*labelled); ok {
		return cheap(l.Dataset)
	}
	f, ok := d.(interface{ cheap() bool })
	return ok && f.cheap()
}

// CacheBytes is the memory that decoded images of a data set will take where they are kept.
func CacheBytes(d Dataset) int64 {
	if p, ok := d.(*paired); ok {
		return CacheBytes(p.inputs) + CacheBytes(p.Dataset)
	}
	if c, ok := d.(*cache); ok {
		return int64(c.pixels.Len()) * int64(c.Kind().Size())
	}
	return 0
}

func (c *cache) Read(i int, e *Example) error {
	from, to, ok := c.place(i, e)
	if !ok {
		return c.Dataset.Read(i, e)
	}
	pixels := c.pixels.Slice(from, to)
	if c.state[i].Load() == full {
		e.Copy(pixels)
		e.Class, e.Noise = int(c.examples[i].class), c.examples[i].noise
		return nil
	}
	err := c.Dataset.Read(i, e)
	if err == nil && c.state[i].CompareAndSwap(empty, filling) {
		pixels.Copy(e.Pixels)
		c.examples[i] = kept{int32(e.Class), e.Noise}
		c.state[i].Store(full)
	}
	return err
}
