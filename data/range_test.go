package data_test

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
)

// TestRange: values of 16 bits reach a network as they are, from −1 to 1, from pictures
// and arrays, and of 8 bits too.
func TestRange(t *testing.T) {
	deep := func(i, x, y, c int) float64 { return 256*float64(formatPixel(i, x, y, c)) + 7 }
	shallow := func(i, x, y, c int) float64 { return float64(formatPixel(i, x, y, c)) }
	for name, c := range map[string]struct {
		spec     string
		o        data.Options
		of       func(i, x, y, c int) float64
		channels int
		scale    data.Range
	}{
		"TIFF":           {"tiff16", data.Options{Range: data.Range{High: 65535}}, deep, 3, data.Range{High: 65535}},
		"TIFF, grey":     {"grey16", data.Options{Range: data.Range{Low: 1000, High: 5000}}, deep, 1, data.Range{Low: 1000, High: 5000}},
		"8 bit":          {"grey8", data.Options{Range: data.Range{High: 255}}, shallow, 1, data.Range{High: 255}},
		"uint16":         {"deep.npy", data.Options{}, deep, 3, data.Range{High: 65535}},
		"uint16, ranged": {"deep.npy", data.Options{Range: data.Range{Low: -1, High: 4095}}, deep, 3, data.Range{Low: -1, High: 4095}},
		"five channels":  {"channels.npy", data.Options{}, shallow, 5, data.Range{High: 255}},
		"uint8, ranged":  {"images.npz", data.Options{Range: data.Range{High: 510}}, shallow, 3, data.Range{High: 510}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := data.Open(inFormats(c.spec), c.o)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			h, w, channels := d.Shape()
			if d.Kind() != data.Floats || !data.Pictures(d) || channels != c.channels || h != formatSide {
				t.Fatalf("%v of %d channels, pictures: %v", d.Kind(), channels, data.Pictures(d))
			}
			e := data.NewExample(d)
			for i := range d.Len() {
				if err := d.Read(i, e); err != nil {
					t.Fatal(err)
				}
				for k, got := range e.Floats {
					x := c.of(i, k/channels%w, k/channels/w, k%channels%3)
					if want := 2*(x-c.scale.Low)/(c.scale.High-c.scale.Low) - 1; math.Abs(float64(got)-want) > 2e-7*max(1, math.Abs(want)) {
						t.Fatalf("image %d: value %d is %v, want %v", i, k, got, want)
					}
				}
			}
		})
	}
}

// TestRangeText: what is no range is refused, and one is written as it was read.
func TestRangeText(t *testing.T) {
	for text, ok := range map[string]bool{"0,65535": true, "-1.5, 3": true, "": true, "3": false, "1,1": false, "2,1": false, "a,b": false, "NaN,1": false, "-1e308,1e308": false} {
		var r, again data.Range
		err := r.UnmarshalText([]byte(text))
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
		if ok && (again.UnmarshalText([]byte(r.String())) != nil || again != r) {
			t.Errorf("%q: %v, again %v", text, r, again)
		}
	}
}

