package data

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// slopes is a folder of pictures whose red says where a pixel is from left to right and whose
// green where from top to bottom.
func slopes(t *testing.T, width, height, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		img := image.NewRGBA(image.Rect(0, 0, width, height))
		for y := range height {
			for x := range width {
				img.SetRGBA(x, y, color.RGBA{byte(x), byte(y), byte(i), 255})
			}
		}
		f, err := os.Create(filepath.Join(dir, string(rune('a'+i))+".png"))
		if err == nil {
			err = png.Encode(f, img)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return dir
}

// cuts are the images of a stream.
func cuts(t *testing.T, spec string, o Options, l LoaderOptions, n int) (all [][]byte) {
	t.Helper()
	d := mustOpenWith(t, spec, o)
	loader, err := NewLoader(d, l)
	if err != nil {
		t.Fatal(err)
	}
	defer loader.Close()
	for len(all) < n {
		b, err := loader.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Indices {
			all = append(all, slices.Clone(b.Pixels.Slice(i*ValuesOf(d), (i+1)*ValuesOf(d)).Bytes))
		}
		loader.Release(b)
	}
	return all[:n]
}

// TestRandomCrop: parts that are cut out lie in the picture, everywhere in it, as large as they
// may be; they follow from seed and position alone, whatever batch, workers and beginning.
func TestRandomCrop(t *testing.T) {
	const side, width, n = 8, 20, 400
	dir := slopes(t, width, side, 3)
	o := Options{Size: Square(side), Fit: RandomCrop, Channels: 3}
	all := cuts(t, dir, o, LoaderOptions{Batch: 4, Seed: 7}, n)
	seen := map[byte]int{}
	for i, part := range all {
		left := part[0]
		seen[left]++
		for p := range side * side {
			if x, y := part[3*p], part[3*p+1]; x != left+byte(p%side) || y != byte(p/side) {
				t.Fatalf("position %d: pixel %d is from %d, %d in a part from %d on", i, p, x, y, left)
			}
		}
	}
	for left := range width - side + 1 { // 400 draws of 13: 31 ± 5.3
		if c := seen[byte(left)]; c < 10 || c > 60 {
			t.Errorf("%d of %d parts begin at %d", c, n, left)
		}
	}
	if len(seen) != width-side+1 {
		t.Errorf("parts begin at %v", seen)
	}
	for _, from := range []int{1, 50, 333} {
		l := LoaderOptions{Batch: 3, Seed: 7, Start: int64(from), Workers: 3}
		for i, part := range cuts(t, dir, o, l, 20) {
			if !slices.Equal(part, all[from+i]) {
				t.Errorf("from position %d on, %d is another part", from, from+i)
			}
		}
	}
	if other := cuts(t, dir, o, LoaderOptions{Batch: 4, Seed: 8}, n); slices.EqualFunc(other, all, slices.Equal) {
		t.Error("another seed cuts the same parts")
	}
	d := mustOpenWith(t, dir, o)
	middle := make([]byte, ValuesOf(d))
	if err := d.Read(0, &Example{Pixels: Pixels{Bytes: middle}}); err != nil || middle[0] != (width-side)/2 {
		t.Errorf("outside of a stream the part begins at %d, %v; want the middle", middle[0], err)
	}
}

// TestRandomCropSmaller: with a share, parts are also smaller ones.
func TestRandomCropSmaller(t *testing.T) {
	const side = 64
	f := Fit("random-crop:0.5")
	least, most := side, 0
	for part := uint64(1); part < 2000; part += 2 {
		r := f.window(side, 2*side, Square(side), part)
		if r.Dx() != r.Dy() || !r.In(image.Rect(0, 0, side, 2*side)) {
			t.Fatalf("part %v", r)
		}
		least, most = min(least, r.Dx()), max(most, r.Dx())
	}
	if least != side/2 || most != side {
		t.Errorf("parts of %d to %d pixels, want %d to %d", least, most, side/2, side)
	}
}

// TestFitRefused: what is no way to fit, or cannot be without a size, is refused.
func TestFitRefused(t *testing.T) {
	dir := slopes(t, 4, 4, 1)
	for fit, want := range map[Fit]string{"middle": "random-crop:0.8", "random-crop:0": "above 0", "random-crop:2": "up to 1", "random-crop:": "share", "random-crop:NaN": "share", RandomCrop: "--size"} {
		o := Options{Fit: fit, Size: Square(2)}
		if fit == RandomCrop {
			o.Size = Size{}
		}
		if _, err := Open(dir, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("fit %q: %v, want %q", fit, err, want)
		}
	}
}
