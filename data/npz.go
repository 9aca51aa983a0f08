package data

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// The arrays of a .npz are known by these names; images also by having more than one
// dimension, if there is one such array.
var (
	imageNames = []string{"images", "x", "latents", "samples", "data", "arr_0"}
	labelNames = []string{"labels", "label", "y", "classes", "arr_1"}
	noiseNames = []string{"noise"}
)

// maxLabel is the highest number of a class: there is a row of a table for each.
const maxLabel = 1<<16 - 1

// readNpz finds the arrays of a .npz, which is a zip of .npy files.
func (d *arrays) readNpz() error {
	members, err := npzMembers(d.path, d.file, d.size)
	if err != nil {
		return err
	}
	headers := map[string]npyHeader{}
	for name, m := range members {
		if h, r, err := openNpyMember(d.path, m); err == nil { // of what is not meant it does not matter
			headers[name] = h
			r.Close()
		}
	}
	used, err := d.find(members, headers)
	if err != nil {
		return err
	}
	if d.numbered { // which broughtNumbers reads
		used = append(append(used, labelNames...), numberNamesArray)
		headers = maps.Clone(headers)
		for _, name := range labelNames {
			delete(headers, name)
		}
	}
	for _, side := range []struct {
		names []string
		into  *[]int64
		most  int64
		what  string
	}{{labelNames, &d.labels, maxLabel, "classes, −1 for none"}, {noiseNames, &d.noise, 1<<62 - 1, "addresses of noise, −1 for an image's own"}} {
		for _, name := range side.names {
			h, ok := headers[name]
			if ok && (len(h.shape) != 1 || h.kind == 'f') {
				d.notes = append(d.notes, fmt.Sprintf("%s of %s are %s of shape %s, which is not what they could be: want whole numbers, one an image", name, filepath.Base(d.path), h.typeText(), h.shapeText()))
			}
			if !ok || len(h.shape) != 1 || h.kind == 'f' {
				continue
			}
			if h.shape[0] != d.images.shape[0] {
				return &Error{Path: d.path + "!" + name + ".npy", Problem: fmt.Sprintf("has the shape %s for the images of shape %s; want one number for each image", h.shapeText(), d.images.shapeText())}
			}
			if *side.into, err = d.column(members[name], side.most, side.what); err != nil {
				return err
			}
			used = append(used, name)
			break
		}
	}
	if d.labels != nil {
		d.classes = numbers(int(1 + slices.Max(d.labels)))
		if err := d.classNames(members); err != nil {
			return err
		}
		used = append(used, namesArray)
	}
	if members[rangeArray] != nil {
		text, err := ReadNPZText(d.path, rangeArray)
		if err == nil {
			err = d.ranged.UnmarshalText([]byte(text))
		}
		if err != nil {
			return &Error{Path: d.path + "!" + rangeArray + ".npy", Problem: "is no range", Err: err}
		}
		used = append(used, rangeArray)
	}
	var others []string
	for name := range members {
		if !slices.Contains(used, name) {
			others = append(others, name)
		}
	}
	if slices.Sort(others); len(others) > 0 {
		d.notes = append(d.notes, fmt.Sprintf("left out %s of %s: %s", count(len(others), "array"), filepath.Base(d.path), some(others)))
	}
	return nil
}

// find opens the images, and names their arrays.
func (d *arrays) find(members map[string]*zip.File, headers map[string]npyHeader) ([]string, error) {
	if sizes := shapedSizes(members); len(sizes) > 0 && members[imageNames[0]] == nil {
		return d.readShaped(members, sizes)
	}
	images, err := d.choose(members, headers)
	if err != nil {
		return nil, err
	}
	if d.images, err = d.member(members[images]); err == nil {
		err = d.takeShape()
	}
	return []string{images}, err
}

// choose names the array of the images.
func (d *arrays) choose(members map[string]*zip.File, headers map[string]npyHeader) (string, error) {
	for _, name := range imageNames {
		if members[name] != nil && (len(headers[name].shape) > 1 || headers[name].shape == nil) {
			return name, nil
		}
	}
	var found []string
	for name, h := range headers {
		if len(h.shape) > 1 {
			found = append(found, name)
		}
	}
	if slices.Sort(found); len(found) == 1 {
		return found[0], nil
	}
	problem := "holds no array of images"
	if len(found) > 1 {
		problem = "holds several arrays that could be images: " + strings.Join(found, ", ")
	}
	return "", &Error{Path: d.path, Problem: problem + "; want one, called images, as numpy.savez(FILE, images=x, labels=y) writes it"}
}

// member opens an array of a .npz: where it lies if it is only stored, else in memory.
func (d *arrays) member(m *zip.File) (npyArray, error) {
	name := d.path + "!" + m.Name
	if m.Method == zip.Store && m.Flags&zipEncrypted == 0 {
		at, err := m.DataOffset()
		if err != nil || at > d.size || m.CompressedSize64 > uint64(d.size-at) {
			return npyArray{}, &Error{Path: name, Problem: "is not whole: the zip ends before it", Err: err}
		}
		return openNpy(name, io.NewSectionReader(d.file, at, int64(m.CompressedSize64)))
	}
	h, r, err := openNpyMember(d.path, m)
	if err != nil {
		return npyArray{}, err
	}
	defer r.Close()
	if h.body() > maxUnpacked {
		return npyArray{}, &Error{Path: name, Problem: fmt.Sprintf("announces %d bytes; want at most %d GiB of a compressed array: save it with numpy.savez, or as .npy", h.body(), maxUnpacked>>30)}
	}
	var b bytes.Buffer // grows with what is there
	if _, err := io.CopyN(&b, r, h.body()+1); err != nil && !errors.Is(err, io.EOF) {
		return npyArray{}, &Error{Path: name, Problem: "is not whole", Err: err}
	}
	return newNpy(name, h, bytes.NewReader(b.Bytes()), int64(b.Len()))
}

// column reads whole numbers from −1 to most, one for each image.
func (d *arrays) column(m *zip.File, most int64, what string) ([]int64, error) {
	a, err := d.member(m)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, a.npyHeader.body())
	if _, err := a.body.ReadAt(raw, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, &Error{Path: a.name, Problem: "cannot be read", Err: err}
	}
	list, ok := a.integers(raw)
	for i, n := range list {
		if n < -1 || n > most {
			return nil, &Error{Path: a.name, Problem: fmt.Sprintf("has %d for image %d; want %s, up to %d", n, i, what, most)}
		}
	}
	if !ok {
		return nil, &Error{Path: a.name, Problem: fmt.Sprintf("has numbers out of range; want %s, up to %d", what, most)}
	}
	return list, nil
}
