// Package datatest holds what every reader of data sets must do. A new one is
// tested by one call of Run.
package datatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"fluxion/data"
)

// Set is what a reader is tested on: a few images.
type Set struct {
	Open   func() (data.Dataset, error) // the same set each time
	Broken []int                        // images that cannot be read
}

// Run tests a reader.
func Run(t *testing.T, s Set) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Set)
	}{
		{"shape", shape}, {"images", images}, {"concurrent", concurrent}, {"broken", broken},
		{"resume", resume}, {"resident", resident}, {"cancel", cancel},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

func (s Set) open(t *testing.T) data.Dataset {
	t.Helper()
	d, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func size(d data.Dataset) int {
	h, w, c := d.Shape()
	return h * w * c
}

// shape: a set says what its images are before one is read.
func shape(t *testing.T, s Set) {
	d := s.open(t)
	h, w, c := d.Shape()
	if h < 1 || w < 1 || c != 1 && c != 3 || d.Len() < 1 || d.Name() == "" {
		t.Errorf("%q: %d images of %d×%d×%d", d.Name(), d.Len(), h, w, c)
	}
	sorted := slices.Clone(d.Classes())
	slices.Sort(sorted)
	if n := len(slices.Compact(sorted)); n != len(d.Classes()) {
		t.Errorf("%d names of %d classes: %q", n, len(d.Classes()), d.Classes())
	}
}

// image is what Read says of one.
type image struct {
	pixels []byte
	label  int
	err    string
}

// read returns image i, and fails if bytes beside it were written.
func read(t *testing.T, d data.Dataset, i int) image {
	const guard = 16
	all := bytes.Repeat([]byte{0xa5}, size(d)+2*guard)
	dst := all[guard : len(all)-guard : len(all)-guard]
	label, err := d.Read(i, dst)
	if beside := bytes.Repeat([]byte{0xa5}, guard); !bytes.Equal(all[:guard], beside) || !bytes.Equal(all[len(all)-guard:], beside) {
		t.Errorf("image %d: bytes beside it were written", i)
	}
	if err != nil {
		return image{err: err.Error()}
	}
	if label < -1 || label >= len(d.Classes()) {
		t.Errorf("image %d: class %d of %d", i, label, len(d.Classes()))
	}
	return image{pixels: dst, label: label}
}

func equal(a, b image) bool {
	return bytes.Equal(a.pixels, b.pixels) && a.label == b.label && a.err == b.err
}

// images: those of a set are the same whenever it is opened and read.
func images(t *testing.T, s Set) {
	a, b := s.open(t), s.open(t)
	if a.Len() != b.Len() || a.Name() != b.Name() || !slices.Equal(a.Classes(), b.Classes()) {
		t.Fatalf("opened again: %d images of %q, before %d of %q", b.Len(), b.Classes(), a.Len(), a.Classes())
	}
	for i := range a.Len() {
		first := read(t, a, i)
		if !equal(first, read(t, a, i)) || !equal(first, read(t, b, i)) {
			t.Errorf("image %d differs when it is read again", i)
		}
	}
}

// concurrent: goroutines that read at once do not disturb each other.
func concurrent(t *testing.T, s Set) {
	d, quiet := s.open(t), s.open(t)
	want := make([]image, quiet.Len())
	for i := range want {
		want[i] = read(t, quiet, i)
	}
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for k := range 2 * d.Len() {
				if i := (k + 3*worker) % d.Len(); !equal(read(t, d, i), want[i]) {
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
		_, err := d.Read(i, make([]byte, size(d)))
		bad := (*data.Error)(nil)
		switch want := slices.Contains(s.Broken, i); {
		case want != (err != nil):
			t.Errorf("image %d: error %v, is broken: %v", i, err, want)
		case want && (!errors.As(err, &bad) || bad.Path == "" || bad.Problem == ""):
			t.Errorf("image %d: error %v (%T), want a *data.Error with its file", i, err, err)
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

func loader(t *testing.T, d data.Dataset, o data.LoaderOptions) *data.Loader {
	t.Helper()
	l, err := data.NewLoader(d, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// stream returns images of the stream from a position on, one a string.
func stream(t *testing.T, d data.Dataset, from int64, batch, n int) (list []string) {
	t.Helper()
	l := loader(t, d, data.LoaderOptions{Batch: batch, Seed: 5, Flip: true, SkipBroken: true, Start: from})
	for len(list) < n {
		b, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Labels {
			list = append(list, fmt.Sprintf("%d %d %x", b.Indices[i], b.Labels[i], b.Pixels[i*size(d):(i+1)*size(d)]))
		}
		l.Release(b)
	}
	return list[:n]
}

// resume: the stream from a position on is the rest of the whole, whatever the batch.
func resume(t *testing.T, s Set) {
	d := s.open(t)
	n := 2*d.Len() + 3
	whole := stream(t, d, 0, 2, n)
	for _, from := range []int{1, d.Len() - 1, d.Len(), n - 1} {
		if !slices.Equal(stream(t, s.open(t), int64(from), 3, n-from), whole[from:]) {
			t.Errorf("from position %d on the stream is another", from)
		}
	}
}

// resident: a set that lies decoded somewhere has the same stream.
func resident(t *testing.T, s Set) {
	d := s.open(t)
	all := make([]byte, d.Len()*size(d))
	r, err := data.NewResident(t.Context(), d, data.LoaderOptions{Batch: 2, Seed: 5, SkipBroken: true}, func(first int, pixels []byte) error {
		copy(all[first*size(d):], pixels)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	l := loader(t, d, data.LoaderOptions{Batch: 2, Seed: 5, SkipBroken: true})
	for range d.Len() {
		a, err := r.Next(t.Context())
		b, err2 := l.Next(t.Context())
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		for i, at := range a.Sources {
			if !slices.Equal(a.Labels, b.Labels) || !bytes.Equal(all[int(at)*size(d):][:size(d)], b.Pixels[i*size(d):][:size(d)]) {
				t.Fatalf("position %d is another image", a.Indices[i])
			}
		}
		l.Release(b)
	}
}

// cancel: who waits for a batch is let go, and a loader ends in the middle of its work.
func cancel(t *testing.T, s Set) {
	d := s.open(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		l := loader(t, d, data.LoaderOptions{Batch: 1, Ahead: 1, SkipBroken: true})
		for range 100 { // none is released: sooner or later there is none
			if _, err := l.Next(ctx); errors.Is(err, context.Canceled) {
				l.Close()
				return
			}
		}
		t.Error("100 batches without a release")
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("waits though its context has ended")
	}
	_, err := data.NewResident(ctx, d, data.LoaderOptions{Batch: 1}, func(int, []byte) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a set is decoded though the context has ended: %v", err)
	}
}
