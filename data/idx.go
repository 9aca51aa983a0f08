package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	idxImages = 0x00000803
	idxLabels = 0x00000801
)

// Limits of what dimensions may announce, in bytes: of a file as it is, and of a
// gzip file, which may be small and become large.
const (
	maxIDX      = 16 << 30
	maxUnpacked = 1 << 30
)

// idxClasses are those of MNIST and of its kin, whose files have the same names.
var idxClasses = map[string][]string{
	"mnist":         strings.Split("0123456789", ""),
	"fashion-mnist": {"T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"},
}

// openIDX opens mnist:DIR, and mnist:DIR#t10k for the smaller of two sets in a folder.
func openIDX(spec string, o Options) (Dataset, error) {
	kind, dir, _ := strings.Cut(spec, ":")
	classes, ok := idxClasses[kind]
	if !ok || kind == spec {
		return nil, nil
	}
	dir, part, chosen := strings.Cut(dir, "#")
	parts := []string{"train", "t10k"}
	if chosen {
		parts = []string{part}
	}
	for _, p := range parts {
		images, err := idxFile(dir, p+"-images-idx3-ubyte")
		if err != nil {
			return nil, err
		}
		if images == "" {
			continue
		}
		labels, err := idxFile(dir, p+"-labels-idx1-ubyte")
		if err != nil {
			return nil, err
		}
		if labels == "" {
			return nil, &Error{Path: dir, Problem: fmt.Sprintf("has %s but not %s-labels-idx1-ubyte", filepath.Base(images), p)}
		}
		return readIDX(kind, classes, images, labels, o)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, &Error{Path: dir, Problem: "cannot be opened; want a folder with IDX files", Err: err}
	}
	return nil, &Error{Path: dir, Problem: fmt.Sprintf("has no %s-images-idx3-ubyte, plain or .gz", strings.Join(parts, "-images-idx3-ubyte or "))}
}

// idxFile finds a file, plain or compressed.
func idxFile(dir, name string) (string, error) {
	for _, suffix := range []string{"", ".gz"} {
		p := filepath.Join(dir, name+suffix)
		_, err := os.Stat(p)
		if err == nil { // readIDXFile sees whether it is a file
			return p, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", &Error{Path: p, Problem: "cannot be opened", Err: err}
		}
	}
	return "", nil
}

func readIDX(name string, classes []string, imageFile, labelFile string, o Options) (Dataset, error) {
	dims, pixels, err := readIDXFile(imageFile, idxImages, 3)
	if err != nil {
		return nil, err
	}
	_, labels, err := readIDXFile(labelFile, idxLabels, 1)
	if err != nil {
		return nil, err
	}
	if len(labels) != dims[0] {
		return nil, &Error{Path: labelFile, Problem: fmt.Sprintf("holds %d labels for the %d images of %s", len(labels), dims[0], filepath.Base(imageFile))}
	}
	if dims[0] == 0 || dims[1] == 0 || dims[2] == 0 {
		return nil, &Error{Path: imageFile, Problem: fmt.Sprintf("holds %d images of %d×%d pixels", dims[0], dims[2], dims[1])}
	}
	for i, l := range labels {
		if int(l) >= len(classes) {
			return nil, &Error{Path: labelFile, Problem: fmt.Sprintf("label %d of image %d is out of range, want 0 to %d", l, i, len(classes)-1)}
		}
	}
	d := &block{name: name, stored: shape{dims[1], dims[2], 1}, pixels: pixels, labels: labels, classes: classes}
	d.ask(o)
	return d, nil
}

// readIDXFile reads a whole file: magic number, dimensions, bytes. No more is read
// or kept than the dimensions ask for.
func readIDXFile(path string, magic uint32, rank int) (dims []int, body []byte, err error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, nil, &Error{Path: path, Problem: "cannot be opened", Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, &Error{Path: path, Problem: "cannot be opened", Err: err}
	}
	r, packed, limit := io.Reader(f), strings.HasSuffix(path, ".gz"), uint64(maxIDX)
	if packed {
		limit = maxUnpacked
		if r, err = gzip.NewReader(f); err != nil {
			return nil, nil, &Error{Path: path, Problem: "is not a whole gzip file", Err: err}
		}
	}
	header := make([]byte, 4+4*rank)
	n, err := io.ReadFull(r, header)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && !packed {
		return nil, nil, &Error{Path: path, Problem: fmt.Sprintf("ends after %d bytes, in its header of %d", n, len(header))}
	}
	if err != nil {
		return nil, nil, unpackError(path, packed, err)
	}
	if m := binary.BigEndian.Uint32(header); m != magic {
		return nil, nil, &Error{Path: path, Problem: fmt.Sprintf("begins with %#08x, want %#08x (IDX of unsigned bytes, %d dimensions)", m, magic, rank)}
	}
	want := uint64(1)
	for i := range rank {
		n := binary.BigEndian.Uint32(header[4+4*i:])
		dims = append(dims, int(n))
		if want *= uint64(n); want > limit { // of at most 2³⁶·2³², no overflow
			problem := fmt.Sprintf("announces %v entries; want at most %d GiB", dims, limit>>30)
			if packed && want <= maxIDX {
				problem += " in a gzip file; unpack it"
			}
			return nil, nil, &Error{Path: path, Problem: problem}
		}
	}
	if size := uint64(info.Size()) - uint64(len(header)); !packed && size != want {
		return nil, nil, &Error{Path: path, Problem: fmt.Sprintf("holds %d bytes behind its header, want %d for dimensions %v", size, want, dims)}
	}
	var b bytes.Buffer // grows with what is there
	if _, err := io.CopyN(&b, r, int64(want)); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil, &Error{Path: path, Problem: fmt.Sprintf("holds %d bytes behind its header, want %d for dimensions %v", b.Len(), want, dims)}
		}
		return nil, nil, unpackError(path, packed, err)
	}
	switch _, err := io.ReadFull(r, header[:1]); { // a gzip file has its checksum here
	case err == nil:
		return nil, nil, &Error{Path: path, Problem: fmt.Sprintf("holds more than %d bytes behind its header, want %d for dimensions %v", want, want, dims)}
	case !errors.Is(err, io.EOF):
		return nil, nil, unpackError(path, packed, err)
	}
	return dims, b.Bytes(), nil
}

func unpackError(path string, packed bool, err error) error {
	problem := "cannot be read to its end"
	if packed {
		problem = "is not a whole gzip file"
	}
	return &Error{Path: path, Problem: problem, Err: err}
}
