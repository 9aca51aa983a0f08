package samples

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data/durable"
	"fluxion/data/object"
)

// Files go to a disk, or to a store as objects, which are there as a whole or not at all.

// Below is the path of what lies in a folder.
func Below(dir, name string) string {
	if object.Is(dir) {
		return object.Join(dir, filepath.ToSlash(name))
	}
	return filepath.Join(dir, name)
}

// above is the folder that something lies in.
func above(path string) string {
	if object.Is(path) {
		return object.Dir(path)
	}
	return filepath.Dir(path)
}

// Reach says whether files can go to an address: a bucket that is not there, or refuses, is said
// before work is done for it.
func Reach(ctx context.Context, path string) error {
	if !object.Is(path) {
		return nil
	}
	_, err := object.Names(ctx, path)
	return err
}

// IsFile says whether a path is a file or an object; anything else there is an error.
func IsFile(ctx context.Context, path string) (bool, error) {
	if object.Is(path) {
		f, err := object.Open(ctx, path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		return true, f.Close()
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err == nil && !info.Mode().IsRegular():
		err = fault.Usagef("--out %s is not a file", path)
	}
	return err == nil, err
}

// namesIn lists a folder, which may not be there.
func namesIn(ctx context.Context, dir string) (map[string]bool, error) {
	if object.Is(dir) {
		return object.Names(ctx, dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		names[e.Name()] = true
	}
	return names, nil
}

// readFile reads a file or an object.
func readFile(ctx context.Context, path string) ([]byte, error) {
	if object.Is(path) {
		return object.ReadFile(ctx, path)
	}
	return os.ReadFile(path)
}

// put writes one of many files, whose names become permanent with settle.
func put(ctx context.Context, disk durable.Disk, path string, file []byte) error {
	if object.Is(path) {
		return object.Put(ctx, path, bytes.NewReader(file), int64(len(file)))
	}
	return disk.Put(path, file)
}

// writeFile writes a file whole or not at all.
func writeFile(ctx context.Context, disk durable.Disk, path string, file []byte) error {
	if object.Is(path) {
		return put(ctx, disk, path, file)
	}
	return disk.WriteFile(path, file)
}

// makeDir makes a folder; a store has none.
func makeDir(disk durable.Disk, dir string) error {
	if object.Is(dir) {
		return nil
	}
	return disk.MkdirAll(dir)
}

// MakeAbove makes the folder that a file is to lie in.
func MakeAbove(disk durable.Disk, path string) error { return makeDir(disk, above(path)) }

// write writes a file whole or not at all, with content that is given piece by piece, and makes
// its folder.
func write(ctx context.Context, disk durable.Disk, path string, content func(io.Writer) error) (err error) {
	if !object.Is(path) {
		if err := MakeAbove(disk, path); err != nil {
			return err
		}
		return disk.Write(path, content)
	}
	f, err := os.CreateTemp("", "fluxion-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	if err := errors.Join(content(f), f.Close()); err != nil {
		return err
	}
	return upload(ctx, f.Name(), path)
}

// upload brings a file to a store.
func upload(ctx context.Context, path, address string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	return object.Put(ctx, address, f, size)
}
