package data

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Values of Options.Labels that are no files.
const (
	AutoLabels   = "auto"    // what the set brings, else its folders
	FolderLabels = "folders" // sub-folders, whatever lies beside the pictures
	NoLabels     = "none"
)

// maxLabelFile bounds a file of labels, in bytes.
const maxLabelFile = 256 << 20

// mark is an image's label in a file of labels.
type mark struct {
	image   string    // its name
	label   string    // a whole number, or text; "" is none
	numbers []float32 // instead of a label; nil is none
}

// vectorError is labels that are more than a class.
type vectorError struct{ image string }

func (e *vectorError) Error() string {
	return fmt.Sprintf("%q has a label of several numbers, or of a fraction; want one whole number or name for each image", e.image)
}

// labelled is a set with other labels.
type labelled struct {
	Dataset
	labels  []int32 // −1: none
	classes []string
	numbers *Numbers // instead of classes; nil: none
	notes   []string
}

// without is a set without labels.
func without(d Dataset) *labelled {
	l := &labelled{Dataset: d, labels: make([]int32, d.Len())}
	for i := range l.labels {
		l.labels[i] = -1
	}
	return l
}

// openLabels opens a file of labels.
func openLabels(path string) (source, error) {
	r, err := openRegular(path)
	if err != nil {
		return nil, &Error{Path: path, Problem: "cannot be opened as a file of labels; want folders, none, FILE.csv or FILE.json, or numbers:FILE", Err: err}
	}
	return r, nil
}

// relabelled gives a set the labels that are asked for.
func relabelled(d Dataset, o Options) (Dataset, error) {
	switch d.(type) {
	case *paired, *listed: // their images were labelled when they were opened
		return d, nil
	}
	switch o.Labels {
	case "", AutoLabels, FolderLabels:
		return d, nil
	case NoLabels:
		return without(d), nil
	}
	if file, ok := isNumbers(o.Labels); ok {
		return withNumbers(d, file)
	}
	r, err := openLabels(o.Labels)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	marks, err := readMarks(o.Labels, r)
	if vector := (*vectorError)(nil); errors.As(err, &vector) {
		err = &Error{Path: o.Labels, Problem: vector.Error() + ", or --labels numbers:FILE, which takes numbers as they are"}
	}
	if err != nil {
		return nil, err
	}
	texts, notes, err := matchLabels(marks, d.Len(), func(i int) string { return NameOf(d, i) })
	if err != nil {
		return nil, &Error{Path: o.Labels, Problem: err.Error()}
	}
	l := &labelled{Dataset: d, notes: notes}
	if l.labels, l.classes, err = classify(texts); err != nil {
		return nil, &Error{Path: o.Labels, Problem: err.Error()}
	}
	return l, nil
}

func (l *labelled) Classes() []string { return l.classes }
func (l *labelled) Notes() []string   { return slices.Concat(Notes(l.Dataset), l.notes) }

func (l *labelled) Read(i int, e *Example) error {
	err := l.Dataset.Read(i, e)
	e.Class = int(l.labels[i])
	return err
}

// Fingerprint is that of the set, with these labels.
func (l *labelled) Fingerprint() Fingerprint {
	p := l.Dataset.Fingerprint()
	p.Classes, p.Counts = l.classes, make([]int, len(l.classes))
	before := p.Digest
	p.Digest = digest(func(h hash.Hash) {
		fmt.Fprintln(h, before)
		for _, c := range l.labels {
			if c >= 0 {
				p.Counts[c]++
			}
			fmt.Fprintln(h, c)
		}
		if l.numbers != nil {
			l.numbers.hash(h)
		}
	})
	return p
}

// classify makes classes of labels: the numbers 0, 1, … up to the largest where all are
// whole numbers, and else their texts in order. An empty text is no class.
func classify(texts []string) (labels []int32, classes []string, err error) {
	labels = make([]int32, len(texts))
	most, whole := -1, true
	for i, t := range texts {
		n := -1
		if t != "" && whole {
			n, err = strconv.Atoi(t)
			whole = err == nil
		}
		if whole && (n < -1 || n > maxLabel) {
			return nil, nil, fmt.Errorf("image %d has the label %d; want %d at most, and −1 for none", i, n, maxLabel)
		}
		labels[i], most = int32(n), max(most, n)
	}
	if whole {
		return labels, numbers(1 + most), nil
	}
	of := map[string]int32{}
	for _, t := range texts {
		if t != "" {
			of[t] = 0
		}
	}
	for t := range of {
		classes = append(classes, t)
	}
	if len(classes) > maxLabel {
		return nil, nil, fmt.Errorf("there are %d labels that differ; want %d at most", len(classes), maxLabel)
	}
	slices.Sort(classes)
	for i, t := range classes {
		of[t] = int32(i)
	}
	for i, t := range texts {
		if labels[i] = -1; t != "" {
			labels[i] = of[t]
		}
	}
	return labels, classes, nil
}

// forms are the ways in which files of labels call images: by path, by path without its
// ending, by name, by name without its ending.
var forms = []func(string) string{
	func(s string) string { return s },
	func(s string) string { return strings.TrimSuffix(s, path.Ext(s)) },
	path.Base,
	func(s string) string { return strings.TrimSuffix(path.Base(s), path.Ext(s)) },
}

// matchLabels finds the label of each of n images, "" where there is none.
func matchLabels(marks []mark, n int, name func(i int) string) (texts []string, notes []string, err error) {
	of, notes, err := matchMarks(marks, n, name)
	for _, m := range of {
		texts = append(texts, m.label)
	}
	return texts, notes, err
}

