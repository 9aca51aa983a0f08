// Package data reads sets of images and writes pictures. It knows nothing of
// networks: images are bytes or float32, height × width × channels.
package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Dataset is a set of images of one shape. Read may be called by several
// goroutines at once.
type Dataset interface {
	Name() string // short, fit for a file name
	Len() int     // images of one pass
	Shape() (height, width, channels int)
	Kind() Kind        // of the pixels
	Classes() []string // nil: unlabelled
	Fingerprint() Fingerprint
	// Read fills the pixels of e with image i and says its class, and its noise if it
	// is paired with some; Input with what image i is to be made of, if there is room. Class
	// and Noise of e are −1 and Own before; after an error e is worth nothing.
	Read(i int, e *Example) error
	Close() error
}

// Notes is what a user should know of how a data set was read: what was left out,
// what was decided. One line each.
func Notes(d Dataset) []string {
	switch of := d.(type) {
	case interface{ Notes() []string }:
		return of.Notes()
	case *cache:
		return Notes(of.Dataset)
	case *resize:
		return slices.Concat(Notes(of.Dataset), of.notes())
	case *bucketed:
		return Notes(of.Dataset)
	case ordered:
		return Notes(of.Dataset)
	}
	return nil
}

// stored is a set as it is stored, without what is laid around it.
func stored(d Dataset) Dataset {
	switch of := d.(type) {
	case *cache:
		return stored(of.Dataset)
	case *resize:
		return stored(of.Dataset)
	case *paired:
		return stored(of.Dataset)
	case ordered:
		return stored(of.Dataset)
	case *labelled:
		return stored(of.Dataset)
	case *bucketed:
		return stored(of.Dataset)
	case subset:
		return stored(of.Dataset)
	}
	return d
}

// Pictures says whether images are pictures, from −1 to 1: bytes, or what a model of
// pictures made.
func Pictures(d Dataset) bool {
	p, ok := stored(d).(interface{ pictured() bool })
	return d.Kind() == Bytes || ok && p.pictured()
}

// NoiseKey is the key of the noise at the addresses that examples have, where it is
// that of a model's sampling.
func NoiseKey(d Dataset) (key uint64, paired bool) {
	if p, ok := stored(d).(*pairs); ok {
		return p.Key, true
	}
	return 0, false
}

// NoiseSource is the source of the noise of pairs; "" if it is white and normal, or there
// are no pairs.
func NoiseSource(d Dataset) string { return MadeWith(d, SourceText) }

// MadeWith is a setting that the model was sampled with which made pairs; empty for other
// data.
func MadeWith(d Dataset, key string) string {
	if p, ok := stored(d).(*pairs); ok {
		return p.Made[key]
	}
	return ""
}

// NameOf is how a user knows image i of a set: the path of its file within the set, or
// its number from 0.
func NameOf(d Dataset, i int) string {
	switch of := d.(type) {
	case *cache:
		return NameOf(of.Dataset, i)
	case *resize:
		return NameOf(of.Dataset, i)
	case *paired:
		return NameOf(of.Dataset, i)
	case ordered:
		return NameOf(of.Dataset, of.of[i])
	case subset:
		return NameOf(of.Dataset, of.numbers[i])
	case *labelled:
		return NameOf(of.Dataset, i)
	case *bucketed:
		return NameOf(of.Dataset, i)
	case *listed:
		return of.name(i)
	case *files:
		return of.entries[i].path
	case *latents:
		if names := of.names(); names != nil {
			return names[i]
		}
	}
	return unnamed(i)
}

// unnamed is the name of an image that has none.
func unnamed(i int) string { return fmt.Sprintf("#%d", i) }

// Options of Open. Zero values leave images as they are.
type Options struct {
	Size       Size   // that images are brought to
	Fit        Fit    // how; "": Crop
	FitSaid    bool   // somebody asks for Fit, which may not go unheeded
	AsStored   bool   // sets that keep several shapes stay in them, whatever Size says
	Channels   int    // 1 grey, 3 RGB
	Range      Range  // what values are from and to; none: bytes as they are, floats as they are
	Labels     string // "": AutoLabels, or FolderLabels, NoLabels, NumberLabels, a file, numbers:FILE, numbers:COLUMN,COLUMN
	CacheBytes int64  // decoded sets up to this size stay in memory; 0: 512 MiB
}

