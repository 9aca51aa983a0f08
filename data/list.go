package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// A set too large for one disk is a list of parts, of which a machine has some. Each micro-batch
// of a step is of one part, by its place in the step: so a process that has those micro-batches
// needs those parts alone, and the order does not depend on how many processes there are.

// listPrefix begins the spec of a list of parts.
const listPrefix = "list:"

// Limits of lists.
const (
	maxParts    = 10_000
	maxListFile = 64 << 20
)

// listed is the parts of a list, one behind the other.
type listed struct {
	path    string
	parts   []listedPart
	classes []string
	absent  int      // parts that are not here
	buckets *Buckets // of those that are; nil: images have one shape
}

// listedPart is a line of a list: what data info --json says of a part.
type listedPart struct {
	Data    string `json:"data"`
	Images  int    `json:"images"`
	Classes []struct {
		Name   string `json:"name"`
		Images int    `json:"images"`
	} `json:"classes"`
	Shape  []int  `json:"shape"`
	Values string `json:"values"`
	Digest string `json:"digest"`

	set     Dataset // nil: it is not on this machine
	why     error   // then
	first   int     // number of its first image
	classes []int   // its classes among those of all
}

func openList(spec string, o Options) (Dataset, error) {
	path, ok := strings.CutPrefix(spec, listPrefix)
	if !ok {
		return nil, nil
	}
	l, err := readList(path)
	if err != nil {
		return nil, err
	}
	if err := l.open(o); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// readList reads a list: a line of JSON for each part.
func readList(path string) (*listed, error) {
	bad := func(line int, problem string, err error) error {
		return &Error{Path: path, Problem: fmt.Sprintf("line %d %s; want what fluxion data info PART --json says of each part", line, problem), Err: err}
	}
	f, err := openRegular(path)
	if err != nil {
		return nil, &Error{Path: path, Problem: "cannot be opened as a list of parts", Err: err}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxListFile+1))
	if err != nil || len(text) > maxListFile {
		return nil, &Error{Path: path, Problem: fmt.Sprintf("cannot be read as a list of at most %d MiB", maxListFile>>20), Err: err}
	}
	l := &listed{path: path}
	total, line := 0, 0
	for row := range bytes.Lines(text) {
		if line++; len(bytes.TrimSpace(row)) == 0 {
			continue
		}
		p := listedPart{first: total}
		if err := json.Unmarshal(row, &p); err != nil {
			return nil, bad(line, "is no JSON of a part", err)
		}
		whole := 0
		for _, c := range p.Classes {
			whole += max(c.Images, 0)
		}
		switch {
		case p.Data == "" || p.Images < 1 || p.Images > maxFiles || p.Digest == "" || len(p.Shape) != 3 || whole > p.Images:
			return nil, bad(line, "lacks data, images, shape or digest of a part, or they cannot be", nil)
		case len(Parts(p.Data)) > 1 || hasPrefix(p.Data, listPrefix, "pairs:", latentsPrefix):
			return nil, bad(line, "is of "+p.Data+", and parts are sets of images", nil)
		case slices.ContainsFunc(l.parts, func(other listedPart) bool { return other.Digest == p.Digest }):
			return nil, bad(line, "is a part that another line has already", nil)
		case len(l.parts) == maxParts || total > 1<<40:
			return nil, bad(line, fmt.Sprintf("is one too many: want at most %d parts", maxParts), nil)
		}
		total += p.Images
		l.parts = append(l.parts, p)
	}
	if len(l.parts) == 0 {
		return nil, bad(line, "is the last, and there is no part", nil)
	}
	l.findClasses()
	return l, nil
}

