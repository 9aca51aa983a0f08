package data

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// numbersOf lists those of every image.
func numbersOf(d Dataset) (all [][]float32) {
	for i := range d.Len() {
		all = append(all, NumbersOf(d).Of(i))
	}
	return all
}

// TestNumbers: labels that are numbers, from whatever file, are those of the images that it names.
func TestNumbers(t *testing.T) {
	edm := []string{"00000/img00000000.png", "00000/img00000001.png", "00001/img00000002.png"}
	for name, c := range map[string]struct {
		file, text, want, names, note string
	}{
		"a column":            {"l.csv", "file_name,age\nimg00000002.png,0.5\nimg00000000.png,20\nimg00000001.png,-1e3\n", "[[20] [-1000] [0.5]]", "[age]", "age -1000 to 20"},
		"columns":             {"l.csv", "smile,image_id,age\n1,00000/img00000000,3\n-1,00000/img00000001,4\n0,00001/img00000002,5\n", "[[1 3] [-1 4] [0 5]]", "[smile age]", "smile -1 to 1, age 3 to 5"},
		"without a header":    {"l.csv", "img00000000,1,2\nimg00000001,3,4\nimg00000002,5,6\n", "[[1 2] [3 4] [5 6]]", "[0 1]", ""},
		"one without":         {"l.tsv", "name\tage\nimg00000000\t1\nimg00000001\t\n", "[[1] [] []]", "[age]", "without a label: 2 images"},
		"numbers alone":       {"l.csv", "1.5\n2.5\n3.5\n", "[[1.5] [2.5] [3.5]]", "[0]", ""},
		"a column alone":      {"l.csv", "age\n1\n2\n3\n", "[[1] [2] [3]]", "[age]", ""},
		"EDM's":               {"l.json", `{"labels": [["00000/img00000000.png", [1, 0.25]], ["00000/img00000001.png", [0, 1]], ["00001/img00000002.png", [1, 1]]]}`, "[[1 0.25] [0 1] [1 1]]", "[0 1]", ""},
		"an object":           {"l.json", `{"img00000001": 0.5, "img00000000": true, "img00000002": null}`, "[[1] [0.5] []]", "[0]", ""},
		"objects in lines":    {"l.jsonl", `{"file_name": "img00000000.png", "label": [1]}` + "\n" + `{"file_name": "img00000001.png", "label": 2}` + "\n", "[[1] [2] []]", "[0]", ""},
		"a list":              {"l.json", `[0.1, 0.2, 0.3]`, "[[0.1] [0.2] [0.3]]", "[0]", ""},
		"whole numbers, too":  {"l.csv", "img00000000,7\nimg00000001,9\nimg00000002,70000\n", "[[7] [9] [70000]]", "[0]", ""},
		"EDM's in the folder": {edmLabels, `{"labels": [["00000/img00000000.png", 3], ["00000/img00000001.png", 1], ["00001/img00000002.png", 2]]}`, "[[3] [1] [2]]", "[0]", "dataset.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := picturesOf(t, t.TempDir(), edm, map[string]string{c.file: c.text})
			labels := NumberLabels + ":" + filepath.Join(dir, c.file)
			if c.file == edmLabels {
				labels = NumberLabels
			}
			d, err := Open(dir, Options{Labels: labels})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if got := fmt.Sprint(numbersOf(d)); got != c.want || fmt.Sprint(NumbersOf(d).Names) != c.names || d.Classes() != nil {
				t.Errorf("%s of %v, classes %v; want %s of %s", got, NumbersOf(d).Names, d.Classes(), c.want, c.names)
			}
			if notes := strings.Join(Notes(d), "; "); !strings.Contains(notes, c.note) {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
		})
	}
}