// MaxSide is the largest side that images are brought to.
const MaxSide = 1 << 14

const defaultCacheBytes = 512 << 20

// Error is data that cannot be used.
type Error struct {
	Path    string // file, folder, or zip!member
	Problem string // what is wrong, and what would be right
	Err     error  // what was behind it, may be nil

	none bool // there is nothing by this name
}

func (e *Error) Error() string {
	s := e.Path + ": " + e.Problem
	if e.Err != nil {
		s += ": " + strings.ReplaceAll(e.Err.Error(), "\n", " ")
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// format is a kind of data set. A new one is a file with an open function and a
// line in formats.
type format struct {
	usage string
	// open returns nil without an error if the spec is not of this format.
	open func(spec string, o Options) (Dataset, error)
}

func formats() []format {
	return []format{
		{"paired:A,B (images of B, each made of one of A; both any of these), unpaired:A,B (each of any of A)", openPaired}, // whatever B ends in
		{"glyphs, glyphs:letters, glyphs:all", openGlyphs},
		{"toy:" + strings.Join(toyNames(), "|"), openToy},
		{"mnist:DIR, fashion-mnist:DIR", openIDX},
		{"cifar:DIR", openCIFAR},
		{"FILE.npy, FILE.npz", openArrays},
		{"pairs:DIR", openPairs},
		{"latents:DIR", openLatents},
		{"list:FILE (parts, of which this machine has some)", openList},
		{"FILE.zip of images", openZip},
		{"FILE.tar, FILE-{000..099}.tar, tar:DIR", openTar},
		{"FILE.parquet, parquet:DIR", openParquet},
		{"s3://BUCKET/PREFIX of images (s3:// may begin FILE and DIR of these, too)", openObjects},
		{"DIR of images", openFolder},
	}
}

// Usage is what Open takes.
func Usage() string {
	var all []string
	for _, f := range formats() {
		all = append(all, f.usage)
	}
	return strings.Join(all, ", ")
}

// Open opens a data set: see Usage, and README.md.
func Open(spec string, o Options) (Dataset, error) {
	if o.Channels != 0 && o.Channels != 1 && o.Channels != 3 {
		return nil, &Error{Path: spec, Problem: fmt.Sprintf("%d channels asked for, want 1 or 3", o.Channels)}
	}
	if err := o.Size.check(); err != nil {
		return nil, &Error{Path: spec, Problem: err.Error()}
	}
	if err := o.Fit.check(); err != nil {
		return nil, &Error{Path: spec, Problem: err.Error()}
	}
	if err := o.Fit.Check(spec, o.Size); err != nil {
		return nil, &Error{Path: spec, Problem: "fit " + err.Error()}
	}
	_, buckets := o.Fit.Buckets()
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCacheBytes
	}
	for _, f := range formats() {
		d, err := f.open(spec, o)
		if err != nil {
			return nil, err
		}
		if d == nil {
			continue
		}
		if err := o.ranges(d); err != nil {
			return nil, errors.Join(err, d.Close())
		}
		l, err := relabelled(d, o)
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		if buckets && BucketsOf(l) == nil {
			return nil, errors.Join(&Error{Path: spec, Problem: fmt.Sprintf("fit %s is for pictures of several shapes, in a folder, archive, table, array or list of these; want %s", o.Fit, Crop)}, l.Close())
		}
		if err := o.heeds(l, spec); err != nil {
			return nil, errors.Join(err, l.Close())
		}
		if o.Fit.Varies() { // an image is another one each time
			return l, nil
		}
		return cached(l, o.CacheBytes), nil
	}
	if strings.ContainsAny(spec, `/\`) && !strings.Contains(spec, ":") {
		return nil, &Error{Path: spec, Problem: "no such data: there is neither a file nor a folder of this name", none: true}
	}
	return nil, &Error{Path: spec, Problem: "no such data; want " + Usage(), none: true}
}