// TestRangeRefused: what has no such values.
func TestRangeRefused(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"tiff16/0.tif", "tiff/cat/0.tif"} {
		file, err := os.ReadFile(inFormats(name))
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, "mixed", filepath.Base(filepath.Dir(name))+".tif"), file)
	}
	put(t, filepath.Join(dir, "signed.npy"), append([]byte("\x93NUMPY\x01\x00\x41\x00{'descr': '<i2', 'fortran_order': False, 'shape': (1, 1, 1, 1), }"), 0xfe, 0xff))
	ranged := data.Options{Range: data.Range{High: 65535}}
	for spec, o := range map[string]data.Options{"glyphs": ranged, "toy:moons": ranged, inFormats("cifar:cifar-10-batches-bin"): ranged, filepath.Join(dir, "signed.npy"): {}} {
		if d, err := data.Open(spec, o); err == nil {
			d.Close()
			t.Errorf("%s is taken with %+v", spec, o)
		}
	}
	d, err := data.Open(filepath.Join(dir, "signed.npy"), data.Options{Range: data.Range{Low: -4, High: 4}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if e := data.NewExample(d); d.Read(0, e) != nil || e.Floats[0] != -0.5 {
		t.Errorf("−2 of −4 to 4 is %v", e.Floats)
	}
	datatest.Run(t, datatest.Set{Spec: filepath.Join(dir, "mixed"), Options: ranged, Broken: []int{1}})
}

// TestPNG16: values are written in 16 bits and read again.
func TestPNG16(t *testing.T) {
	for _, channels := range []int{1, 3} {
		values := make([]float32, 4*5*channels)
		for k := range values {
			values[k] = float32(k)/20 - 1.2
		}
		file, err := data.EncodePNG16(values, 4, 5, channels, map[string]string{"seed": "1"})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		put(t, filepath.Join(dir, "a.png"), file)
		d, err := data.Open(dir, data.Options{Range: data.Range{High: 65535}, Channels: channels})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		e := data.NewExample(d)
		if err := d.Read(0, e); err != nil {
			t.Fatal(err)
		}
		for k, x := range values {
			if want := min(max(x, -1), 1); math.Abs(float64(e.Floats[k]-want)) > 1.0/65535+1e-6 {
				t.Errorf("value %d is %v, want %v", k, e.Floats[k], want)
			}
		}
	}
}

// TestPack: what is packed is read as the set was: pixels, classes and their names; and the
// same images give the same bytes.
func TestPack(t *testing.T) {
	for name, c := range map[string]struct {
		spec string
		o    data.Options
	}{
		"bytes":  {inFormats("parquet:hub"), data.Options{Size: data.Square(16)}},
		"16 bit": {inFormats("tiff16"), data.Options{Range: data.Range{High: 65535}}},
		"points": {"toy:moons", data.Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := data.Open(c.spec, c.o)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			numbers := []int{0, 3, 4}
			var files [2]bytes.Buffer
			for i := range files {
				if err := data.Pack(t.Context(), &files[i], d, numbers, func(int) {}); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(files[0].Bytes(), files[1].Bytes()) {
				t.Error("packed again, the bytes are others")
			}
			path := filepath.Join(t.TempDir(), "packed.npz")
			put(t, path, files[0].Bytes())
			p, err := data.Open(path, data.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if p.Len() != len(numbers) || p.Kind() != d.Kind() || data.Pictures(p) != data.Pictures(d) || !slices.Equal(p.Classes(), d.Classes()) || len(data.Notes(p)) > 0 {
				t.Fatalf("%d images, %v, pictures %v, classes %q, notes %q", p.Len(), p.Kind(), data.Pictures(p), p.Classes(), data.Notes(p))
			}
			a, b := data.NewExample(d), data.NewExample(p)
			for at, i := range numbers {
				if err := d.Read(i, a); err != nil {
					t.Fatal(err)
				}
				if err := p.Read(at, b); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(a.Bytes, b.Bytes) || !slices.Equal(a.Floats, b.Floats) || a.Class != b.Class && d.Classes() != nil {
					t.Errorf("image %d is another", i)
				}
			}
		})
	}
	d, err := data.Open(inFormats("gaps.parquet"), data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := data.Pack(context.Background(), &bytes.Buffer{}, d, []int{0, 1}, func(int) {}); err == nil {
		t.Error("a broken image is packed")
	}
}

// TestFit: a picture of two halves, twice as wide as high, in a square.
func TestFit(t *testing.T) {
	dir := t.TempDir()
	pixels := make([]byte, 8*16)
	for k := range pixels {
		if k%16 >= 8 {
			pixels[k] = 200
		}
	}
	datatest.WritePNG(t, filepath.Join(dir, "a.png"), pixels, 8, 16, 1, nil)
	for fit, want := range map[data.Fit][4]byte{ // top and middle rows: at the left edge and in the right half
		data.Crop: {0, 200, 0, 200}, data.Pad: {255, 255, 0, 200}, data.Stretch: {0, 200, 0, 200},
	} {
		d, err := data.Open(dir, data.Options{Size: data.Square(8), Fit: fit})
		if err != nil {
			t.Fatal(err)
		}
		e := data.NewExample(d)
		if err := d.Read(0, e); err != nil {
			t.Fatal(err)
		}
		d.Close()
		if got := [4]byte{e.Bytes[0], e.Bytes[6], e.Bytes[3*8], e.Bytes[3*8+6]}; got != want {
			t.Errorf("%s: %v, want %v", fit, got, want)
		}
	}
}
