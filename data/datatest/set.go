package datatest

import (
	"errors"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fluxion/data"
)

// shape: a set says what its images are before one is read.
func shape(t *testing.T, s Set) {
	d := s.open(t)
	h, w, c := d.Shape()
	if h < 1 || w < 1 || c < 1 || d.Kind() == data.Bytes && c != 1 && c != 3 || d.Len() < 1 || d.Name() == "" {
		t.Errorf("%q: %d images of %d×%d×%d, %v", d.Name(), d.Len(), h, w, c, d.Kind())
	}
	sorted := slices.Clone(d.Classes())
	slices.Sort(sorted)
	if n := len(slices.Compact(sorted)); n != len(d.Classes()) {
		t.Errorf("%d names of %d classes: %q", n, len(d.Classes()), d.Classes())
	}
	whole, err := data.Open(s.Spec, s.Options)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	p := whole.Fingerprint()
	if p.Images != whole.Len() || !slices.Equal(p.Classes, whole.Classes()) || len(p.Counts) != len(p.Classes) || p.Digest == "" {
		t.Errorf("fingerprint %+v of %d images of %q", p, whole.Len(), whole.Classes())
	}
	if again := s.open(t).Fingerprint(); !reflect.DeepEqual(again, p) {
		t.Errorf("fingerprint %+v, opened again %+v", p, again)
	}
}

// options: pictures are brought to a size and a number of channels; floats are taken
// as they are, and what would change them is refused.
func options(t *testing.T, s Set) {
	d := s.open(t)
	h, w, c := d.Shape()
	fixed := d.Kind() == data.Floats && !data.Pictures(d.(first).Dataset)
	for _, o := range []data.Options{{Size: data.Square(-1)}, {Size: data.Square(data.MaxSide + 1)}, {Channels: 2}, {Channels: -1}} {
		refused(t, s.Spec, o)
	}
	for _, channels := range []int{1, 3} {
		if d.Kind() == data.Bytes {
			other := s.openWith(t, data.Options{Size: data.Square(7), Channels: channels})
			if h, w, c := other.Shape(); h != 7 || w != 7 || c != channels {
				t.Errorf("size 7, %d channels: %d×%d×%d", channels, h, w, c)
			}
			all(t, other)
		} else if fixed && channels != c {
			refused(t, s.Spec, data.Options{Channels: channels})
		}
	}
	if fixed {
		refused(t, s.Spec, data.Options{Size: data.Square(max(h, w) + 1)})
	}
}

// images: those of a set are the same whenever it is opened, kept in memory or not.
func images(t *testing.T, s Set) {
	a, b := s.open(t), s.open(t)
	if a.Len() != b.Len() || a.Name() != b.Name() || !slices.Equal(a.Classes(), b.Classes()) {
		t.Fatalf("opened again: %d images of %q, before %d of %q", b.Len(), b.Classes(), a.Len(), a.Classes())
	}
	want := all(t, a)
	same(t, "when the set is opened again", all(t, b), want)
	o := s.Options
	o.CacheBytes = 1
	if o.CacheBytes == s.Options.CacheBytes {
		o.CacheBytes = 0
	}
	same(t, "when images are kept in memory, or not", all(t, s.openWith(t, o)), want)
}

// concurrent: goroutines that read at once do not disturb each other.
func concurrent(t *testing.T, s Set) {
	want := all(t, s.open(t))
	d := s.open(t)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for k := range 2 * d.Len() {
				if i := (k + 3*worker) % d.Len(); !read(t, d, i).equal(want[i]) {
					t.Errorf("image %d differs when others are read", i)
				}
			}
		})
	}
	group.Wait()
}

// broken: what cannot be read is a *data.Error that names it, and can be left out.
func broken(t *testing.T, s Set) {
	d := s.open(t)
	for i := range d.Len() {
		err := d.Read(i, data.NewExample(d))
		if want := slices.Contains(s.Broken, i); want != (err != nil) {
			t.Errorf("image %d: error %v, is broken: %v", i, err, want)
		} else if want {
			isError(t, err)
		}
	}
	for _, skip := range []bool{false, true} {
		l := loader(t, d, data.LoaderOptions{Batch: d.Len(), SkipBroken: skip})
		b, err := l.Next(t.Context())
		if wantError := len(s.Broken) > 0 && !skip; wantError != (err != nil) {
			t.Errorf("a pass, skipping %v: error %v", skip, err)
		}
		if err == nil {
			l.Release(b)
		}
		if n := len(l.Skipped()); skip && n != len(s.Broken) {
			t.Errorf("%d of %d broken images were named: %q", n, len(s.Broken), l.Skipped())
		}
	}
}

// isError holds an error to what all of this package are: one line that names what is at fault.
func isError(t *testing.T, err error) {
	t.Helper()
	bad := (*data.Error)(nil)
	if !errors.As(err, &bad) || bad.Path == "" || bad.Problem == "" || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q (%T), want a *data.Error of one line", err, err)
	}
}

// What refusing may take, whatever a file announces.
const (
	refusalBytes = 64 << 20
	refusalTime  = 20 * time.Second
)

// refused: a set is not opened, or its first image is not read, and in bounds.
func refused(t *testing.T, spec string, o data.Options) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	d, err := data.Open(spec, o)
	if err == nil {
		defer d.Close()
		err = d.Read(0, data.NewExample(d))
	}
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Errorf("%s with %+v is taken", spec, o)
		return
	}
	isError(t, err)
	if n, took := after.TotalAlloc-before.TotalAlloc, time.Since(begin); n > refusalBytes || took > refusalTime {
		t.Errorf("refusing %s took %d bytes and %v", spec, n, took)
	}
}

// limits: what cannot be a set is refused in bounded memory and time.
func limits(t *testing.T, s Set) {
	for what, spec := range s.Refused {
		t.Run(what, func(t *testing.T) { refused(t, spec, s.Options) })
	}
}
