package data

import "sync/atomic"

// cache keeps decoded images. Every image has a state, so that readers never wait for each other.
type cache struct {
	Dataset
	size     int
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
	size := ValuesOf(d)
	if size < 1 || int64(d.Len()) > limit/int64(size)/int64(d.Kind().Size()) {
		return d
	}
	return &cache{d, size, NewPixels(d.Kind(), size*d.Len()), make([]kept, d.Len()), make([]atomic.Uint32, d.Len())}
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
	pixels := c.pixels.Slice(i*c.size, (i+1)*c.size)
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
