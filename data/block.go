package data

import (
	"fmt"
	"hash"
)

// block is images of one size in memory, next to each other, HWC.
type block struct {
	name    string
	stored  shape
	pixels  []byte
	labels  []byte
	classes []string
	shape   shape // that is asked for
	fit     Fit
	notes   []string
}

// ask brings the images to what is asked for.
func (d *block) ask(o Options) { d.shape, d.fit = o.asked(d.stored) }

// cheap says that images are as fast read as kept.
func (d *block) cheap() bool { return d.shape == d.stored }

func (d *block) Name() string { return d.name }
func (d *block) Len() int     { return len(d.labels) }
func (d *block) Shape() (height, width, channels int) {
	return d.shape.height, d.shape.width, d.shape.channels
}
func (d *block) Kind() Kind        { return Bytes }
func (d *block) Classes() []string { return d.classes }
func (d *block) Notes() []string   { return d.notes }
func (d *block) Close() error      { return nil }

func (d *block) Read(i int, e *Example) error {
	n := d.stored.size()
	pixels := d.pixels[i*n : (i+1)*n]
	if e.Class = int(d.labels[i]); d.cheap() {
		copy(e.Bytes, pixels)
		return nil
	}
	convert(photo{opaque(pixels, d.stored.height, d.stored.width, d.stored.channels), upright, e.Part}, d.shape, d.fit, e.Bytes)
	return nil
}

// Fingerprint is made of all bytes.
func (d *block) Fingerprint() Fingerprint {
	p := Fingerprint{Images: len(d.labels), Classes: d.classes, Counts: make([]int, len(d.classes))}
	for _, l := range d.labels {
		p.Counts[l]++
	}
	p.Digest = digest(func(h hash.Hash) {
		fmt.Fprintf(h, "%d×%d\n", d.stored.height, d.stored.width)
		h.Write(d.labels)
		h.Write(d.pixels)
	})
	return p
}
