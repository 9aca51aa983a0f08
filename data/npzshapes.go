package data

import (
	"archive/zip"
	"fmt"
	"regexp"
	"strconv"
)

// Images of several shapes lie in a .npz as an array for each shape, called images_48x32, with the
// array sizes: height and width of each image in order, which is the next of its array. Without
// sizes one array follows the other.

const sizesArray = "sizes"

var shapedName = regexp.MustCompile(`^` + imageNames[0] + `_([1-9]\d{0,4})x([1-9]\d{0,4})$`)

func shapedArray(s Size) string { return fmt.Sprintf("%s_%dx%d", imageNames[0], s.Height, s.Width) }

// shapedSizes are those that a .npz has arrays of, in the order of Buckets.
func shapedSizes(members map[string]*zip.File) (sizes []Size) {
	for name := range members {
		if m := shapedName.FindStringSubmatch(name); m != nil {
			height, _ := strconv.Atoi(m[1])
			width, _ := strconv.Atoi(m[2])
			sizes = append(sizes, Size{height, width})
		}
	}
	return inOrder(sizes)
}

// readShaped opens the arrays of several shapes, and returns the names of those that it has used.
func (d *arrays) readShaped(members map[string]*zip.File, sizes []Size) (used []string, err error) {
	images := 0
	for _, s := range sizes {
		name := shapedArray(s)
		used = append(used, name)
		one := arrays{path: d.path}
		if one.images, err = d.member(members[name]); err == nil {
			err = one.takeShape()
		}
		if err != nil {
			return nil, err
		}
		if d.shaped == nil {
			d.images, d.shape = one.images, one.shape
		}
		if a, b := d.images.typeText(), one.images.typeText(); a != b || one.shape != (shape{s.Height, s.Width, d.shape.channels}) {
			return nil, &Error{Path: one.images.name, Problem: fmt.Sprintf("is %s of shape %s; want %s of images of %d×%d×%d, as its name and the other arrays say", b, one.images.shapeText(), a, s.Height, s.Width, d.shape.channels)}
		}
		d.shaped = append(d.shaped, one.images)
		images += one.Len()
	}
	all, err := d.shapesOf(members[sizesArray], sizes, images)
	if err != nil {
		return nil, err
	}
	d.buckets = newBuckets(sizes, all)
	s := largest(sizes)
	d.shape.height, d.shape.width = s.Height, s.Width
	d.images.npyHeader.shape = []int{images, s.Height, s.Width, d.shape.channels}
	return append(used, sizesArray), d.buckets.check(d.path)
}

// shapesOf says which of the sizes each image has.
func (d *arrays) shapesOf(m *zip.File, sizes []Size, images int) (all []int, err error) {
	if images > maxFiles {
		return nil, &Error{Path: d.path, Problem: fmt.Sprintf("holds %d images; want at most %d", images, maxFiles)}
	}
	if m == nil {
		for k, a := range d.shaped {
			for range a.npyHeader.shape[0] {
				all = append(all, k)
			}
		}
		return all, nil
	}
	list, err := d.column(m, MaxSide, "heights and widths")
	if err != nil {
		return nil, err
	}
	of, has := map[Size]int{}, make([]int, len(sizes))
	for k, s := range sizes {
		of[s] = k
	}
	for ; len(list) >= 2 && len(all) <= images; list = list[2:] {
		k, ok := of[Size{int(list[0]), int(list[1])}]
		if !ok {
			return nil, &Error{Path: d.path + "!" + m.Name, Problem: fmt.Sprintf("says that image %d is of %d×%d, and there is no array %s", len(all), list[0], list[1], shapedArray(Size{int(list[0]), int(list[1])}))}
		}
		all, has[k] = append(all, k), has[k]+1
	}
	for k, a := range d.shaped {
		if n := a.npyHeader.shape[0]; n != has[k] || len(list) > 0 {
			return nil, &Error{Path: d.path + "!" + m.Name, Problem: fmt.Sprintf("is of %d images of %v, and %s holds %d; want height and width of each image", has[k], sizes[k], shapedArray(sizes[k]), n)}
		}
	}
	return all, nil
}

// element says in which array image i lies, as which of it, and its size.
func (d *arrays) element(i int) (a npyArray, at int, size Size) {
	if d.buckets == nil {
		return d.images, i, Size{d.shape.height, d.shape.width}
	}
	k := d.buckets.of[i]
	return d.shaped[k], d.buckets.place(i), d.buckets.Sizes[k]
}

func (d *arrays) inBuckets() *Buckets { return d.buckets }
