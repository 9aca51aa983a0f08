package data

import (
	"cmp"
	"fmt"
	"hash"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// NumberLabels is the value of Options.Labels that takes labels as numbers: those that the
// set brings, or, with a colon and a file or columns behind it, those of the file or columns.
const NumberLabels = "numbers"

// Numbers are labels that are no classes: some numbers of each image, such as an age
// (regression), or attributes.
type Numbers struct {
	Names    []string
	From, To []float32 // the least and the largest of each
	images   int
	values   []float32 // images × names; NaN of images that have none
}

// Bounds of such labels.
const (
	maxNumbers      = 1 << 12 // of an image
	maxNumberValues = 1 << 28 // of a set
)

// Images is how many there are.
func (n *Numbers) Images() int { return n.images }

// Of returns those of image i; nil: it has none.
func (n *Numbers) Of(i int) []float32 {
	of := n.values[i*len(n.Names):][:len(n.Names)]
	if of[0] != of[0] {
		return nil
	}
	return of
}

// put writes those of image i, or NaN.
func (n *Numbers) put(i int, to []float32) {
	if n != nil {
		copy(to, n.values[i*len(n.Names):])
	}
}

// width is how many there are of an image; n may be nil.
func (n *Numbers) width() int {
	if n == nil {
		return 0
	}
	return len(n.Names)
}

// NumbersOf are the numbers of the images of a set; nil: its labels are none, or classes.
func NumbersOf(d Dataset) *Numbers {
	switch of := d.(type) {
	case *cache:
		return NumbersOf(of.Dataset)
	case *paired:
		return NumbersOf(of.Dataset)
	case *bucketed:
		return NumbersOf(of.Dataset)
	case *labelled:
		return of.numbers
	case *pairs:
		return of.numbers
	case ordered:
		return NumbersOf(of.Dataset).choose(of.of)
	case subset:
		return NumbersOf(of.Dataset).choose(of.numbers)
	}
	return nil
}

// choose returns those of some images.
func (n *Numbers) choose(images []int) *Numbers {
	if n == nil {
		return nil
	}
	some := &Numbers{Names: n.Names, images: len(images)}
	for _, i := range images {
		some.values = append(some.values, n.values[i*len(n.Names):][:len(n.Names)]...)
	}
	some.measure()
	return some
}

// newNumbers makes numbers of marks, of which those without any are of images that have none.
func newNumbers(names []string, marks []mark) (*Numbers, error) {
	width := len(names)
	for _, m := range marks {
		width = max(width, len(m.numbers))
	}
	if names == nil {
		for i := range width {
			names = append(names, fmt.Sprint(i))
		}
	}
	switch {
	case width == 0:
		return nil, fmt.Errorf("has no numbers; want one or more for each image")
	case width > maxNumbers || len(marks) > maxNumberValues/width:
		return nil, fmt.Errorf("has %d numbers for each of %s; want at most %d, and %d of all", width, count(len(marks), "image"), maxNumbers, maxNumberValues)
	}
	n := &Numbers{Names: names, images: len(marks), values: make([]float32, width*len(marks))}
	for i, m := range marks {
		to := n.values[i*width:][:width]
		switch len(m.numbers) {
		case width:
			copy(to, m.numbers)
		case 0:
			for k := range to {
				to[k] = float32(math.NaN())
			}
		default:
			return nil, fmt.Errorf("has %d numbers for %.60q, and %d for others; want as many for each", len(m.numbers), m.image, width)
		}
	}
	if !n.measure() {
		return nil, fmt.Errorf("has numbers for no image of the set")
	}
	return n, nil
}

// measure finds the range of each number; false: no image has any.
func (n *Numbers) measure() (there bool) {
	n.From, n.To = make([]float32, len(n.Names)), make([]float32, len(n.Names))
	for i := range n.images {
		for k, x := range n.Of(i) {
			if !there {
				n.From[k], n.To[k] = x, x
			} else {
				n.From[k], n.To[k] = min(n.From[k], x), max(n.To[k], x)
			}
		}
		there = there || n.Of(i) != nil
	}
	return there
}

// number takes a number as one of float32.
func number(v float64) (float32, bool) {
	x := float32(v)
	return x, x-x == 0
}

// withNumbers gives a set numbers as labels: of a file, or those that it brings.
func withNumbers(d Dataset, file string) (Dataset, error) {
	var of *Numbers
	var notes []string
	var err error
	if set, ok := stored(d).(*files); ok && set.brought != nil {
		file, of = cmp.Or(file, strings.TrimSuffix(set.root, shardMark)), set.brought
	} else if columns, ok := columnsOf(NumberLabels + ":" + file); ok {
		file, of, notes, err = broughtNumbers(d, columns)
	} else {
		of, notes, err = numbersOfFile(file, d)
	}
	if bad := asData(err, file); bad != nil {
		return nil, bad
	}
	l := without(d)
	l.numbers, l.notes = of, append([]string{fmt.Sprintf("labels are the numbers of %s: %s", filepath.Base(file), of)}, notes...)
	return l, nil
}

// asData is an error as one of a file.
func asData(err error, file string) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(*Error); ok {
		return err
	}
	return &Error{Path: file, Problem: err.Error()}
}

