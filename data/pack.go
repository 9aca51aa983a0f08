package data

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The arrays of a packed set that other .npz need not have: the names of the classes, or of
// labels that are numbers, a line each, and, where floats are pictures, that they are.
const (
	namesArray       = "class_names"
	numberNamesArray = "label_names" // of labels that are numbers
	rangeArray       = "range"
)

// Pack writes images of a set, by their numbers, as a .npz that is read where it lies:
// images, labels and the names of classes. The same images give the same bytes. told is
// how many were written. What is written is decoded a part at a time, on all processors.
func Pack(ctx context.Context, w io.Writer, d Dataset, numbers []int, told func(images int)) error {
	if len(numbers) == 0 {
		return errors.New("no image is left to be packed")
	}
	if Inputs(d) != nil {
		return &Error{Path: d.Name(), Problem: "is of two sets; pack each of them"}
	}
	r := &Resident{data: subset{d, numbers}, classes: make([]int32, len(numbers)), noise: make([]int64, len(numbers)), errs: make([]error, len(numbers))}
	z := zip.NewWriter(w)
	height, width, channels := d.Shape()
	size := ValuesOf(d)
	m, err := z.CreateHeader(&zip.FileHeader{Name: imageNames[0] + ".npy", Method: zip.Store})
	if err == nil {
		err = writeNpyHeader(m, map[Kind]string{Bytes: "|u1", Floats: "<f4"}[d.Kind()], []int{len(numbers), height, width, channels})
	}
	if err != nil {
		return err
	}
	chunk := max(1, chunkBytes/size/d.Kind().Size())
	pixels := NewPixels(d.Kind(), min(chunk, len(numbers))*size)
	for first := 0; first < len(numbers); first += chunk {
		part := pixels.Slice(0, min(chunk, len(numbers)-first)*size)
		if err := r.decode(ctx, first, part.Len()/size, part, Pixels{}); err != nil {
			return err
		}
		if err := errors.Join(r.errs[first : first+part.Len()/size]...); err != nil {
			return firstOf(r.errs[first:])
		}
		if _, err := m.Write(part.Bytes); err != nil {
			return err
		}
		if err := inParts(part.Floats)(m); err != nil {
			return err
		}
		told(first + part.Len()/size)
	}
	for _, a := range r.beside() {
		m, err := z.CreateHeader(&zip.FileHeader{Name: a.Name + ".npy", Method: zip.Store})
		if err == nil {
			err = WriteNPY(m, a)
		}
		if err != nil {
			return err
		}
	}
	return z.Close()
}

func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// beside are the arrays beside the images.
func (r *Resident) beside() (arrays []Array) {
	if classes := r.data.Classes(); classes != nil {
		labels := make([]int64, len(r.classes))
		for i, c := range r.classes {
			labels[i] = int64(c)
		}
		arrays = append(arrays, Array{Name: labelNames[0], Shape: []int{len(labels)}, Integers: labels}, Array{Name: namesArray, Text: inLines(classes)})
	}
	if n := NumbersOf(r.data); n != nil {
		arrays = append(arrays, Array{Name: labelNames[0], Shape: []int{n.images, n.width()}, Floats: n.values}, Array{Name: numberNamesArray, Text: inLines(n.Names)})
	}
	for _, n := range r.noise {
		if n != Own {
			arrays = append(arrays, Array{Name: noiseNames[0], Shape: []int{len(r.noise)}, Integers: r.noise})
			break
		}
	}
	if r.data.Kind() == Floats && Pictures(r.data) {
		arrays = append(arrays, Array{Name: rangeArray, Text: "-1,1"})
	}
	return arrays
}

// inLines is names in a text, a line each.
func inLines(names []string) string {
	lines := make([]string, len(names))
	for i, name := range names {
		lines[i] = strings.ReplaceAll(name, "\n", " ") // which a folder's name may hold
	}
	return strings.Join(lines, "\n")
}

// Subset is some images of a set, by their numbers.
func Subset(d Dataset, numbers []int) Dataset { return subset{d, numbers} }

// subset is some images of a set.
type subset struct {
	Dataset
	numbers []int
}

func (s subset) Len() int                     { return len(s.numbers) }
func (s subset) Read(i int, e *Example) error { return s.Dataset.Read(s.numbers[i], e) }

// classNames takes the names of the classes that Pack wrote.
func (d *arrays) classNames(members map[string]*zip.File) error {
	text, err := ReadNPZText(d.path, namesArray)
	if err != nil || members[namesArray] == nil {
		return err
	}
	names := strings.Split(text, "\n")
	if len(names) < len(d.classes) {
		return &Error{Path: d.path + "!" + namesArray + ".npy", Problem: fmt.Sprintf("names %d classes of %d", len(names), len(d.classes))}
	}
	d.classes = names
	return nil
}
