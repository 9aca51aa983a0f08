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
// images, labels and the names of classes. Of several shapes each has an array of its own. The same images give the same bytes. told is
// how many were written. What is written is decoded a part at a time, on all processors.
func Pack(ctx context.Context, w io.Writer, d Dataset, numbers []int, told func(images int)) error {
	if len(numbers) == 0 {
		return errors.New("no image is left to be packed")
	}
	if Inputs(d) != nil {
		return &Error{Path: d.Name(), Problem: "is of two sets; pack each of them"}
	}
	r := newPacked(Subset(d, numbers))
	z := zip.NewWriter(w)
	done := 0
	for _, g := range groups(r.data) {
		err := r.writeImages(ctx, z, g, func(images int) { told(done + images) })
		if err != nil {
			return err
		}
		done += len(g.of)
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

// packGroup is images that become one array: those of a bucket, or all.
type packGroup struct {
	name string
	size Size  // zero: that of the set
	of   []int // places among the images that are packed
}

func groups(d Dataset) (all []packGroup) {
	b := BucketsOf(d)
	if b == nil {
		return []packGroup{{name: imageNames[0], of: spread(d.Len(), d.Len())}}
	}
	for k, s := range b.Sizes {
		g := packGroup{name: shapedArray(s), size: s}
		for _, i := range b.members[k] {
			g.of = append(g.of, int(i))
		}
		all = append(all, g)
	}
	return all
}

func newPacked(d Dataset) *Resident {
	return &Resident{data: d, classes: make([]int32, d.Len()), noise: make([]int64, d.Len()), errs: make([]error, d.Len())}
}

// writeImages writes an array of images, and keeps what is known of them beside their pixels.
func (r *Resident) writeImages(ctx context.Context, z *zip.Writer, g packGroup, told func(images int)) error {
	height, width, channels := r.data.Shape()
	if g.size != (Size{}) {
		height, width = g.size.Height, g.size.Width
	}
	size, kind := height*width*channels, r.data.Kind()
	m, err := z.CreateHeader(&zip.FileHeader{Name: g.name + ".npy", Method: zip.Store})
	if err == nil {
		err = writeNpyHeader(m, map[Kind]string{Bytes: "|u1", Floats: "<f4"}[kind], []int{len(g.of), height, width, channels})
	}
	if err != nil {
		return err
	}
	own := newPacked(subset{r.data, g.of})
	chunk := max(1, chunkBytes/size/kind.Size())
	pixels := NewPixels(kind, min(chunk, len(g.of))*size)
	for first := 0; first < len(g.of); first += chunk {
		n := min(chunk, len(g.of)-first)
		part := pixels.Slice(0, n*size)
		if err := own.decode(ctx, first, n, g.size, part, Pixels{}); err != nil {
			return err
		}
		if err := firstOf(own.errs[first : first+n]); err != nil {
			return err
		}
		if _, err := m.Write(part.Bytes); err != nil {
			return err
		}
		if err := inParts(part.Floats)(m); err != nil {
			return err
		}
		told(first + n)
	}
	for k, i := range g.of {
		r.classes[i], r.noise[i] = own.classes[k], own.noise[k]
	}
	return nil
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
	if b := BucketsOf(r.data); b != nil {
		a := Array{Name: sizesArray, Shape: []int{len(b.of), 2}}
		for i := range b.of {
			s := b.SizeOf(i)
			a.Integers = append(a.Integers, int64(s.Height), int64(s.Width))
		}
		arrays = append(arrays, a)
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
func Subset(d Dataset, numbers []int) Dataset { return inBuckets(subset{d, numbers}, d, numbers) }

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
