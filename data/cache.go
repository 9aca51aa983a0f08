package data

import "sync/atomic"

// cache keeps decoded images. Every image has a state, so that readers never wait for each other.
type cache struct {
	Dataset
	size   int
	pixels []byte
	labels []int32
	state  []atomic.Uint32
}

const (
	empty = iota
	filling
	full
)

// cached wraps a data set whose decoded images fit into this many bytes.
func cached(d Dataset, limit int64) Dataset {
	if f, ok := d.(interface{ cheap() bool }); ok && f.cheap() {
		return d
	}
	h, w, c := d.Shape()
	size := h * w * c
	if size < 1 || int64(d.Len()) > limit/int64(size) {
		return d
	}
	return &cache{d, size, make([]byte, size*d.Len()), make([]int32, d.Len()), make([]atomic.Uint32, d.Len())}
}

// CacheBytes is the memory that decoded images of a data set will take where they are kept.
func CacheBytes(d Dataset) int64 {
	if c, ok := d.(*cache); ok {
		return int64(len(c.pixels))
	}
	return 0
}

func (c *cache) Read(i int, dst []byte) (int, error) {
	kept := c.pixels[i*c.size : (i+1)*c.size]
	if c.state[i].Load() == full {
		copy(dst, kept)
		return int(c.labels[i]), nil
	}
	label, err := c.Dataset.Read(i, dst)
	if err == nil && c.state[i].CompareAndSwap(empty, filling) {
		copy(kept, dst)
		c.labels[i] = int32(label)
		c.state[i].Store(full)
	}
	return label, err
}