func hasPrefix(s string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// findClasses are those of all parts: numbers up to the largest, or names in order.
func (l *listed) findClasses() {
	most, of := -1, map[string]int{}
	for _, p := range l.parts {
		for _, c := range p.Classes {
			n, err := strconv.Atoi(c.Name)
			if err != nil || n < 0 || n > maxLabel || strconv.Itoa(n) != c.Name {
				n = maxLabel + 1
			}
			most, of[c.Name] = max(most, n), 0
			l.classes = append(l.classes, c.Name)
		}
	}
	slices.Sort(l.classes)
	if l.classes = slices.Compact(l.classes); most >= 0 && most <= maxLabel {
		l.classes = numbers(most + 1)
	}
	for i, c := range l.classes {
		of[c] = i
	}
	for i := range l.parts {
		p := &l.parts[i]
		for _, c := range p.Classes {
			p.classes = append(p.classes, of[c.Name])
		}
	}
}

// open opens the parts that are here.
func (l *listed) open(o Options) error {
	if _, told := isNumbers(o.Labels); told {
		return &Error{Path: l.path, Problem: "is of parts, whose labels are classes; labels of numbers want one set"}
	}
	own := o
	own.CacheBytes = max(1, o.CacheBytes/int64(len(l.parts)))
	var here *listedPart
	for i := range l.parts {
		p := &l.parts[i]
		if c := p.Shape[2]; o.Channels == 0 && p.Values == Bytes.String() && (c == 1 || c == 3) {
			own.Channels = c
		}
		set, err := Open(p.Data, own)
		if Absent(err) {
			l.absent, p.why = l.absent+1, err
			continue
		}
		if err != nil {
			return err
		}
		p.set = set
		if got := set.Fingerprint(); got.Images != p.Images || got.Digest != p.Digest || len(got.Classes) != len(p.Classes) {
			return &Error{Path: p.Data, Problem: fmt.Sprintf("holds %d images of %d classes, of digest %.8s, and %s says %d of %d, of digest %.8s; want its line made anew: fluxion data info %s --json", got.Images, len(got.Classes), got.Digest, l.path, p.Images, len(p.Classes), p.Digest, p.Data)}
		}
		if here == nil {
			here = p
			continue
		}
		if a, b := shapeText(here.set), shapeText(set); a != b {
			return &Error{Path: p.Data, Problem: fmt.Sprintf("has images of %s where those of %s are of %s; --size and --channels make them alike", b, here.Data, a)}
		}
	}
	if here == nil {
		return &Error{Path: l.path, Problem: fmt.Sprintf("none of its %d parts is here", len(l.parts)), Err: l.parts[0].why}
	}
	return l.joinBuckets()
}

// joinBuckets are the shapes of all parts that are here. Images of others are in none.
func (l *listed) joinBuckets() error {
	var sizes []Size
	here := l.here()
	for _, p := range l.parts {
		if p.set == nil {
			continue
		}
		b := BucketsOf(p.set)
		if (b == nil) != (BucketsOf(here) == nil) {
			return &Error{Path: p.Data, Problem: fmt.Sprintf("and %s: images of one are of several shapes, and of the other of one; want parts that are alike", here.Name())}
		}
		if b != nil {
			sizes = append(sizes, b.Sizes...)
		}
	}
	if sizes == nil {
		return nil
	}
	sizes = inOrder(sizes)
	all := make([]int, 0, l.Len())
	for _, p := range l.parts {
		for i := range p.Images {
			k := noBucket
			if p.set != nil {
				k = slices.Index(sizes, SizeOf(p.set, i))
			}
			all = append(all, k)
		}
	}
	l.buckets = newBuckets(sizes, all)
	return l.buckets.check(l.path)
}

func (l *listed) inBuckets() *Buckets { return l.buckets }

func shapeText(d Dataset) string {
	h, w, c := d.Shape()
	return fmt.Sprintf("%d×%d×%d %v", h, w, c, d.Kind())
}

// Absent says whether data cannot be opened because there are none.
func Absent(err error) bool {
	bad := (*Error)(nil)
	return errors.Is(err, fs.ErrNotExist) || errors.As(err, &bad) && bad.none
}

// here is a part that can be read, of which all have the shape.
func (l *listed) here() Dataset {
	return l.parts[slices.IndexFunc(l.parts, func(p listedPart) bool { return p.set != nil })].set
}

func (l *listed) Name() string {
	return strings.TrimSuffix(baseName(l.path), filepath.Ext(l.path))
}

func (l *listed) Len() int {
	last := l.parts[len(l.parts)-1]
	return last.first + last.Images
}

func (l *listed) Shape() (height, width, channels int) { return l.here().Shape() }
func (l *listed) Kind() Kind                           { return l.here().Kind() }
func (l *listed) Classes() []string                    { return l.classes }
func (l *listed) pictured() bool                       { return Pictures(l.here()) }
func (l *listed) cheap() bool                          { return true } // parts keep what they may

func (l *listed) Notes() (notes []string) {
	if l.absent > 0 {
		notes = append(notes, fmt.Sprintf("%d of the %d parts of %s are on this machine", len(l.parts)-l.absent, len(l.parts), l.path))
	}
	for _, p := range l.parts {
		if p.set != nil {
			notes = append(notes, Notes(p.set)...)
		}
	}
	return notes
}

// Fingerprint is what the list says, whatever parts are here.
func (l *listed) Fingerprint() Fingerprint {
	f := Fingerprint{Images: l.Len(), Classes: l.classes, Counts: make([]int, len(l.classes))}
	f.Digest = digest(func(h hash.Hash) {
		for _, p := range l.parts {
			fmt.Fprintln(h, p.Images, p.Digest)
			for i, c := range p.Classes {
				f.Counts[p.classes[i]] += c.Images
			}
		}
	})
	return f
}

// of is the part of image i.
func (l *listed) of(i int) *listedPart {
	return &l.parts[sort.Search(len(l.parts), func(k int) bool { return l.parts[k].first > i })-1]
}

func (l *listed) Read(i int, e *Example) error {
	p := l.of(i)
	if p.set == nil {
		return &Error{Path: p.Data, Problem: "is a part that is not on this machine", Err: p.why}
	}
	err := p.set.Read(i-p.first, e)
	if err == nil && e.Class >= 0 {
		e.Class = p.classes[e.Class]
	}
	return err
}

// name of image i.
func (l *listed) name(i int) string {
	if p := l.of(i); p.set != nil {
		return p.Data + shardMark + NameOf(p.set, i-p.first)
	}
	return unnamed(i)
}

func (l *listed) Close() (err error) {
	for _, p := range l.parts {
		if p.set != nil {
			err = errors.Join(err, p.set.Close())
		}
	}
	return err
}

// Partial says whether some images of a set are on other machines.
func Partial(d Dataset) bool {
	l, ok := stored(d).(*listed)
	return ok && l.absent > 0
}
