package data

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/data/pickle"
)

// cifarSide is the side of the images of CIFAR: planes of red, green and blue.
const cifarSide = 32

// cifarLayout is the files of CIFAR-10 or CIFAR-100, as pickles of Python's or as bytes.
type cifarLayout struct {
	name    string
	folder  string // of the archive
	parts   map[string][]string
	ending  string
	names   string // file of the classes' names
	beside  int    // bytes before the label, in files of bytes
	labels  string // in pickles
	classes string
}

var (
	tenParts     = map[string][]string{"train": {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"}, "test": {"test_batch"}}
	hundredParts = map[string][]string{"train": {"train"}, "test": {"test"}}
	cifarLayouts = []cifarLayout{
		{"cifar10", "cifar-10-batches-py", tenParts, "", "batches.meta", 0, "labels", "label_names"},
		{"cifar10", "cifar-10-batches-bin", tenParts, ".bin", "batches.meta.txt", 0, "", ""},
		{"cifar100", "cifar-100-python", hundredParts, "", "meta", 0, "fine_labels", "fine_label_names"},
		{"cifar100", "cifar-100-binary", hundredParts, ".bin", "fine_label_names.txt", 1, "", ""}, // the coarse label comes first
	}
)

// openCIFAR opens cifar:DIR, and cifar:DIR#test: the files of CIFAR-10 or CIFAR-100 lie in
// the folder or in that of their archive below it.
func openCIFAR(spec string, o Options) (Dataset, error) {
	dir, ok := strings.CutPrefix(spec, "cifar:")
	if !ok {
		return nil, nil
	}
	dir, part, chosen := strings.Cut(dir, "#")
	if !chosen {
		part = "train"
	}
	if tenParts[part] == nil {
		return nil, &Error{Path: spec, Problem: fmt.Sprintf("has no part %q; want train or test", part)}
	}
	for _, at := range []string{"", "folder"} {
		for _, l := range cifarLayouts {
			below := dir
			if at != "" {
				below = filepath.Join(dir, l.folder)
			}
			if info, err := os.Stat(filepath.Join(below, l.parts[part][0]+l.ending)); err != nil || info.IsDir() {
				continue
			}
			d, err := l.read(below, part)
			if err != nil {
				return nil, err
			}
			d.ask(o)
			return d, nil
		}
	}
	return nil, &Error{Path: dir, Problem: fmt.Sprintf("holds no %s_batch_1 or %s.bin of CIFAR-10 or CIFAR-100, as pickles or as bytes; want the folder of the unpacked archive", strings.Replace(part, "train", "data", 1), part)}
}

// read reads all files of a part.
func (l cifarLayout) read(dir, part string) (*block, error) {
	d := &block{name: l.name, stored: shape{cifarSide, cifarSide, 3}}
	for _, name := range l.parts[part] {
		path := filepath.Join(dir, name+l.ending)
		planes, labels, err := l.batch(path)
		if err != nil {
			return nil, err
		}
		d.labels = append(d.labels, labels...)
		d.pixels = interleave(d.pixels, planes)
	}
	classes, err := l.classNames(filepath.Join(dir, l.names))
	if errors.Is(err, fs.ErrNotExist) {
		classes = numbers(map[string]int{"cifar10": 10, "cifar100": 100}[l.name])
		d.notes = append(d.notes, l.names+" is not there: classes are called by their numbers")
	} else if err != nil {
		return nil, err
	}
	for i, c := range d.labels {
		if int(c) >= len(classes) {
			return nil, &Error{Path: dir, Problem: fmt.Sprintf("label %d of image %d is out of range, want 0 to %d", c, i, len(classes)-1)}
		}
	}
	d.classes = classes
	return d, nil
}

// interleave appends planes of images, HWC.
func interleave(to, planes []byte) []byte {
	const n = cifarSide * cifarSide
	at := len(to)
	to = append(to, planes...)
	for image := 0; image < len(planes); image += 3 * n {
		for p := range n {
			for c := range 3 {
				to[at+image+3*p+c] = planes[image+c*n+p]
			}
		}
	}
	return to
}

// batch reads a file: planes of images, and their labels.
func (l cifarLayout) batch(path string) (planes, labels []byte, err error) {
	whole, err := readWhole(path, maxUnpacked)
	if err != nil {
		return nil, nil, err
	}
	if l.ending == "" {
		planes, labels, err = l.unpickle(whole)
	} else {
		planes, labels, err = l.records(whole)
	}
	if err == nil && len(labels) == 0 {
		err = errors.New("holds no images")
	}
	if err != nil {
		return nil, nil, &Error{Path: path, Problem: "is not that of CIFAR", Err: err}
	}
	return planes, labels, nil
}

// records reads a label and three planes for each image.
func (l cifarLayout) records(whole []byte) (planes, labels []byte, err error) {
	const n = 3 * cifarSide * cifarSide
	size := l.beside + 1 + n
	if len(whole)%size != 0 {
		return nil, nil, fmt.Errorf("%d bytes, want a multiple of %d", len(whole), size)
	}
	for ; len(whole) > 0; whole = whole[size:] {
		labels = append(labels, whole[l.beside])
		planes = append(planes, whole[l.beside+1:size]...)
	}
	return planes, labels, nil
}

// unpickle reads a dictionary of an array and of labels. Nothing of it is run.
func (l cifarLayout) unpickle(whole []byte) (planes, labels []byte, err error) {
	batch, err := dictionary(whole)
	if err != nil {
		return nil, nil, err
	}
	a, isArray := entryOf(batch, "data").(*pickle.Array)
	list, isList := entryOf(batch, l.labels).(*pickle.List)
	if !isArray || !isList {
		return nil, nil, fmt.Errorf("want an array data and a list %s", l.labels)
	}
	n := len(list.Items)
	if a.Dtype != "U8" || a.Fortran || len(a.Shape) != 2 || a.Shape[0] != int64(n) || a.Shape[1] != 3*cifarSide*cifarSide {
		return nil, nil, fmt.Errorf("data of %s of shape %v for %d labels, want uint8 of shape [%d %d]", a.Dtype, a.Shape, n, n, 3*cifarSide*cifarSide)
	}
	for i, x := range list.Items {
		c, ok := x.(int64)
		if !ok || c < 0 || c > 255 {
			return nil, nil, fmt.Errorf("label %s of image %d", pickle.Kind(x), i)
		}
		labels = append(labels, byte(c))
	}
	return a.Data, labels, nil
}

func dictionary(pickled []byte) (*pickle.Dict, error) {
	v, err := pickle.Load(bufio.NewReader(bytes.NewReader(pickled)), func(any) (any, error) {
		return nil, errors.New("something that lies outside of the file")
	})
	if err != nil {
		return nil, err
	}
	d, ok := v.(*pickle.Dict)
	if !ok {
		return nil, fmt.Errorf("%s, want a dictionary", pickle.Kind(v))
	}
	return d, nil
}

// entryOf a dictionary, whose keys are bytes where Python 2 wrote it.
func entryOf(d *pickle.Dict, key string) any {
	for i, k := range d.Keys {
		if textOf(k) == key {
			return d.Values[i]
		}
	}
	return nil
}

func textOf(v any) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	s, _ := v.(string)
	return s
}

// classNames reads the names of the classes.
func (l cifarLayout) classNames(path string) (names []string, err error) {
	whole, err := readWhole(path, maxLabelValue)
	if err != nil {
		return nil, err
	}
	if l.ending == "" {
		meta, err := dictionary(whole)
		if err != nil {
			return nil, &Error{Path: path, Problem: "is not that of CIFAR", Err: err}
		}
		if list, ok := entryOf(meta, l.classes).(*pickle.List); ok {
			for _, x := range list.Items {
				names = append(names, textOf(x))
			}
		}
	} else {
		names = strings.Fields(string(whole))
	}
	if len(names) == 0 || len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
		return nil, &Error{Path: path, Problem: fmt.Sprintf("names %d classes, or one of them twice", len(names))}
	}
	return names, nil
}

// readWhole reads a file of so many bytes at most.
func readWhole(path string, most int64) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, &Error{Path: path, Problem: "cannot be opened", Err: err}
	}
	defer f.Close()
	whole, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, &Error{Path: path, Problem: "cannot be read to its end", Err: err}
	}
	if int64(len(whole)) > most {
		return nil, &Error{Path: path, Problem: fmt.Sprintf("has more than %d MiB", most>>20)}
	}
	return whole, nil
}
