package data

import (
	"context"
	"io"
	"maps"
	"os"
	"slices"

	"fluxion/data/object"
)

// openObjects opens the pictures below an address in a store, as a folder is opened.
func openObjects(spec string, o Options) (Dataset, error) {
	if !object.Is(spec) {
		return nil, nil
	}
	all, err := object.List(context.Background(), spec)
	if err != nil {
		return nil, &Error{Path: spec, Problem: "cannot be opened as a set of pictures", Err: err}
	}
	var found listing
	for _, i := range all {
		if len(found.pictures) == maxFiles {
			return nil, &Error{Path: spec, Problem: "holds too many pictures"}
		}
		if !hidden(i.Name) {
			found.add(entry{path: i.Name, in: objectMember(i)})
		}
	}
	f := &files{name: object.Base(spec), root: object.Join(spec, "")}
	if err := f.complete(&found, o); err != nil {
		return nil, err
	}
	return f, nil
}

// objectMember is an object of a set.
type objectMember object.Info

func (m objectMember) open(name string) (io.ReadCloser, error) {
	return object.OpenSized(context.Background(), name, m.Size)
}
func (m objectMember) size() int64         { return m.Size }
func (m objectMember) sum() (uint32, bool) { return 0, false }

// namesIn lists a folder, or what is right below an address.
func namesIn(dir string) (names []string, err error) {
	if object.Is(dir) {
		found, err := object.Names(context.Background(), dir)
		return slices.Sorted(maps.Keys(found)), err
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
