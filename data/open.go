package data

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"fluxion/data/object"
)

// source is a file, on a disk or in a store.
type source interface {
	io.ReadSeeker
	io.ReaderAt
	io.Closer
	Stat() (os.FileInfo, error)
}

var errNotRegular = errors.New("it is a folder, pipe, socket or device; want a file")

// openRegular opens a file, and nothing that could keep its reader waiting, or an object.
func openRegular(path string) (source, error) {
	if object.Is(path) {
		f, err := object.Open(context.Background(), path)
		if err != nil {
			return nil, err // and no source that is not nil
		}
		return f, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := openQuickly(path)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() { // it changed in between
		err = errNotRegular
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// below is the path of a file in a folder, or of an object.
func below(dir, name string) string {
	if object.Is(dir) {
		return object.Join(dir, name)
	}
	return filepath.Join(dir, name)
}

// above is the folder of a file, or what holds an object, as messages begin with it.
func above(path string) string {
	if object.Is(path) {
		return object.Dir(path) + "/"
	}
	return filepath.Dir(path) + string(filepath.Separator)
}