// String lists the numbers with their ranges.
func (n *Numbers) String() string {
	const most = 8
	var parts []string
	for k, name := range n.Names[:min(most, len(n.Names))] {
		parts = append(parts, fmt.Sprintf("%s %.6g to %.6g", name, n.From[k], n.To[k]))
	}
	if more := len(n.Names) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}

// broughtNumbers are those that a set without columns brings, and where they lie; of a .npz an
// array goes by its name, too.
func broughtNumbers(d Dataset, named []string) (file string, of *Numbers, notes []string, err error) {
	switch set := stored(d).(type) {
	case *files:
		if named != nil {
			return strings.Join(named, ","), nil, nil, fmt.Errorf("is no file of labels, and the set has no columns; want numbers:FILE.csv or numbers:FILE.json")
		}
		if set.beside == nil {
			return set.root, nil, nil, fmt.Errorf("has no %s with labels; want numbers:FILE.csv or numbers:FILE.json", edmLabels)
		}
		r, err := set.reader(*set.beside)
		if err != nil {
			return set.root, nil, nil, err
		}
		defer r.Close()
		file = set.root + set.beside.path
		of, notes, err = matchNumbers(file, r, d)
		return file, of, notes, err
	case *arrays:
		of, err = set.numbers(named)
		return set.path, of, nil, err
	}
	return d.Name(), nil, nil, fmt.Errorf("brings no numbers; want numbers:FILE.csv or numbers:FILE.json")
}

// numbers are the array of labels of a .npz, or another of it: one number of each image, or some.
func (d *arrays) numbers(named []string) (*Numbers, error) {
	if !strings.EqualFold(filepath.Ext(d.path), ".npz") {
		return nil, fmt.Errorf("is an array without labels; want a .npz with some, or numbers:FILE.csv")
	}
	images := d.images.shape[0]
	names := labelNames
	if named != nil {
		names = []string{strings.Join(named, ",")}
	}
	for _, name := range names {
		shape, values, there, err := ReadNPZFloats(d.path, name, maxNumberValues)
		if err != nil {
			return nil, err
		}
		if !there {
			continue
		}
		if len(shape) == 1 {
			shape = append(shape, 1)
		}
		if len(shape) != 2 || shape[0] != images || shape[1] < 1 || shape[1] > maxNumbers {
			return nil, fmt.Errorf("has labels of shape %v for %s; want one number of each, or some", shape, count(images, "image"))
		}
		n := &Numbers{images: images, values: values}
		text, err := ReadNPZText(d.path, numberNamesArray)
		if err != nil {
			return nil, err
		}
		if n.Names = strings.Split(text, "\n"); len(n.Names) != shape[1] || text == "" {
			n.Names = numbers(shape[1])
		}
		if named != nil {
			n.Names = columnNames(name, shape[1])
		}
		return n, n.tidy()
	}
	if named != nil {
		return nil, fmt.Errorf("holds no array called %s; want numbers:ARRAY, or numbers:FILE.csv", names[0])
	}
	return nil, fmt.Errorf("holds no labels; want an array called labels, numbers:ARRAY of another, or numbers:FILE.csv")
}

// tidy makes all numbers of an image NaN that has one, and measures; it refuses infinities.
func (n *Numbers) tidy() error {
	for i := range n.images {
		of := n.values[i*len(n.Names):][:len(n.Names)]
		none := slices.ContainsFunc(of, func(x float32) bool { return x != x })
		for k, x := range of {
			if x-x != 0 && !none {
				return fmt.Errorf("has the label %v of image %d; want numbers that are finite, or NaN for none", x, i)
			}
			if none {
				of[k] = float32(math.NaN())
			}
		}
	}
	if !n.measure() {
		return fmt.Errorf("has labels of no image")
	}
	return nil
}

// hash writes the numbers, for a fingerprint.
func (n *Numbers) hash(h hash.Hash) {
	for i, name := range n.Names {
		fmt.Fprintf(h, "%q %g %g\n", name, n.From[i], n.To[i])
	}
	for part := range slices.Chunk(n.values, 1<<10) {
		b := make([]byte, 0, 4<<10)
		for _, x := range part {
			bits := math.Float32bits(x)
			b = append(b, byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24))
		}
		h.Write(b)
	}
}
