package data

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

// TestHeaderOfPNG: bits are those of the file, as the standard library writes it, not those that pixels are read as.
func TestHeaderOfPNG(t *testing.T) {
	r := image.Rect(0, 0, 5, 3)
	for name, c := range map[string]struct {
		picture image.Image
		bits    int
	}{
		"grey":    {image.NewGray(r), 8},
		"grey 16": {image.NewGray16(r), 16},
		"RGBA":    {image.NewNRGBA(r), 8},
		"RGBA 16": {image.NewNRGBA64(r), 16},
	} {
		dir := t.TempDir()
		f, err := os.Create(filepath.Join(dir, "a.png"))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, c.picture); err != nil {
			t.Fatal(err)
		}
		f.Close()
		set, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer set.Close()
		if h, there, err := HeaderOf(set, 0); err != nil || !there || h != (Header{"PNG", 5, 3, c.bits}) {
			t.Errorf("%s: %+v, %v, %v", name, h, there, err)
		}
	}
}
