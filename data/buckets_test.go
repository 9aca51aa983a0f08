package data

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBucketSizes: shapes are those of kohya's make_bucket_resolutions for sides from half to
// twice that of the square.
func TestBucketSizes(t *testing.T) {
	for _, c := range []struct {
		side, step int
		want       string
	}{
		{512, 64, "832x256 896x256 960x256 1024x256 704x320 768x320 640x384 576x448 512 448x576 384x640 320x704 320x768 256x832 256x896 256x960 256x1024"},
		{64, 8, "104x32 112x32 120x32 128x32 88x40 96x40 80x48 72x56 64 56x72 48x80 40x88 40x96 32x104 32x112 32x120 32x128"},
		{16, 4, "24x8 28x8 32x8 20x12 16 12x20 8x24 8x28 8x32"},
		{96, 16, "160x48 176x48 192x48 128x64 144x64 112x80 96 80x112 64x128 64x144 48x160 48x176 48x192"},
	} {
		var got []string
		last := 0.0
		for _, s := range bucketSizes(c.side, c.step) {
			got = append(got, s.String())
			if shape := float64(s.Height) / float64(s.Width); shape < last || s.Height*s.Width > c.side*c.side {
				t.Errorf("%v comes behind others, or is too large", s)
			} else {
				last = shape
			}
		}
		want := strings.Fields(c.want)
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("%d by %d: %v, want %v", c.side, c.step, got, want)
		}
	}
}

// TestNearestBucket: by the logarithm of proportions, so that wide and high pictures are alike.
func TestNearestBucket(t *testing.T) {
	sizes := bucketSizes(64, 8)
	for _, c := range []struct {
		width, height int
		want          Size
	}{
		{640, 640, Size{64, 64}}, {1920, 1080, Size{48, 80}}, {1080, 1920, Size{80, 48}}, {400, 300, Size{56, 72}}, {300, 400, Size{72, 56}},
		{3000, 1000, Size{32, 104}}, {100, 10_000, Size{128, 32}}, {1, 1, Size{64, 64}}, {268435456, 1, Size{32, 128}},
	} {
		if got := sizes[nearest(sizes, c.width, c.height)]; got != c.want {
			t.Errorf("%d×%d is brought to %v, want %v", c.width, c.height, got, c.want)
		}
	}
}

// TestBucketOrder: after any number of batches each bucket has had its share of them, and each of
// places of its own stream has come once, none long before its turn; what comes follows from seed and batch alone.
func TestBucketOrder(t *testing.T) {
	for _, c := range []struct {
		counts []int
		batch  int
	}{{[]int{100, 37, 3}, 8}, {[]int{5}, 4}, {[]int{1, 1, 1}, 16}, {[]int{64, 64}, 64}, {[]int{7, 500, 2, 90}, 1}} {
		var all []int
		sizes := bucketSizes(64, 8)
		for k, n := range c.counts {
			all = append(all, slices.Repeat([]int{k}, n)...)
		}
		b := newBuckets(sizes, all)
		const batches = 400
		had, places := make([]int, len(c.counts)), make([]map[int64]bool, len(c.counts))
		order := ""
		for m := range int64(batches) {
			k, from := b.batch(7, c.batch, m)
			if places[k] == nil {
				places[k] = map[int64]bool{}
			}
			if from%int64(c.batch) != 0 || places[k][from] {
				t.Fatalf("%v by %d: batch %d is of place %d of bucket %d, which was there", c.counts, c.batch, m, from, k)
			}
			places[k][from] = true
			had[k]++
			order += fmt.Sprint(k)
			if again, at := b.batch(7, c.batch, m); again != k || at != from {
				t.Fatal("a batch is another one")
			}
		}
		for k, n := range c.counts { // a pass has whole batches of each bucket, in any order
			ahead := int64(had[k]+n/c.batch+1) * int64(c.batch)
			for place := range places[k] {
				if place >= ahead {
					t.Errorf("%v by %d: place %d of bucket %d came after %d batches", c.counts, c.batch, place, k, had[k])
				}
			}
			share := float64(batches) * float64(n) / float64(len(all))
			if off := float64(had[k]) - share; off > share/8+float64(len(c.counts))+1 || -off > share/8+float64(len(c.counts))+1 {
				t.Errorf("%v by %d: bucket %d has %d of %d batches, its share is %.1f", c.counts, c.batch, k, had[k], batches, share)
			}
		}
		other := ""
		for m := range int64(batches) {
			k, _ := b.batch(8, c.batch, m)
			other += fmt.Sprint(k)
		}
		if len(c.counts) > 1 && other == order {
			t.Errorf("%v by %d: another seed has the same order", c.counts, c.batch)
		}
	}
}

// shaped is a folder of pictures of three shapes, whose values say where a pixel is and whose blue
// says which picture it is of.
func shaped(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := 0
	for _, s := range []struct{ width, height, n int }{{24, 24, 9}, {40, 24, 6}, {24, 48, 4}} {
		for i := range s.n {
			from := slopes(t, s.width, s.height, i+1)
			name := fmt.Sprintf("%c.png", 'a'+i)
			if err := os.Rename(filepath.Join(from, name), filepath.Join(dir, fmt.Sprintf("%02d.png", at))); err != nil {
				t.Fatal(err)
			}
			at++
		}
	}
	return dir
}

