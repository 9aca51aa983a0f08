package data

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// picturesOf writes a folder of pictures and other files.
func picturesOf(t *testing.T, dir string, names []string, beside map[string]string) string {
	t.Helper()
	for i, name := range names {
		png, err := EncodePNG([]byte{byte(i), 2, 3}, 1, 1, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), png)
	}
	for name, text := range beside {
		write(t, filepath.Join(dir, name), []byte(text))
	}
	return dir
}

// classesOf reads the class of every image by name; "" is none.
func classesOf(t *testing.T, d Dataset) (all []string) {
	t.Helper()
	e := NewExample(d)
	for i := range d.Len() {
		e.Class = -1
		if err := d.Read(i, e); err != nil {
			t.Fatal(err)
		}
		name := ""
		if e.Class >= 0 {
			name = d.Classes()[e.Class]
		}
		all = append(all, name)
	}
	return all
}

// TestLabels: what says of an image to which class it belongs, and in which form.
func TestLabels(t *testing.T) {
	edm := []string{"00000/img00000000.png", "00000/img00000001.png", "00001/img00000002.png"}
	const json = `{"labels": [["00000/img00000000.png", 6], ["00000/img00000001.png", 0], ["00001/img00000002.png", 2]]}`
	for name, c := range map[string]struct {
		beside map[string]string
		labels string // file of the folder, or a value of Options.Labels
		want   string
		number int // of classes
		note   string
	}{
		"EDM":                       {map[string]string{"dataset.json": json}, "", "[6 0 2]", 7, "dataset.json"},
		"EDM, folders asked for":    {map[string]string{"dataset.json": json}, FolderLabels, "[00000 00000 00001]", 2, ""},
		"EDM, none asked for":       {map[string]string{"dataset.json": json}, NoLabels, "[  ]", 0, ""},
		"EDM without labels":        {map[string]string{"dataset.json": `{"labels": null}`}, "", "[  ]", 0, "no labels"},
		"EDM with vectors":          {map[string]string{"dataset.json": `{"labels": [["00000/img00000000.png", [1, 0.5]]]}`}, "", "[  ]", 0, "several numbers"},
		"another dataset.json":      {map[string]string{"dataset.json": `{"name": "cats"}`}, "", "[00000 00000 00001]", 2, "left out"},
		"a table":                   {map[string]string{"l.csv": "file_name,text,label\n00001/img00000002.png,\"a, b\",cat\n00000/img00000001.png,,dog\n"}, "l.csv", "[ dog cat]", 2, "without a label: 1 image"},
		"two columns, Windows":      {map[string]string{"l.csv": "\ufeffimg00000000,3\r\nimg00000001,1.0\r\nimg00000002,-1\r\n"}, "l.csv", "[3 1 ]", 4, ""},
		"a table by paths":          {map[string]string{"l.tsv": "image_id\tclass\n00000\\img00000000\tb\nx\ta\n"}, "l.tsv", "[b  ]", 1, "of 1 image that the set does not have"},
		"an object":                 {map[string]string{"l.json": `{"img00000000.png": "b", "img00000002.png": "a", "img00000001.png": null}`}, "l.json", "[b  a]", 2, ""},
		"objects in lines":          {map[string]string{"l.jsonl": `{"file_name": "img00000000.png", "label": 1, "text": "x"}` + "\n" + `{"file_name": "img00000001.png", "label": 0}`}, "l.jsonl", "[1 0 ]", 2, ""},
		"a list of objects":         {map[string]string{"l.json": `[{"image": "img00000002.png", "category": true}]`}, "l.json", "[  true]", 1, ""},
		"what an image is called":   {map[string]string{"l.json": `{"00000/img00000000": 0, "img00000001": 5}`}, "l.json", "[0 5 ]", 6, ""},
		"EDM's as a file":           {map[string]string{"l.json": json}, "l.json", "[6 0 2]", 7, ""},
		"one label for all numbers": {map[string]string{"l.csv": "img00000000,7\nimg00000001,x\n"}, "l.csv", "[7 x ]", 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := picturesOf(t, t.TempDir(), edm, c.beside)
			labels := c.labels
			if c.beside[labels] != "" {
				labels = filepath.Join(dir, labels)
			}
			d, err := Open(dir, Options{Labels: labels})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			got := classesOf(t, d)
			if fmt.Sprint(got) != c.want || len(d.Classes()) != c.number {
				t.Errorf("%v of %d classes, want %s of %d", got, len(d.Classes()), c.want, c.number)
			}
			if notes := strings.Join(Notes(d), "; "); !strings.Contains(notes, c.note) {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
			f, total := d.Fingerprint(), 0
			for _, n := range f.Counts {
				total += n
			}
			if want := len(slices.DeleteFunc(got, func(s string) bool { return s == "" })); total != want || len(f.Classes) != c.number {
				t.Errorf("fingerprint %+v of %d labels", f, want)
			}
		})
	}
}