// matchMarks finds the mark of each of n images, an empty one where there is none, in the
// form that fits most of them.
func matchMarks(marks []mark, n int, name func(i int) string) (of []mark, notes []string, err error) {
	most := 0
	for _, form := range forms {
		called := make(map[string]int, n)
		for i := range n {
			s := strings.TrimPrefix(form(name(i)), "#") // of images by number
			if _, twice := called[s]; twice {
				i = -1 // of two of a name none is meant
			}
			called[s] = i
		}
		found, list := 0, make([]mark, n)
		for _, m := range marks {
			if i, ok := called[strings.TrimPrefix(form(cleanName(m.image)), "#")]; ok && i >= 0 {
				found++
				list[i] = m
			}
		}
		if found > most {
			most, of = found, list
		}
		if most == len(marks) {
			break
		}
	}
	if most == 0 {
		example := "it names none"
		if len(marks) > 0 {
			example = fmt.Sprintf("it names %.60q", marks[0].image)
		}
		return nil, nil, fmt.Errorf("labels no image of the set: %s, and the first image is %.60q", example, name(0))
	}
	if beside := len(marks) - most; beside > 0 {
		notes = append(notes, fmt.Sprintf("labels of %s that the set does not have, or of two of one name, were left out", count(beside, "image")))
	}
	without := 0
	for _, m := range of {
		if m.label == "" && m.numbers == nil {
			without++
		}
	}
	if without > 0 {
		notes = append(notes, "without a label: "+count(without, "image"))
	}
	return of, notes, nil
}

// cleanName is a path as sets have it.
func cleanName(s string) string {
	return path.Clean("/" + strings.ReplaceAll(s, `\`, "/"))[1:]
}

// edmLabels is the file of labels beside the pictures of EDM.
const edmLabels = "dataset.json"

// take gives the pictures the labels of a file of EDM's that lies beside them.
func (f *files) take(beside entry) error {
	r, err := f.reader(beside)
	if err != nil {
		return err
	}
	defer r.Close()
	name := f.root + beside.path
	begin := bufio.NewReaderSize(r, 4<<10)
	if head, _ := begin.Peek(4 << 10); !bytes.Contains(head, []byte(`"labels"`)) { // what is short is read below
		f.notes = append(f.notes, beside.path+` has no "labels", as EDM's has: it is left out`)
		return nil
	}
	marks, err := readMarks(name, begin)
	f.apart = true
	if vector := (*vectorError)(nil); errors.As(err, &vector) || err == nil && len(marks) == 0 {
		note := beside.path + " says that the pictures have no labels"
		if vector != nil {
			note = beside.path + ": " + vector.Error() + "; the pictures are taken without labels"
		}
		note += " (--labels folders takes the folders"
		if vector != nil {
			note += ", --labels numbers these numbers"
		}
		f.notes = append(f.notes, note+")")
		return f.mark(make([]string, len(f.entries)))
	}
	if err != nil {
		return err
	}
	texts, notes, err := matchLabels(marks, len(f.entries), func(i int) string { return f.entries[i].path })
	if err == nil {
		f.notes = append(append(f.notes, "labels are those of "+beside.path+" (--labels folders takes the folders)"), notes...)
		err = f.mark(texts)
	}
	if err != nil {
		return &Error{Path: name, Problem: err.Error() + "; --labels folders or none leaves it out"}
	}
	return nil
}

// mark gives the pictures labels that are not what their paths say.
func (f *files) mark(texts []string) error {
	labels, classes, err := classify(texts)
	if err != nil {
		return err
	}
	f.apart, f.classes = true, classes
	for i, c := range labels {
		f.entries[i].label = int(c)
	}
	return nil
}

// labelEndings are those of files of labels.
var labelEndings = []string{".csv", ".tsv", ".json", ".jsonl"}

// readMarks reads a file of labels by the ending of its name.
func readMarks(name string, r io.Reader) ([]mark, error) { return (&labelParser{}).read(name, r) }

func (p *labelParser) read(name string, r io.Reader) (marks []mark, err error) {
	bounded := &io.LimitedReader{R: r, N: maxLabelFile + 1}
	switch ext := strings.ToLower(filepath.Ext(name)); {
	case !slices.Contains(labelEndings, ext):
		return nil, &Error{Path: name, Problem: "is no file of labels; want folders, none, FILE.csv or FILE.json, or numbers:FILE"}
	case ext == ".csv" || ext == ".tsv":
		marks, err = p.csv(bounded, ext == ".tsv")
	default:
		marks, err = p.json(bounded)
	}
	vector := (*vectorError)(nil)
	switch {
	case bounded.N <= 0:
		err = fmt.Errorf("it has more than %d MiB", maxLabelFile>>20)
	case len(marks) > maxFiles:
		err = fmt.Errorf("it has more than %d labels", maxFiles)
	case errors.As(err, &vector):
		return nil, err
	}
	if err != nil {
		return nil, &Error{Path: name, Problem: "cannot be read as labels", Err: err}
	}
	return marks, nil
}

// column of a table by the names that it goes by; −1 where there is none.
func column(header []string, names ...string) int {
	for _, n := range names {
		if i := slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), n) }); i >= 0 {
			return i
		}
	}
	return -1
}

var (
	imageColumns = []string{"file_name", "filename", "file", "path", "image", "image_id", "name", "index", "id", "key", "__key__"}
	labelColumns = []string{"label", "class", "labels", "class_id", "class_name", "category", "target", "cls", "y", "fine_label"}
)

// labelText is a label as text; whole numbers of floats lose their point.
func labelText(s string) string {
	s = strings.TrimSpace(s)
	if x, err := strconv.ParseFloat(s, 64); err == nil && x == float64(int64(x)) {
		s = strconv.FormatInt(int64(x), 10)
	}
	if s == "-1" {
		return ""
	}
	return s
}