// TestBucketStream: batches are of one shape each, of the images that have it, whatever workers
// and beginning and whoever takes which of them; broken images are left out within a bucket.
func TestBucketStream(t *testing.T) {
	dir := shaped(t)
	o := Options{Size: Square(16), Fit: AspectBuckets + ":4", Channels: 3}
	d := mustOpenWith(t, dir, o)
	b := BucketsOf(d)
	if want := []Size{{12, 20}, {16, 16}, {20, 12}}; b == nil || !slices.Equal(b.Sizes, want) {
		t.Fatalf("buckets %v, want %v", b, want)
	}
	if notes := strings.Join(Notes(d), "; "); !strings.Contains(notes, "3 buckets, height×width (images): 12×20 (6), 16×16 (9), 20×12 (4)") {
		t.Error(notes)
	}
	if h, w, _ := d.Shape(); h != 16 || w != 16 {
		t.Errorf("the shape is %d×%d", h, w)
	}
	type batch struct {
		size   Size
		pixels []byte
		at     []int64
	}
	read := func(l LoaderOptions, n int) (all []batch) {
		loader, err := NewLoader(d, l)
		if err != nil {
			t.Fatal(err)
		}
		defer loader.Close()
		for range n {
			b, err := loader.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, batch{b.Size, slices.Clone(b.Pixels.Bytes), slices.Clone(b.Indices)})
			loader.Release(b)
		}
		return all
	}
	l := LoaderOptions{Batch: 2, Seed: 3, Flip: true, Workers: 1}
	want := read(l, 40)
	seen := map[Size]int{}
	for m, got := range want {
		seen[got.size]++
		if len(got.pixels) != 2*3*got.size.Height*got.size.Width || got.at[0] != int64(2*m) {
			t.Fatalf("batch %d: %d values of %v at %v", m, len(got.pixels), got.size, got.at)
		}
		for i := range 2 { // each is the picture as it is read alone
			pixels := got.pixels[i*len(got.pixels)/2:][:len(got.pixels)/2]
			found := false
			for _, number := range b.members[slices.Index(b.Sizes, got.size)] {
				e := Example{Pixels: NewPixels(Bytes, len(pixels)), Size: got.size}
				if err := d.Read(int(number), &e); err != nil {
					t.Fatal(err)
				}
				if flipped(3, got.at[i]) {
					e.Pixels.Mirror(got.size.Width, 3)
				}
				found = found || slices.Equal(e.Bytes, pixels)
			}
			if !found {
				t.Fatalf("image %d of batch %d is none of bucket %v", i, m, got.size)
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("shapes %v", seen)
	}
	l.Workers = 3
	for _, from := range []int{2, 24} {
		l.Start = int64(from)
		for i, got := range read(l, 10) {
			if w := want[from/2+i]; got.size != w.size || !slices.Equal(got.pixels, w.pixels) {
				t.Errorf("from position %d on, batch %d is another", from, i)
			}
		}
	}
	l.Start, l.Step, l.First, l.End = 0, 4, 1, 3
	for i, got := range read(l, 10) {
		if w := want[i/2*4+1+i%2]; got.size != w.size || !slices.Equal(got.pixels, w.pixels) {
			t.Errorf("batch %d of a part is another", i)
		}
	}
	l.Step, l.First, l.End, l.Start = 0, 0, 0, 3
	if _, err := NewLoader(d, l); err == nil {
		t.Error("a stream begins within a batch")
	}

	wide, err := os.ReadFile(filepath.Join(dir, "10.png"))
	if err == nil { // its header stays
		err = os.WriteFile(filepath.Join(dir, "10.png"), wide[:60], 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	d = mustOpenWith(t, dir, o)
	if got := BucketsOf(d).Sizes[BucketsOf(d).of[10]]; got != (Size{12, 20}) {
		t.Errorf("the broken picture is among those of %v", got)
	}
	l = LoaderOptions{Batch: 2, Seed: 3, SkipBroken: true}
	for m, got := range read(l, 40) {
		if got.size != want[m].size {
			t.Fatalf("without a broken picture batch %d has another shape", m)
		}
	}
}

// TestBucketsRefused: what no buckets are of, and what cannot be done with them.
func TestBucketsRefused(t *testing.T) {
	dir := shaped(t)
	for _, c := range []struct {
		spec string
		o    Options
		want string
	}{
		{dir, Options{Fit: AspectBuckets}, "want --size"},
		{dir, Options{Fit: "buckets:0", Size: Square(16)}, "buckets:STEP"},
		{dir, Options{Fit: "buckets:x", Size: Square(16)}, "buckets:STEP"},
		{dir, Options{Fit: "buckets:5", Size: Square(16)}, "a side of 16 is no multiple of 5"},
		{dir, Options{Fit: AspectBuckets, Size: Size{16, 8}}, "want its side"},
		{"glyphs", Options{Fit: AspectBuckets, Size: Square(16)}, "for pictures of several shapes"},
		{"toy:moons", Options{Fit: AspectBuckets, Size: Square(16)}, "want no other --size"},
	} {
		if _, err := Open(c.spec, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %+v: %v, want %q", c.spec, c.o, err, c.want)
		}
	}
}