// TestLabelsRefused: files of labels that cannot be used are refused in one line.
func TestLabelsRefused(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"of other images":      {"l.csv", "a.png,1\nb.png,2\n", "labels no image of the set"},
		"of columns unnamed":   {"l.csv", "a,b,c\n1,2,3\n", "file_name"},
		"a short line":         {"l.csv", "label,file\n1,a.png\n3\n", "line 3"},
		"cut short":            {"l.json", `{"labels": [["a.png", 1], ["b`, "cannot be read"},
		"not pairs":            {"l.json", `{"labels": {"a": 1}}`, "no list"},
		"of one number":        {"l.json", "3", "want"},
		"a fraction":           {"l.json", `{"x.png": 0.5}`, "fraction"},
		"too many classes":     {"l.csv", "x.png,70000\n", "65535"},
		"an unknown ending":    {"l.txt", "x.png 1", "no file of labels"},
		"empty":                {"l.csv", "", "names none"},
		"deep":                 {"l.json", strings.Repeat("[", 1<<20), "cannot be read"},
		"dataset.json cut":     {"dataset.json", `{"labels": [["x.png", 1`, "dataset.json"},
		"dataset.json, others": {"dataset.json", `{"labels": [["y.png", 1]]}`, "labels no image"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := picturesOf(t, t.TempDir(), []string{"x.png"}, map[string]string{c.file: c.text})
			o := Options{Labels: filepath.Join(dir, c.file)}
			if c.file == edmLabels {
				o.Labels = AutoLabels
			}
			_, err := Open(dir, o)
			wellPut(t, err)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// FuzzLabels: any bytes as a file of labels.
func FuzzLabels(f *testing.F) {
	for _, seed := range []string{"file_name,label\na,1\n", `{"labels": [["a", 1]]}`, `{"a": "b"}`, `[{"file": "a"}]`, `{"labels": null}`, "\"", "[[[[", "image,x,y\na,1,2\n", "1\n2\n", `[["a", [1, 0.5]], ["b", null]]`, "[1, 2]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, name := range []string{"a.csv", "a.json"} {
			parse := &labelParser{numbers: true}
			if marks, err := parse.read(name, strings.NewReader(string(file))); err == nil {
				if n, err := newNumbers(parse.names, marks); err == nil && (n.width() != len(n.From) || n.Of(n.images-1) != nil && len(n.Of(n.images-1)) != n.width()) {
					t.Fatalf("numbers %+v", n)
				}
			}
			marks, err := readMarks(name, strings.NewReader(string(file)))
			if err != nil {
				continue
			}
			if texts, _, err := matchLabels(marks, 3, func(i int) string { return string(rune('a' + i)) }); err == nil {
				if labels, classes, err := classify(texts); err == nil && int(slices.Max(labels)) >= len(classes) {
					t.Fatalf("labels %v of %d classes", labels, len(classes))
				}
			}
		}
	})
}
