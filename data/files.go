package data

import (
	"archive/zip"
	"errors"
	"fmt"
	"image"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// files is a set of pictures in a folder or a zip.
type files struct {
	name    string
	root    string // for messages
	entries []entry
	classes []string
	shape   shape
	square  bool
	open    func(e entry) (io.ReadCloser, error)
	closer  io.Closer
}

// entry is one picture.
type entry struct {
	path  string // within the root, with slashes
	label int
	zip   *zip.File
}

var extensions = []string{".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"}

func isPicture(p string) bool { return slices.Contains(extensions, strings.ToLower(path.Ext(p))) }

// hidden says whether any part of a path is not meant to be seen.
func hidden(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		if strings.HasPrefix(part, ".") || part == "__MACOSX" {
			return true
		}
	}
	return false
}

func openFolder(dir string, o Options) (Dataset, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &Error{Path: dir, Problem: "cannot be opened", Err: err}
	}
	if !info.IsDir() {
		return nil, &Error{Path: dir, Problem: "is a file; want a folder of pictures or a .zip of them"}
	}
	f := &files{name: baseName(dir), root: dir + string(filepath.Separator)}
	f.open = func(e entry) (io.ReadCloser, error) { return os.Open(filepath.Join(dir, filepath.FromSlash(e.path))) }
	err = filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return &Error{Path: p, Problem: "cannot be read", Err: err}
		}
		rel, _ := filepath.Rel(dir, p) // p is below dir
		rel = filepath.ToSlash(rel)
		if rel != "." && hidden(rel) {
			if e.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if !e.IsDir() && isPicture(rel) {
			f.entries = append(f.entries, entry{path: rel})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f.complete(o)
}

func openZip(file string, o Options) (Dataset, error) {
	if !strings.EqualFold(filepath.Ext(file), ".zip") {
		return nil, nil
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		problem := "is not a whole zip file"
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			problem = "cannot be opened"
		}
		return nil, &Error{Path: file, Problem: problem, Err: err}
	}
	f := &files{name: baseName(strings.TrimSuffix(file, filepath.Ext(file))), root: file + "!", closer: z}
	f.open = func(e entry) (io.ReadCloser, error) { return e.zip.Open() }
	for _, m := range z.File {
		if !m.FileInfo().IsDir() && isPicture(m.Name) && !hidden(m.Name) {
			f.entries = append(f.entries, entry{path: m.Name, zip: m})
		}
	}
	d, err := f.complete(o)
	if err != nil {
		z.Close()
	}
	return d, err
}

// baseName of a path, fit to name a run.
func baseName(p string) string {
	abs, err := filepath.Abs(p)
	if err != nil {
		abs = p
	}
	return filepath.Base(abs)
}

// complete sorts the entries, finds the classes, and takes the shape from the first picture.
func (f *files) complete(o Options) (Dataset, error) {
	if len(f.entries) == 0 {
		return nil, &Error{Path: strings.TrimRight(f.root, "!"+string(filepath.Separator)),
			Problem: "holds no pictures; want " + strings.Join(extensions, ", ")}
	}
	slices.SortFunc(f.entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	f.label()
	var first error
	for i := range f.entries { // the first picture that is whole
		img, err := f.picture(i)
		if err != nil {
			if first == nil {
				first = err
			}
			if i == 100 {
				break
			}
			continue
		}
		f.shape = shape{img.Bounds().Dy(), img.Bounds().Dx(), channelsOf(img)}
		if o.Size > 0 {
			f.shape.height, f.shape.width, f.square = o.Size, o.Size, true
		}
		if o.Channels > 0 {
			f.shape.channels = o.Channels
		}
		return f, nil
	}
	return nil, first
}

// label makes classes of the first sub-folders, behind folders that all pictures share.
func (f *files) label() {
	skip := 0
	parts := func(e entry) []string { return strings.Split(e.path, "/") }
	for {
		first := parts(f.entries[0])
		if len(first) <= skip+2 {
			break
		}
		if slices.ContainsFunc(f.entries, func(e entry) bool { p := parts(e); return len(p) <= skip+2 || p[skip] != first[skip] }) {
			break
		}
		skip++
	}
	for _, e := range f.entries {
		if p := parts(e); len(p) > skip+1 && !slices.Contains(f.classes, p[skip]) {
			f.classes = append(f.classes, p[skip])
		}
	}
	slices.Sort(f.classes)
	for i, e := range f.entries {
		f.entries[i].label = -1
		if p := parts(e); len(p) > skip+1 {
			f.entries[i].label, _ = slices.BinarySearch(f.classes, p[skip])
		}
	}
}

func (f *files) Name() string { return f.name }
func (f *files) Len() int     { return len(f.entries) }
func (f *files) Shape() (height, width, channels int) {
	return f.shape.height, f.shape.width, f.shape.channels
}
func (f *files) Classes() []string { return f.classes }

func (f *files) Read(i int, dst []byte) (int, error) {
	img, err := f.picture(i)
	if err != nil {
		return -1, err
	}
	if b := img.Bounds(); !f.square && (b.Dx() != f.shape.width || b.Dy() != f.shape.height) {
		return -1, &Error{Path: f.root + f.entries[i].path,
			Problem: fmt.Sprintf("has %d×%d pixels where the first picture has %d×%d; give --size to bring all to one size",
				b.Dx(), b.Dy(), f.shape.width, f.shape.height)}
	}
	convert(img, f.shape, f.square, dst)
	return f.entries[i].label, nil
}

func (f *files) Close() error {
	if f.closer != nil {
		return f.closer.Close()
	}
	return nil
}

func (f *files) picture(i int) (img image.Image, err error) {
	e := f.entries[i]
	r, err := f.open(e)
	if err != nil {
		return nil, &Error{Path: f.root + e.path, Problem: "cannot be opened", Err: err}
	}
	defer r.Close()
	return decode(f.root+e.path, r)
}
