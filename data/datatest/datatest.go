// Package datatest holds what every reader of data sets must do. A new one is
// tested by one call of Run.
package datatest

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"fluxion/data"
)

// Set is what a reader is tested on.
type Set struct {
	Spec    string // for data.Open
	Options data.Options
	Images  int               // looked at from the beginning; 0: 5
	Broken  []int             // of these, images that cannot be read
	Refused map[string]string // specs that the reader must refuse, by what is wrong with them
}

// Run tests a reader.
func Run(t *testing.T, s Set) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Set)
	}{
		{"shape", shape}, {"options", options}, {"images", images}, {"concurrent", concurrent}, {"broken", broken}, {"limits", limits},
		{"order", order}, {"resume", resume}, {"resident", resident}, {"cancel", cancel}, {"close", closing},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

// open opens the beginning of the set, which is closed with the test.
func (s Set) open(t *testing.T) data.Dataset { return s.openWith(t, s.Options) }

func (s Set) openWith(t *testing.T, o data.Options) data.Dataset {
	t.Helper()
	d, err := data.Open(s.Spec, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return first{d, cmp.Or(s.Images, 5)}
}

// first is the beginning of a set.
type first struct {
	data.Dataset
	n int
}

func (f first) Len() int { return min(f.Dataset.Len(), f.n) }

// example is what Read says of an image; err is "" where it can be read.
type example struct {
	pixels data.Pixels
	class  int
	noise  int64
	err    string
}

func (a example) equal(b example) bool {
	bits := func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }
	return slices.Equal(a.pixels.Bytes, b.pixels.Bytes) && slices.EqualFunc(a.pixels.Floats, b.pixels.Floats, bits) &&
		a.class == b.class && a.noise == b.noise && a.err == b.err
}

// read returns image i, and fails if values beside it were written, or not all of
// its own.
func read(t *testing.T, d data.Dataset, i int) example {
	t.Helper()
	before := func(first byte) (all data.Pixels, e data.Example) {
		n := data.ValuesOf(d)
		all = data.NewPixels(d.Kind(), n+2*guard)
		for k := range all.Bytes {
			all.Bytes[k] = first
		}
		for k := range all.Floats {
			all.Floats[k] = 1e30 * float32(first)
		}
		return all, data.Example{Pixels: all.Slice(guard, guard+n), Class: -1, Noise: data.Own}
	}
	all, e := before(1)
	if err := d.Read(i, &e); err != nil {
		return example{err: err.Error()}
	}
	fresh, _ := before(1)
	for _, at := range []int{0, guard + data.ValuesOf(d)} {
		if !(example{pixels: all.Slice(at, at+guard)}).equal(example{pixels: fresh.Slice(at, at+guard)}) {
			t.Errorf("image %d: values beside it were written", i)
		}
	}
	_, again := before(2)
	got := example{pixels: e.Pixels, class: e.Class, noise: e.Noise}
	if err := d.Read(i, &again); err != nil || !got.equal(example{pixels: again.Pixels, class: again.Class, noise: again.Noise}) {
		t.Errorf("image %d is another, or not written as a whole, the second time (%v)", i, err)
	}
	if e.Class < -1 || e.Class >= len(d.Classes()) {
		t.Errorf("image %d: class %d of %d", i, e.Class, len(d.Classes()))
	}
	if e.Noise < data.Own {
		t.Errorf("image %d: noise at address %d", i, e.Noise)
	}
	for k, x := range e.Floats {
		if x-x != 0 {
			t.Errorf("image %d: value %d is %v", i, k, x)
		}
	}
	return got
}

const guard = 16 // values before and behind an image

// all images of a set.
func all(t *testing.T, d data.Dataset) []example {
	t.Helper()
	list := make([]example, d.Len())
	for i := range list {
		list[i] = read(t, d, i)
	}
	return list
}

func same(t *testing.T, what string, got, want []example) {
	t.Helper()
	for i := range want {
		if !got[i].equal(want[i]) {
			t.Errorf("image %d is another %s", i, what)
		}
	}
}
