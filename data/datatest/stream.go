package datatest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"fluxion/data"
)

func loader(t *testing.T, d data.Dataset, o data.LoaderOptions) *data.Loader {
	t.Helper()
	l, err := data.NewLoader(d, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// next returns the images of the next batch, with the addresses of their noise, and
// checks their positions.
func next(t *testing.T, l *data.Loader, position int64) (list []example) {
	t.Helper()
	b, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release(b)
	size := b.Pixels.Len() / len(b.Indices)
	for i, at := range b.Indices {
		if at != position+int64(i) {
			t.Fatalf("position %d, want %d", at, position+int64(i))
		}
		p := data.Pixels{Bytes: slices.Clone(b.Pixels.Bytes), Floats: slices.Clone(b.Pixels.Floats)}
		list = append(list, example{pixels: p.Slice(i*size, (i+1)*size), class: int(b.Classes[i]), noise: b.Noise[i]})
	}
	return list
}

// stream returns images from a position on.
func stream(t *testing.T, d data.Dataset, o data.LoaderOptions, n int) (list []example) {
	t.Helper()
	l := loader(t, d, o)
	for len(list) < n {
		list = append(list, next(t, l, o.Start+int64(len(list)))...)
	}
	return list[:n]
}

// order: each pass shows every image once, where data.Order says; noise is that of
// the position, or the image's own. A broken image is replaced by the next one.
func order(t *testing.T, s Set) {
	d := s.open(t)
	const seed = 5
	n, images := d.Len(), all(t, d)
	for p, got := range stream(t, d, data.LoaderOptions{Batch: 2, Seed: seed, SkipBroken: true}, 3*n) {
		at := data.Order(seed, int64(p/n), n, p%n)
		for slices.Contains(s.Broken, at) {
			at = (at + 1) % n
		}
		want := images[at]
		if want.noise == data.Own {
			want.noise = int64(p)
		}
		if !got.equal(want) {
			t.Errorf("position %d is not image %d with noise %d", p, at, want.noise)
		}
	}
}

// resume: the stream from any position on is the rest of the whole, to the bit,
// whatever the batch and the number of workers.
func resume(t *testing.T, s Set) {
	d := s.open(t)
	n := 2*d.Len() + 1
	o := data.LoaderOptions{Batch: 2, Seed: 5, Flip: true, SkipBroken: true, Workers: 1}
	whole := stream(t, d, o, n)
	for from := range n {
		o.Start, o.Batch, o.Workers = int64(from), 1+from%3, 1+from%4
		for i, got := range stream(t, s.open(t), o, n-from) {
			if !got.equal(whole[from+i]) {
				t.Errorf("from position %d on the stream is another at %d", from, from+i)
			}
		}
	}
}

// resident: a set that lies decoded somewhere has the same stream.
func resident(t *testing.T, s Set) {
	d := s.open(t)
	size := data.ValuesOf(d)
	lying := data.NewPixels(d.Kind(), d.Len()*size)
	o := data.LoaderOptions{Batch: 2, Seed: 5, SkipBroken: true}
	r, err := data.NewResident(t.Context(), d, o, func(first int, pixels, _ data.Pixels) error {
		lying.Slice(first*size, first*size+pixels.Len()).Copy(pixels)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := stream(t, d, o, 2*d.Len())
	for k := range d.Len() {
		b, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range b.Sources {
			got := example{pixels: lying.Slice(int(at)*size, (int(at)+1)*size), class: int(b.Classes[i]), noise: b.Noise[i]}
			if !got.equal(want[2*k+i]) {
				t.Fatalf("position %d is another image", b.Indices[i])
			}
		}
		r.Release(b)
	}
}

// cancel: who waits for a batch is let go, and a set is not decoded to its end.
func cancel(t *testing.T, s Set) {
	d := s.open(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	inTime(t, func() {
		l := loader(t, d, data.LoaderOptions{Batch: 1, Ahead: 1, SkipBroken: true})
		for range 100 { // none is released: sooner or later there is none
			if _, err := l.Next(ctx); errors.Is(err, context.Canceled) {
				return
			}
		}
		t.Error("100 batches without a release")
	})
	_, err := data.NewResident(ctx, d, data.LoaderOptions{Batch: 1}, func(int, data.Pixels, data.Pixels) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a set is decoded though the context has ended: %v", err)
	}
}

// closing: a loader ends in the middle of its work, with all its goroutines, and who
// waits is told; a closed set gives an error or the image, no more.
func closing(t *testing.T, s Set) {
	d := s.open(t)
	before := runtime.NumGoroutine()
	inTime(t, func() {
		for range 3 {
			l := loader(t, d, data.LoaderOptions{Batch: 2, SkipBroken: true})
			waiting := make(chan error)
			go func() {
				for {
					if _, err := l.Next(context.Background()); err != nil { // none is released
						waiting <- err
						return
					}
				}
			}()
			l.Close()
			l.Close()
			if err := <-waiting; err == nil {
				t.Error("a closed loader has no error for who waits")
			}
		}
		for runtime.NumGoroutine() > before+1 { // this one
			time.Sleep(time.Millisecond)
		}
	})
	o := s.Options
	o.CacheBytes = 1
	closed, err := data.Open(s.Spec, o)
	if err == nil {
		err = closed.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Read(0, data.NewExample(closed)); err != nil {
		isError(t, err)
	}
}

// inTime runs a function that must not wait for ever.
func inTime(t *testing.T, run func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		run()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("waits though all has ended")
	}
}
