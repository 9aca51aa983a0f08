package data

import (
	"archive/zip"
	"image/color"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// fingerprintOf opens a data set.
func fingerprintOf(t *testing.T, spec string, o Options) Fingerprint {
	t.Helper()
	d, err := Open(spec, o)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	return d.Fingerprint()
}

// fruits writes pictures of three classes below a folder.
func fruits(t *testing.T, dir string) {
	t.Helper()
	for i, class := range []string{"apple", "banana", "cherry"} {
		for j := range 2 + i {
			picture := encoded(t, "png", 8, 8, color.RGBA{uint8(40 * j), uint8(80 * i), 0, 255})
			write(t, filepath.Join(dir, class, string(rune('a'+j))+".png"), picture)
		}
	}
}

// packed packs a folder's files below a prefix.
func packed(t *testing.T, dir, prefix string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "set.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	names, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		rel, _ := filepath.Rel(dir, name)
		w, err := z.Create(prefix + filepath.ToSlash(rel))
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFingerprintOfPlaces: where a data set lies, and how it is opened, is not
// part of what it is.
func TestFingerprintOfPlaces(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	fruits(t, "pics")
	fruits(t, "outer/inner/pics")
	want := fingerprintOf(t, "pics", Options{})
	if want.Images != 9 || !slices.Equal(want.Classes, []string{"apple", "banana", "cherry"}) || !slices.Equal(want.Counts, []int{2, 3, 4}) {
		t.Errorf("%+v", want)
	}
	for _, spec := range []string{"pics/", "./pics", filepath.Join(dir, "pics"), "outer/inner/pics", "outer", packed(t, "pics", ""), packed(t, "pics", "top/")} {
		for _, o := range []Options{{}, {CacheBytes: 1}, {Size: Square(4), Channels: 1}} {
			got := fingerprintOf(t, spec, o)
			got.Sums = ""
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %+v: %+v, want %+v", spec, o, got, want)
			}
		}
	}
}

// TestFingerprintOfChanges: each change of names, sizes, number or content shows.
func TestFingerprintOfChanges(t *testing.T) {
	dir := t.TempDir()
	fruits(t, dir)
	seen := map[string]string{fingerprintOf(t, dir, Options{}).Digest: "as it was"}
	for _, c := range []struct {
		name   string
		change func() error
	}{
		{"a picture more", func() error { return os.Link(filepath.Join(dir, "apple/a.png"), filepath.Join(dir, "apple/z.png")) }},
		{"a picture renamed", func() error { return os.Rename(filepath.Join(dir, "apple/z.png"), filepath.Join(dir, "apple/y.png")) }},
		{"a picture of another class", func() error { return os.Rename(filepath.Join(dir, "apple/y.png"), filepath.Join(dir, "banana/y.png")) }},
		{"a class renamed", func() error { return os.Rename(filepath.Join(dir, "apple"), filepath.Join(dir, "apfel")) }},
		{"another size", func() error {
			return os.WriteFile(filepath.Join(dir, "cherry/a.png"), append(encoded(t, "png", 8, 8, color.Black), 0), 0o666)
		}},
	} {
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		d := fingerprintOf(t, dir, Options{}).Digest
		if as, there := seen[d]; there {
			t.Errorf("%s: the fingerprint is that of %s", c.name, as)
		}
		seen[d] = c.name
	}

	picture := filepath.Join(dir, "cherry/b.png")
	before := fingerprintOf(t, packed(t, dir, ""), Options{})
	content, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)-1]++ // of the same size
	write(t, picture, content)
	if after := fingerprintOf(t, packed(t, dir, ""), Options{}); after.Digest != before.Digest || after.Sums == before.Sums {
		t.Errorf("a byte of a picture in a zip: %+v, before %+v", after, before)
	}
}

// TestFingerprintOfGlyphs: counts are those of the labels; kinds and seeds differ.
func TestFingerprintOfGlyphs(t *testing.T) {
	seen := map[string]bool{}
	for kind := range glyphKinds {
		for seed := range uint64(2) {
			d, err := NewGlyphs(kind, seed)
			if err != nil {
				t.Fatal(err)
			}
			p := d.Fingerprint()
			want := make([]int, len(p.Classes))
			for i := range d.Len() {
				want[i%len(want)]++
			}
			if !slices.Equal(p.Counts, want) || seen[p.Digest] {
				t.Errorf("glyphs:%s of seed %d: %+v", kind, seed, p)
			}
			seen[p.Digest] = true
		}
	}
}
