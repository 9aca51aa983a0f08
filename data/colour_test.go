package data

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// asColour is a picture of one colour that a format stores as colour.
func asColour(t *testing.T, format string, c color.Color) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 8, 8))
	p := image.NewPaletted(img.Rect, palette.Plan9)
	for i := range 64 {
		img.Set(i%8, i/8, c)
		p.Set(i%8, i/8, c)
	}
	var b bytes.Buffer
	var err error
	switch format {
	case "png":
		err = png.Encode(&b, img)
	case "palette.png":
		err = png.Encode(&b, p)
	case "jpg":
		err = jpeg.Encode(&b, img, nil)
	case "gif":
		err = gif.Encode(&b, p, nil)
	case "bmp":
		err = bmp.Encode(&b, img)
	case "tif":
		err = tiff.Encode(&b, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestColour: one picture with colour makes a set colour, wherever it comes and
// however it is stored; grey stored as colour is grey.
func TestColour(t *testing.T) {
	grey, red := color.Gray{102}, color.RGBA{255, 0, 51, 255} // both in the palette
	for _, format := range []string{"png", "palette.png", "jpg", "gif", "bmp", "tif"} {
		dir := t.TempDir()
		for i := range 5 {
			write(t, filepath.Join(dir, "all", fmt.Sprintf("%d.%s", i, format)), asColour(t, format, grey))
			write(t, filepath.Join(dir, "last", fmt.Sprintf("%d.%s", i, format)), asColour(t, format, grey))
		}
		write(t, filepath.Join(dir, "last", "4."+format), asColour(t, format, red))
		write(t, filepath.Join(dir, "last", "3."+format), []byte("broken"))
		write(t, filepath.Join(dir, "first", "0."+format), asColour(t, format, red))
		write(t, filepath.Join(dir, "first", "1.png"), encoded(t, "grey", 8, 8, grey))
		write(t, filepath.Join(dir, "scan", "0.png"), encoded(t, "grey16", 8, 8, grey))
		write(t, filepath.Join(dir, "scan", "1."+format), asColour(t, format, red))
		for name, want := range map[string]int{"all": 1, "last": 3, "first": 3, "scan": 3} {
			d := mustOpen(t, filepath.Join(dir, name))
			if _, _, c := d.Shape(); c != want {
				t.Errorf("%s, %s: %d channels, want %d", format, name, c, want)
			}
		}
		if _, _, c := must(Open(filepath.Join(dir, "all"), Options{Channels: 3})).Shape(); c != 3 {
			t.Errorf("%s: %d channels where 3 are asked for", format, c)
		}
		if notes := strings.Join(Notes(mustOpen(t, filepath.Join(dir, "scan"))), ""); !strings.Contains(notes, "some pictures are grey, some in colour") {
			t.Errorf("%s: notes %q", format, notes)
		}
	}
}

func must(d Dataset, err error) Dataset {
	if err != nil {
		panic(err)
	}
	return d
}

// TestColourOfWebP: lossy WebP has no grey of its own.
func TestColourOfWebP(t *testing.T) {
	for name, want := range map[string]bool{"grey.webp": true, "lossy.webp": false} {
		r, err := openRegular(filepath.Join("testdata/pictures", name))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		p, err := decode(name, r)
		if err != nil || isGrey(p.Image) != want {
			t.Errorf("%s is grey: %v, want %v (%v)", name, isGrey(p.Image), want, err)
		}
	}
}

// TestColourInManyPictures: a set of more than is looked at says how many were.
func TestColourInManyPictures(t *testing.T) {
	pictures := map[string][]byte{}
	grey := encoded(t, "grey", 1, 1, color.Black)
	for i := range maxHeaders + 10 {
		pictures[fmt.Sprintf("%05d.png", i)] = grey
	}
	path := filepath.Join(t.TempDir(), "a.zip")
	write(t, path, zipped(t, pictures))
	d := mustOpen(t, path)
	want := fmt.Sprintf("the %d of %d pictures", maxHeaders, maxHeaders+10)
	if _, _, c := d.Shape(); c != 1 || len(Notes(d)) != 1 || !strings.Contains(Notes(d)[0], want) {
		t.Errorf("%d channels, notes %q", c, Notes(d))
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct{ n, k int }{{0, 5}, {1, 5}, {5, 5}, {10, 3}, {maxFiles, maxHeaders}} {
		all := spread(c.n, c.k)
		if len(all) != min(c.n, c.k) {
			t.Errorf("%d of %d: %d", c.k, c.n, len(all))
		}
		for i, at := range all {
			if at >= c.n || i > 0 && at <= all[i-1] {
				t.Errorf("%d of %d: place %d is %d behind %d", c.k, c.n, i, at, all[i-1])
			}
		}
	}
}
