package data

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func array(name string) string { return filepath.Join("testdata", "arrays", name) }

// TestArrays: what NumPy wrote (scripts/arrays.py) is what is read: element i is i/8 − 3,
// or i where it is a whole number.
func TestArrays(t *testing.T) {
	for _, c := range []struct {
		file           string
		n              int
		shape          [3]int
		kind           Kind
		classes, noise []int64
	}{
		{"half.npy", 5, [3]int{2, 2, 3}, Floats, nil, nil}, {"single.npy", 5, [3]int{2, 2, 3}, Floats, nil, nil}, {"double.npy", 5, [3]int{2, 2, 3}, Floats, nil, nil},
		{"big.npy", 5, [3]int{2, 2, 3}, Floats, nil, nil}, {"version2.npy", 5, [3]int{2, 2, 3}, Floats, nil, nil}, {"version3.npy", 5, [3]int{2, 2, 3}, Floats, nil, nil},
		{"bytes.npy", 5, [3]int{2, 2, 3}, Bytes, nil, nil}, {"points.npy", 7, [3]int{1, 1, 2}, Floats, nil, nil}, {"grey.npy", 3, [3]int{4, 5, 1}, Bytes, nil, nil},
		{"stored.npz", 5, [3]int{4, 4, 4}, Floats, []int64{0, 2, -1, 1, 2}, []int64{7, -1, 1 << 40, 0, 5}}, {"packed.npz", 5, [3]int{2, 2, 3}, Bytes, []int64{0, 2, -1, 1, 2}, nil},
	} {
		d := mustOpen(t, array(c.file))
		h, w, ch := d.Shape()
		if d.Len() != c.n || [3]int{h, w, ch} != c.shape || d.Kind() != c.kind || c.classes != nil && len(d.Classes()) != 3 {
			t.Fatalf("%s: %d images of %d×%d×%d, %v, classes %q", c.file, d.Len(), h, w, ch, d.Kind(), d.Classes())
		}
		for i := range c.n {
			e := NewExample(d)
			if err := d.Read(i, e); err != nil {
				t.Fatal(err)
			}
			class, noise, first := int64(-1), int64(Own), i*h*w*ch
			if c.classes != nil {
				class = c.classes[i]
			}
			if c.noise != nil {
				noise = c.noise[i]
			}
			if int64(e.Class) != class || e.Noise != noise {
				t.Errorf("%s, image %d: class %d and noise %d, want %d and %d", c.file, i, e.Class, e.Noise, class, noise)
			}
			for k, x := range e.Floats {
				if want := float32(first+k)/8 - 3; x != want {
					t.Fatalf("%s, image %d: value %d is %v, want %v", c.file, i, k, x, want)
				}
			}
			for k, x := range e.Bytes {
				if x != byte(first+k) {
					t.Fatalf("%s, image %d: value %d is %d, want %d", c.file, i, k, x, first+k)
				}
			}
		}
	}
	d := mustOpen(t, array("stored.npz"))
	for _, d := range []Dataset{d, &resize{Dataset: d}} {
		if notes := Notes(d); len(notes) != 1 || !strings.Contains(notes[0], "made_by") {
			t.Errorf("notes %q", notes)
		}
	}
}

// npy is an array's file.
func npy(descr, shape string, body []byte) []byte {
	return npyWith(fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape), body)
}