// TestNumbersRefused: what gives no numbers is refused in one line that says what would.
func TestNumbersRefused(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"a word":            {"l.csv", "file_name,age\nx.png,old\n", `"old" in column 2`},
		"of two lengths":    {"l.json", `{"x.png": [1, 2], "y.png": [1]}`, "as many for each"},
		"not finite":        {"l.csv", "x.png,1e39\n", "1e39"},
		"not finite, JSON":  {"l.json", `{"x.png": 1e39}`, "float32"},
		"a text":            {"l.json", `{"x.png": "old"}`, "want a number"},
		"of other images":   {"l.csv", "a.png,1\n", "labels no image of the set"},
		"none":              {"l.csv", "file_name,age\nx.png,\n", "no image of the set"},
		"a column unnamed":  {"l.csv", ",file_name,age\n0,x.png,1\n", "no name for column 1"},
		"empty":             {"l.csv", "", "names none"},
		"too many":          {"l.json", `{"x.png": [` + strings.Repeat("1,", maxNumbers) + `1]}`, "at most 4096"},
		"none in the set":   {"", "", "want numbers:FILE.csv"},
		"a file not there":  {"gone.csv", "", "cannot be opened as a file of labels"},
		"lines of a length": {"l.csv", "file_name,a,b\nx.png,1,2\ny.png,1\n", "line 3"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := picturesOf(t, t.TempDir(), []string{"x.png", "y.png"}, nil)
			labels := NumberLabels
			if c.file != "" {
				labels += ":" + filepath.Join(dir, c.file)
			}
			if c.text != "" || c.want == "names none" {
				write(t, filepath.Join(dir, c.file), []byte(c.text))
			}
			_, err := Open(dir, Options{Labels: labels})
			wellPut(t, err)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestNumbersStay: numbers go with their images through a loader, a set that lies somewhere,
// and a packed file; other numbers are another set.
func TestNumbersStay(t *testing.T) {
	dir := picturesOf(t, t.TempDir(), []string{"a.png", "b.png", "c.png", "d.png", "e.png"}, map[string]string{"l.csv": "file_name,x,y\na,0,1\nb,1,1\nc,2,1\nd,3,1\n"})
	d := mustOpenWith(t, dir, Options{Labels: "numbers:" + filepath.Join(dir, "l.csv")})
	var file bytes.Buffer
	if err := Pack(t.Context(), &file, d, []int{4, 2, 1, 0}, func(int) {}); err != nil {
		t.Fatal(err)
	}
	packed := filepath.Join(dir, "packed.npz")
	write(t, packed, file.Bytes())
	p := mustOpenWith(t, packed, Options{Labels: NumberLabels})
	if got := fmt.Sprint(numbersOf(p)); got != "[[] [2 1] [1 1] [0 1]]" || fmt.Sprint(NumbersOf(p).Names) != "[x y]" {
		t.Errorf("packed: %s of %v", got, NumbersOf(p).Names)
	}
	o := LoaderOptions{Batch: 2, Seed: 5}
	l, err := NewLoader(d, o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	lying := map[int]byte{}
	r, err := NewResident(t.Context(), d, o, func(first int, pixels, _ Pixels) error {
		for i := range pixels.Len() / 3 {
			lying[first+i] = pixels.Bytes[3*i] // which is the number of the image
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		a, err := l.Next(t.Context())
		b, err2 := r.Next(t.Context())
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		for i := range a.Indices {
			x, image := a.Numbers[2*i], a.Pixels.Bytes[3*i]
			if image < 4 && x != float32(image) || image == 4 && x == x {
				t.Errorf("image %d has the number %v", image, x)
			}
			if same := math.Float32bits(x) == math.Float32bits(b.Numbers[2*i]); !same || lying[int(b.Sources[i])] != image {
				t.Errorf("image %d of number %v where it lies, %v in a batch", b.Sources[i], b.Numbers[2*i], x)
			}
		}
		l.Release(a)
	}
	write(t, filepath.Join(dir, "l.csv"), []byte("file_name,x,y\na,0,1\nb,1,1\nc,2,1\nd,3,2\n"))
	if other := mustOpenWith(t, dir, Options{Labels: "numbers:" + filepath.Join(dir, "l.csv")}); other.Fingerprint().Digest == d.Fingerprint().Digest {
		t.Error("other numbers are the same set")
	}
}

// TestNumbersOfArrays: labels of a .npz that are floats, of one or two dimensions, are numbers
// where they are asked for, and left out with a note where not.
func TestNumbersOfArrays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npz")
	for _, shape := range [][]int{{2}, {2, 1}} {
		f, err := os.Create(path)
		if err == nil {
			err = WriteNPZ(f, Array{Name: "images", Shape: []int{2, 1, 1, 2}, Floats: []float32{1, 2, 3, 4}}, Array{Name: "labels", Shape: shape, Floats: []float32{0.5, -2}}, Array{Name: "age", Shape: shape, Floats: []float32{7, 8}})
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		d := mustOpenWith(t, path, Options{Labels: NumberLabels})
		if got := numbersOf(d); !slices.Equal(got[0], []float32{0.5}) || !slices.Equal(got[1], []float32{-2}) || NumbersOf(d).From[0] != -2 {
			t.Errorf("labels of shape %v: %v", shape, got)
		}
		if got := NumbersOf(mustOpenWith(t, path, Options{Labels: "numbers:age"})); got.Names[0] != "age" || got.Of(1)[0] != 8 {
			t.Errorf("another array of shape %v: %v of %v", shape, got.Of(1), got.Names)
		}
		if _, err := Open(path, Options{Labels: "numbers:weight"}); err == nil || !strings.Contains(err.Error(), "holds no array called weight") {
			t.Errorf("an array that is not there: %v", err)
		}
		if plain := mustOpenWith(t, path, Options{}); NumbersOf(plain) != nil || !strings.Contains(strings.Join(Notes(plain), ";"), "labels") {
			t.Errorf("labels of shape %v without being asked for: %v", shape, Notes(plain))
		}
	}
}

func mustOpenWith(t *testing.T, spec string, o Options) Dataset {
	t.Helper()
	d, err := Open(spec, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}
