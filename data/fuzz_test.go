package data

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// wellPut fails if an error of a reader is not a *Error.
func wellPut(t *testing.T, err error) {
	t.Helper()
	if bad := (*Error)(nil); err != nil && !errors.As(err, &bad) {
		t.Errorf("error %v (%T), want a *data.Error", err, err)
	}
}

// addPictures gives a fuzz target the pictures of testdata.
func addPictures(f *testing.F) {
	names, err := filepath.Glob("testdata/pictures/*.*")
	if err != nil || len(names) == 0 {
		f.Fatal("no pictures", err)
	}
	for _, name := range names {
		file, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
}

// FuzzPicture: whatever the bytes, a picture or a *Error, never a panic; and what
// is read has the size of its header.
func FuzzPicture(f *testing.F) {
	addPictures(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		_, _, c, err := readPicture("a", bytes.NewReader(file), 0)
		wellPut(t, err)
		if err != nil || c.Width*c.Height > 1<<16 {
			return
		}
		p, err := decode("a", bytes.NewReader(file))
		wellPut(t, err)
		if err != nil {
			return
		}
		if b := p.Bounds(); b.Dx() != c.Width || b.Dy() != c.Height {
			t.Fatalf("%v pixels of a header of %d×%d", b, c.Width, c.Height)
		}
		w, h := p.size()
		convert(p, shape{h, w, 3}, "", make([]byte, w*h*3))
		convert(p, shape{4, 4, 1}, Crop, make([]byte, 16))
		convert(p, shape{5, 5, 3}, Pad, make([]byte, 75))
		convertDeep(p, shape{4, 4, 3}, Stretch, make([]float32, 48))
		isGrey(p.Image)
	})
}

// FuzzZip: any bytes as a zip.
func FuzzZip(f *testing.F) {
	png, err := EncodePNG([]byte{1, 2, 3}, 1, 1, 3, map[string]string{"seed": "1"})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []struct{ name, body string }{
		{"a.png", string(png)}, {"./cat/a.png", string(png)}, {`cat\a.png`, "x"}, {"run/config.json", "{}"}, {"000001.png", string(png)}, {"..", ""}, {"/", ""}, {"é/\x82.png", string(png)},
	} {
		file, err := zipBytes(map[string][]byte{seed.name: []byte(seed.body), "log.txt": nil})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		d, err := readZip("a.zip", bytes.NewReader(file), int64(len(file)), Options{Size: Square(2)})
		wellPut(t, err)
		if err != nil {
			return
		}
		_, _, c := d.Shape()
		for i := range min(d.Len(), 10) {
			label, err := readBytes(d, i, make([]byte, 4*c))
			wellPut(t, err)
			if label < -1 || label >= len(d.Classes()) {
				t.Fatalf("class %d of %v", label, d.Classes())
			}
		}
	})
}

// FuzzText: any bytes as a PNG with texts.
func FuzzText(f *testing.F) {
	addPictures(f)
	file, err := EncodePNG([]byte{1, 2, 3}, 1, 1, 3, map[string]string{"seed": "1", "class": "été"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, err := inspectPNG(bytes.NewReader(file)); err != nil && !errors.Is(err, ErrNotPNG) && !errors.Is(err, ErrCut) {
			t.Errorf("error %v", err)
		}
	})
}

// FuzzIDX: any bytes as a file of images, plain and packed.
func FuzzIDX(f *testing.F) {
	f.Add(idxBytes(idxImages, []uint32{1, 2, 2}, []byte{1, 2, 3, 4}))
	f.Add(idxBytes(idxImages, []uint32{1 << 31, 1 << 31, 1 << 31}, nil))
	f.Add([]byte{31, 139, 8, 0})
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, name := range []string{"a", "a.gz"} {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			dims, body, err := readIDXFile(path, idxImages, 3)
			wellPut(t, err)
			if err == nil && dims[0]*dims[1]*dims[2] != len(body) {
				t.Fatalf("%d bytes of %v", len(body), dims)
			}
		}
	})
}

// FuzzOrientation: any bytes as Exif and XMP.
func FuzzOrientation(f *testing.F) {
	f.Add([]byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"), []byte(nil))
	f.Add([]byte("MM\x00*\xff\xff\xff\xff"), []byte(`tiff:Orientation="8"`))
	f.Fuzz(func(t *testing.T, exif, xmp []byte) {
		if o := orientationOf(exif, xmp); o < upright || o > turnedLeft {
			t.Fatalf("orientation %d", o)
		}
	})
}