func npyWith(header string, body []byte) []byte {
	b := append([]byte(npyMagic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	return append(append(b, header...), body...)
}

// storedZip is a zip whose members are not compressed.
func storedZip(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range files {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestBadArrays: one line that names the file and says what would be right.
func TestBadArrays(t *testing.T) {
	four := make([]byte, 16) // floats
	nan := binary.LittleEndian.AppendUint32(four[:12:12], math.Float32bits(float32(math.NaN())))
	large := binary.LittleEndian.AppendUint64(nil, math.Float64bits(1e300))
	good := npy("<f4", "(4, 1)", four)
	whole := storedZip(t, map[string][]byte{"images.npy": good, "labels.npy": npy("|u1", "(4,)", []byte{0, 1, 2, 3})})
	cut := slices.Clone(whole) // the sizes of a member in the directory are larger than the file
	at := bytes.LastIndex(cut, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(cut[at+20:], 1<<31)
	binary.LittleEndian.PutUint32(cut[at+24:], 1<<31)
	locked := storedZip(t, map[string][]byte{"images.npy": good})
	for _, p := range [][2]int{{bytes.Index(locked, []byte("PK\x03\x04")), 6}, {bytes.Index(locked, []byte("PK\x01\x02")), 8}} {
		locked[p[0]+p[1]] |= zipEncrypted
	}
	all := map[string][]byte{}
	for i := range maxArrays + 1 {
		all[fmt.Sprint(i, ".npy")] = good
	}
	many := storedZip(t, all)
	for name, c := range map[string]struct {
		file []byte
		ext  string
		want []string
	}{
		"empty":          {nil, ".npy", []string{"not a NumPy array", "numpy.save"}},
		"text":           {[]byte("x,y\n1,2\n3,4\n5,6\n"), ".npy", []string{"not a NumPy array"}},
		"version":        {append([]byte(npyMagic), 9, 0, 1, 0), ".npy", []string{"version 9"}},
		"cut header":     {good[:20], ".npy", []string{"ends in its header"}},
		"long header":    {append([]byte(npyMagic), 2, 0, 0xff, 0xff, 0xff, 0xff), ".npy", []string{"header of 4294967295 bytes"}},
		"cut":            {good[:len(good)-1], ".npy", []string{"holds 15 bytes", "want 16", "float32", "(4, 1)"}},
		"too long":       {append(slices.Clone(good), 0), ".npy", []string{"holds 17 bytes", "want 16"}},
		"no header":      {npyWith("{}", nil), ".npy", []string{"not of a plain array"}},
		"twice":          {npyWith("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (4, 1)}", four), ".npy", []string{"not of a plain array"}},
		"type":           {npy("<c8", "(2, 1)", four), ".npy", []string{`"<c8"`, "float32"}},
		"text type":      {npy("<U4", "(1, 1)", four), ".npy", []string{`"<U4"`}},
		"whole numbers":  {npy("<i4", "(4, 1)", four), ".npy", []string{"int32", "want uint8"}},
		"shape":          {npy("<f4", "(4,)", four), ".npy", []string{"(4,)", "height"}},
		"no dimensions":  {npy("<f4", "()", four[:4]), ".npy", []string{"images"}},
		"no images":      {npy("<f4", "(0, 4)", nil), ".npy", []string{"(0, 4)", "one image or more"}},
		"huge":           {npy("<f4", "(99999999999, 99999999999, 99999999999)", four), ".npy", []string{"more than can be"}},
		"larger":         {npy("<f8", "(4611686018427387904, 1)", four), ".npy", []string{"more than can be"}},
		"number":         {npy("<f4", "(99999999999999999999,)", four), ".npy", []string{"whole numbers"}},
		"channels first": {npy("<f4", "(1, 1, 2, 2)", four), ".npy", []string{"channels first", "numpy.transpose"}},
		"tall":           {npy("|u1", "(1, 16385, 1, 1)", make([]byte, 16385)), ".npy", []string{"(1, 16385, 1, 1)", "sides up to 16384"}},
		"dimensions":     {npy("|u1", "("+strings.Repeat("1, ", 33)+")", []byte{1}), ".npy", []string{"at most 32 whole numbers"}},
		"cut version 2":  {append([]byte(npyMagic), 2, 0, 1, 0, 0), ".npy", []string{"ends in its header"}},
		"signed":         {npy("<i2", "(1, 2, 4)", nan), ".npy", []string{"int16", "--range"}},
		"NaN":            {npy("<f4", "(1, 4)", nan), ".npy", []string{"image 0", "value 3", "not a finite float32", "--skip-broken"}},
		"too large":      {npy("<f8", "(1, 1)", large), ".npy", []string{"image 0", "not a finite float32"}},
		"no zip":         {good, ".npz", []string{"not a whole .npz"}},
		"no arrays":      {storedZip(t, map[string][]byte{"a.txt": four}), ".npz", []string{"no array of images", "numpy.savez"}},
		"several":        {storedZip(t, map[string][]byte{"a.npy": good, "b.npy": good}), ".npz", []string{"several arrays", "a, b", "called images"}},
		"counts":         {storedZip(t, map[string][]byte{"x.npy": good, "y.npy": npy("|u1", "(3,)", []byte{0, 1, 2})}), ".npz", []string{"y.npy", "(3,)", "one number for each"}},
		"class":          {storedZip(t, map[string][]byte{"x.npy": good, "y.npy": npy("<i4", "(4,)", []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0})}), ".npz", []string{"y.npy", "65536 for image 2", "65535"}},
		"unsigned":       {storedZip(t, map[string][]byte{"x.npy": npy("<f4", "(2, 2)", four), "noise.npy": npy("<u8", "(2,)", bytes.Repeat([]byte{255}, 16))}), ".npz", []string{"noise.npy", "out of range"}},
		"bomb":           {zipped(t, map[string][]byte{"images.npy": npy("<f4", "(1000000, 1000)", four)}), ".npz", []string{"images.npy", "at most 1 GiB", "numpy.savez"}},
		"short in zip":   {zipped(t, map[string][]byte{"images.npy": npy("<f4", "(1000000, 100)", four)}), ".npz", []string{"images.npy", "holds 16 bytes"}},
		"many arrays":    {many, ".npz", []string{"more than 1000 arrays"}},
		"encrypted":      {locked, ".npz", []string{"images.npy", "is encrypted"}},
		"cut zip":        {cut, ".npz", []string{"the zip ends before it"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "set"+c.ext)
			write(t, path, c.file)
			d, err := Open(path, Options{})
			if err == nil {
				err = d.Read(0, NewExample(d))
				d.Close()
			}
			if e := (*Error)(nil); !errors.As(err, &e) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %v (%T), want a *data.Error of a line", err, err)
			}
			for _, want := range append(c.want, "set"+c.ext) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
	for name, want := range map[string]string{"fortran.npy": "numpy.ascontiguousarray", "records.npy": "not of a plain array", "objects.npy": `type "|O"`} {
		if _, err := Open(array(name), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// TestChannelsFirst: only what can hardly be anything else is taken for it.
func TestChannelsFirst(t *testing.T) {
	for shape, want := range map[string]bool{"(2, 3, 8, 8)": true, "(2, 1, 8, 8)": true, "(2, 5, 3, 3)": false, "(2, 4, 4, 4)": false, "(2, 8, 8, 3)": false} {
		h, err := readNpyHeader("x", bytes.NewReader(npy("<f4", shape, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if err := (&arrays{images: npyArray{npyHeader: h}}).takeShape(); (err != nil) != want {
			t.Errorf("%s: %v", shape, err)
		}
	}
}

// TestReadAllocates: floats are read into room that stays.
func TestReadAllocates(t *testing.T) {
	for _, file := range []string{"half.npy", "bytes.npy"} {
		d := mustOpen(t, array(file))
		e := NewExample(d)
		if n := testing.AllocsPerRun(10, func() {
			if err := d.Read(1, e); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations an image", file, n)
		}
	}
}

// FuzzArrays: whatever the file, there is a set or a *data.Error.
func FuzzArrays(f *testing.F) {
	names, _ := filepath.Glob(array("*"))
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, strings.HasSuffix(name, "z"))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte, packed bool) {
		path := filepath.Join(dir, map[bool]string{true: "a.npz", false: "a.npy"}[packed])
		write(t, path, content)
		d, err := Open(path, Options{})
		if err == nil {
			defer d.Close()
			for i := range min(d.Len(), 3) {
				if ValuesOf(d) > 1<<20 {
					break
				}
				if err = d.Read(i, NewExample(d)); err != nil {
					break
				}
			}
			d.Fingerprint()
		}
		if bad := (*Error)(nil); err != nil && !errors.As(err, &bad) {
			t.Errorf("%v (%T)", err, err)
		}
	})
}

// TestLabelsThatAreNone: an array that is called labels and cannot be is told with the cause.
func TestLabelsThatAreNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	err = WriteNPZ(f, Array{Name: "images", Shape: []int{2, 1, 1, 2}, Floats: []float32{1, 2, 3, 4}}, Array{Name: "labels", Shape: []int{2}, Floats: []float32{0, 1}})
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	d, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if notes := strings.Join(Notes(d), "; "); !strings.Contains(notes, "labels of x.npz are float32 of shape (2,)") || !strings.Contains(notes, "whole numbers") {
		t.Errorf("notes: %s", notes)
	}
}
