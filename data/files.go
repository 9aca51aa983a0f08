package data

import (
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"fluxion/data/stable"
)

// files is a set of pictures in a folder or a zip.
type files struct {
	name    string
	root    string // for messages
	entries []entry
	shared  int // folders that all entries lie in, above classes
	classes []string
	shape   shape
	fit     Fit
	bits    int    // of a value of the first picture, where ranged
	ranged  *Range // values are numbers, not bytes
	closer  io.Closer
	notes   []string
	apart   bool     // labels are not what paths say
	beside  *entry   // EDM's file of labels; nil: there is none
	brought *Numbers // of columns, where they are asked for
	buckets *Buckets // nil: images have one shape
}

// entry is one file.
type entry struct {
	path  string // within the root, with slashes
	label int
	in    archived // of an archive; nil: a file below the root
}

// archived is a file in an archive.
type archived interface {
	open(name string) (io.ReadCloser, error) // errors call it name
	size() int64                             // unpacked
	sum() (crc uint32, kept bool)            // that the archive keeps of it
}

func (e entry) dir() string { return path.Dir(e.path) }

var extensions = []string{".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff"}

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

// maxFiles is how many pictures a set may have.
const maxFiles = 10_000_000

// baseName of a path, fit to name a run.
func baseName(p string) string {
	abs, err := filepath.Abs(p)
	if err != nil {
		abs = p
	}
	return filepath.Base(abs)
}

// complete takes what was found: it sorts the pictures, leaves out what this
// program made, finds the classes, and takes the shape from the pictures.
func (f *files) complete(found *listing, o Options) error {
	f.entries = found.pictures
	stable.Sort(f.entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	if err := f.leaveOutSamples(); err != nil {
		return err
	}
	f.notes = append(f.notes, found.notes()...)
	if len(f.entries) == 0 {
		problem := "holds no pictures; want " + strings.Join(extensions, ", ") + found.otherForm(f.root)
		if len(f.notes) > 0 {
			problem += " (" + strings.Join(f.notes, "; ") + ")"
		}
		return &Error{Path: strings.TrimRight(f.root, "!"+string(filepath.Separator)), Problem: problem}
	}
	f.label()
	f.beside = found.labels
	if found.labels != nil && (o.Labels == "" || o.Labels == AutoLabels) {
		if err := f.take(*found.labels); err != nil {
			return err
		}
	}
	p, err := f.first()
	if err != nil {
		return err
	}
	w, h := p.size()
	f.shape, f.fit = o.asked(shape{h, w, 0})
	f.deep(p, o)
	if o.Channels == 0 {
		f.shape.channels = f.channels(p)
	}
	return f.bucket(o)
}

// first returns the first picture that is whole, of the first hundred.
func (f *files) first() (photo, error) {
	var first error
	for i := range min(len(f.entries), 100) {
		p, err := f.picture(i)
		if err == nil {
			return p, nil
		}
		if first == nil {
			first = err
		}
	}
	return photo{}, first
}

// label makes classes of the first sub-folders, behind folders that all pictures share.
func (f *files) label() {
	skip := 0
	parts := func(e entry) []string {
		_, within, shard := strings.Cut(e.path, shardMark)
		if !shard || e.in == nil {
			within = e.path
		}
		return strings.Split(within, "/")
	}
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
	f.shared = skip
	numbers := map[string]int{}
	for _, e := range f.entries {
		if p := parts(e); len(p) > skip+1 {
			numbers[className(p[skip])] = 0
		}
	}
	for c := range numbers {
		f.classes = append(f.classes, c)
	}
	slices.Sort(f.classes)
	for i, c := range f.classes {
		numbers[c] = i
	}
	for i, e := range f.entries {
		f.entries[i].label = -1
		if p := parts(e); len(p) > skip+1 {
			f.entries[i].label = numbers[className(p[skip])]
		}
	}
}

// className is a folder's name as text. Old file systems have names in Latin-1.
func className(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	return latin1(name)
}

func (f *files) Name() string { return f.name }
func (f *files) Len() int     { return len(f.entries) }
func (f *files) Shape() (height, width, channels int) {
	return f.shape.height, f.shape.width, f.shape.channels
}
func (f *files) Classes() []string { return f.classes }
func (f *files) Notes() []string   { return f.notes }

func (f *files) Read(i int, e *Example) error {
	p, err := f.picture(i)
	if err != nil {
		return err
	}
	if w, h := p.size(); f.fit == "" && (w != f.shape.width || h != f.shape.height) {
		return &Error{Path: f.root + f.entries[i].path,
			Problem: fmt.Sprintf("has %d×%d pixels where the first picture has %d×%d; give --size to bring all to one size",
				w, h, f.shape.width, f.shape.height)}
	}
	e.Class, p.part = f.entries[i].label, e.Part
	s := f.shape
	if e.Size != (Size{}) {
		s.height, s.width = e.Size.Height, e.Size.Width
	}
	if f.ranged != nil {
		return f.readDeep(i, p, s, e)
	}
	convert(p, s, f.fit, e.Bytes)
	return nil
}

func (f *files) Close() error {
	if f.closer != nil {
		return f.closer.Close()
	}
	return nil
}

func (f *files) picture(i int) (p photo, err error) {
	r, err := f.reader(f.entries[i])
	if err == nil {
		defer r.Close()
		p, err = decode(f.root+f.entries[i].path, r)
	}
	if bad := (*Error)(nil); errors.As(err, &bad) { // of one among many
		err = &Error{Path: bad.Path, Problem: bad.Problem + "; --skip-broken leaves it out", Err: bad.Err}
	}
	return p, err
}

func (f *files) open(e entry) (io.ReadCloser, error) {
	if e.in != nil {
		return e.in.open(f.root + e.path)
	}
	return openRegular(filepath.FromSlash(f.root + e.path))
}

// reader opens a file of the set.
func (f *files) reader(e entry) (io.ReadCloser, error) {
	r, err := f.open(e)
	if bad := (*Error)(nil); errors.As(err, &bad) {
		return nil, err
	}
	if err != nil {
		return nil, &Error{Path: f.root + e.path, Problem: "cannot be opened", Err: err}
	}
	return r, nil
}
