package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// numbered is a data set whose image i is i, and whose images divisible by broken cannot be read.
type numbered struct{ n, broken int }

func (d numbered) Name() string             { return "numbered" }
func (d numbered) Len() int                 { return d.n }
func (d numbered) Shape() (h, w, c int)     { return 1, 2, 1 }
func (d numbered) Kind() Kind               { return Bytes }
func (d numbered) Classes() []string        { return nil }
func (d numbered) Fingerprint() Fingerprint { return Fingerprint{} }
func (d numbered) Close() error             { return nil }

func (d numbered) Read(i int, e *Example) error {
	if d.broken > 0 && i%d.broken == 0 {
		return &Error{Path: fmt.Sprint("image ", i), Problem: "is broken"}
	}
	e.Bytes[0], e.Bytes[1] = byte(i), byte(i>>8)
	e.Class = i % 7
	return nil
}

// stream returns the images of batches from a position on.
func stream(t *testing.T, d Dataset, o LoaderOptions, batches int) (pixels []byte, labels []int32) {
	t.Helper()
	l, err := NewLoader(d, o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range batches {
		b, err := l.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for j, at := range b.Indices {
			if want := o.Start + int64(i*o.Batch+j); at != want {
				t.Fatalf("position %d, want %d", at, want)
			}
		}
		pixels = append(pixels, b.Pixels.Bytes...)
		labels = append(labels, b.Classes...)
		l.Release(b)
	}
	return pixels, labels
}

// TestStream: the stream does not depend on workers or batches, and goes on anywhere.
func TestStream(t *testing.T) {
	d := numbered{n: 100}
	want, labels := stream(t, d, LoaderOptions{Batch: 10, Seed: 3, Flip: true, Workers: 1}, 24)
	for _, o := range []LoaderOptions{{Batch: 10, Workers: 4}, {Batch: 6, Workers: 3, Ahead: 1}, {Batch: 1, Workers: 2, Ahead: 5}} {
		o.Seed, o.Flip = 3, true
		got, gotLabels := stream(t, d, o, 240/o.Batch)
		if !bytes.Equal(got, want) || !slices.Equal(gotLabels, labels) {
			t.Errorf("%+v: another stream", o)
		}
		o.Start = 120
		if got, _ := stream(t, d, o, 120/o.Batch); !bytes.Equal(got, want[240:]) {
			t.Errorf("%+v: another stream from the middle", o)
		}
	}
	seen := map[string]int{}
	for i := 0; i < 200; i += 2 { // the first pass, flips undone
		p := []byte{want[i], want[i+1]}
		slices.Sort(p)
		seen[string(p)]++
	}
	if len(seen) != 100 {
		t.Errorf("a pass shows %d of 100 images", len(seen))
	}
	flips := 0
	for i := range int64(1000) {
		if flipped(3, i) {
			flips++
		}
	}
	if flips < 430 || flips > 570 {
		t.Errorf("%d of 1000 images are mirrored", flips)
	}
}

// TestShares: streams that share the batches of each step make up the whole stream.
func TestShares(t *testing.T) {
	ctx := context.Background()
	d := numbered{n: 100}
	const batch, step, steps, start = 4, 5, 3, 60
	whole, _ := stream(t, d, LoaderOptions{Batch: batch, Seed: 3, Start: start}, step*steps)
	for _, cuts := range [][]int{{0, 5}, {0, 2, 5}, {0, 1, 2, 4, 5}} {
		got := make([]byte, len(whole))
		for i, first := range cuts[:len(cuts)-1] {
			o := LoaderOptions{Batch: batch, Seed: 3, Start: start, Step: step, First: first, End: cuts[i+1]}
			l, err := NewLoader(d, o)
			if err != nil {
				t.Fatal(err)
			}
			r, err := NewResident(ctx, d, o, func(int, Pixels, Pixels) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			for range steps * (o.End - o.First) {
				b, err := l.Next(ctx)
				if err != nil {
					t.Fatal(err)
				}
				same, err := r.Next(ctx)
				if err != nil || !slices.Equal(same.Indices, b.Indices) {
					t.Fatalf("positions %v, of a data set that lies on a device %v (%v)", b.Indices, same.Indices, err)
				}
				copy(got[(b.Indices[0]-start)*2:], b.Pixels.Bytes)
				l.Release(b)
			}
			l.Close()
		}
		if !bytes.Equal(got, whole) {
			t.Errorf("cut at %v, the streams are not the whole one", cuts)
		}
	}
	for _, o := range []LoaderOptions{{Batch: 1, Step: 2, First: 1, End: 1}, {Batch: 1, Step: 2, End: 3}, {Batch: 1, Step: 2, First: -1, End: 1}} {
		if _, err := NewLoader(d, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// watchedImages are more than a loader decodes ahead.
const watchedImages = 10_000

// watched notes which images of a set are opened.
type watched struct {
	numbered
	opened *[watchedImages]atomic.Bool
}

func (d watched) Read(i int, e *Example) error {
	d.opened[i].Store(true)
	return d.numbered.Read(i, e)
}

// TestOpensItsShare: a process opens no image that is not in its own micro-batches, however far
// it decodes ahead.
func TestOpensItsShare(t *testing.T) {
	const batch, step, steps = 2, 10, 4 // far less than one pass, however far ahead: each image comes once
	for first := 0; first < step; first += 3 {
		d := watched{numbered{n: watchedImages}, new([watchedImages]atomic.Bool)}
		o := LoaderOptions{Batch: batch, Seed: 3, Step: step, First: first, End: min(first+3, step)}
		l, err := NewLoader(d, o)
		if err != nil {
			t.Fatal(err)
		}
		for range steps * (o.End - o.First) {
			b, err := l.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			l.Release(b)
		}
		l.Close()
		for p := range watchedImages {
			micro := p / batch % step
			own := micro >= o.First && micro < o.End
			image := Order(3, 0, watchedImages, p)
			if opened := d.opened[image].Load(); opened && !own || own && p < batch*step*steps && !opened {
				t.Errorf("micro-batches %d to %d: image %d at position %d is of %d, opened %v", o.First, o.End, image, p, micro, opened)
			}
		}
	}
}

func TestBrokenImages(t *testing.T) {
	d := numbered{n: 50, broken: 10}
	l, err := NewLoader(d, LoaderOptions{Batch: 50, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Next(context.Background())
	if e := (*Error)(nil); !errors.As(err, &e) {
		t.Errorf("error %v, want the image's", err)
	}
	l.Close()
	l, err = NewLoader(d, LoaderOptions{Batch: 50, Seed: 1, SkipBroken: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Next(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := l.Skipped(); len(got) != 5 {
		t.Errorf("left out %v, want 5 images", got)
	}
}

func TestLoaderEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		l, err := NewLoader(numbered{n: 1000}, LoaderOptions{Batch: 3, Workers: 4})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		if b, err := l.Next(ctx); err == nil {
			l.Release(b)
		}
		cancel()
		l.Close()
	}
	for range 10_000 { // a busy machine takes its time
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestLoaderAllocatesNothing(t *testing.T) {
	l, err := NewLoader(numbered{n: 1000}, LoaderOptions{Batch: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	next := func() {
		b, err := l.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		l.Release(b)
	}
	for range 10 {
		next()
	}
	if n := testing.AllocsPerRun(100, next); n > 0 {
		t.Errorf("a batch allocates %v times", n)
	}
}

// TestGlyphs: images are functions of seed and index, classes are balanced.
func TestGlyphs(t *testing.T) {
	for kind, classes := range map[string]int{"": 10, "letters": 26, "all": 36} {
		d, err := NewGlyphs(kind, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Classes()) != classes {
			t.Errorf("glyphs:%s has %d classes, want %d", kind, len(d.Classes()), classes)
		}
		a, b := make([]byte, 32*32*3), make([]byte, 32*32*3)
		for i := range 2 * classes {
			label, err := readBytes(d, i, a)
			if err != nil || label != i%classes {
				t.Fatalf("image %d: class %d, %v", i, label, err)
			}
			if _, err := readBytes(d, i, b); err != nil || !bytes.Equal(a, b) {
				t.Fatalf("image %d is another the second time", i)
			}
			dark, bright := slices.Min(a), slices.Max(a)
			if dark > 60 || bright < 200 {
				t.Errorf("image %d goes from %d to %d: no contrast", i, dark, bright)
			}
		}
	}
}

func BenchmarkGlyphs(b *testing.B) {
	d, err := NewGlyphs("", 0)
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 32*32*3)
	for i := range b.N {
		if _, err := readBytes(d, i, dst); err != nil {
			b.Fatal(err)
		}
	}
}
