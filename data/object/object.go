// Package object reads and writes objects of stores that speak S3, as s3://BUCKET/KEY. Programs
// that are built with the tag s3 can; in others every call says so.
package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
)

// Prefix begins the address of an object, or of all below one.
const Prefix = "s3://"

// Is says whether a path is an address.
func Is(path string) bool { return strings.HasPrefix(path, Prefix) }

// Join is the address of what lies below another.
func Join(address, name string) string { return strings.TrimRight(address, "/") + "/" + name }

// Base is the last part of an address, and Dir the rest.
func Base(address string) string {
	address = strings.TrimRight(address, "/")
	return address[strings.LastIndexByte(address, '/')+1:]
}

// Dir is the address of what holds this one.
func Dir(address string) string {
	address = strings.TrimRight(address, "/")
	return address[:max(strings.LastIndexByte(address, '/'), len(Prefix))]
}

// Info is an object below an address.
type Info struct {
	Name string // below it, with slashes
	Size int64
}

// split cuts an address into bucket and key.
func split(address string) (bucket, key string, err error) {
	rest, ok := strings.CutPrefix(address, Prefix)
	bucket, key, _ = strings.Cut(rest, "/")
	if !ok || bucket == "" {
		return "", "", &Error{address, "want s3://BUCKET/KEY", nil}
	}
	return bucket, key, nil
}

// Error is an object that cannot be read or written.
type Error struct {
	Address string
	Problem string
	Err     error // what was behind it, may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Address + ": " + e.Problem
	}
	return fmt.Sprintf("%s: %s: %s", e.Address, e.Problem, strings.ReplaceAll(e.Err.Error(), "\n", " "))
}

func (e *Error) Unwrap() error { return e.Err }

// File is an object that is read where it lies. ReadAt may be called by several goroutines.
type File struct {
	address string
	size    int64
	changed time.Time
	fetch   func(p []byte, at int64) error // the whole of p
	at      int64                          // of Read
}

// Stat is its size, and when it was written.
func (f *File) Stat() (fs.FileInfo, error) { return info{f}, nil }

type info struct{ f *File }

func (i info) Name() string       { return Base(i.f.address) }
func (i info) Size() int64        { return i.f.size }
func (i info) Mode() fs.FileMode  { return 0o444 }
func (i info) ModTime() time.Time { return i.f.changed }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }

// ReadAt reads short pieces through blocks that are kept, since each request takes as long as
// a hundred kilobytes do.
func (f *File) ReadAt(p []byte, at int64) (n int, err error) {
	if at < 0 {
		return 0, errors.New("negative offset")
	}
	if at >= f.size {
		return 0, io.EOF
	}
	if short := f.size - at; int64(len(p)) > short {
		p, err = p[:short], io.EOF
	}
	if len(p) >= blockSize {
		if failed := f.fetch(p, at); failed != nil {
			return 0, failed
		}
		return len(p), err
	}
	for n < len(p) {
		block, failed := kept.block(f, (at+int64(n))/blockSize)
		if failed != nil {
			return n, failed
		}
		n += copy(p[n:], block[(at+int64(n))%blockSize:])
	}
	return n, err
}

// Read reads on.
func (f *File) Read(p []byte) (int, error) {
	if f.at < f.size && int64(len(p)) > f.size-f.at {
		p = p[:f.size-f.at]
	}
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Seek says where Read goes on.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	f.at = offset
	return offset, nil
}

// Close forgets what was kept of it.
func (f *File) Close() error {
	kept.forget(f)
	return nil
}

// ReadFile reads a whole object.
func ReadFile(ctx context.Context, address string) ([]byte, error) {
	f, err := Open(ctx, address)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file := make([]byte, f.size)
	if _, err := f.ReadAt(file, 0); err != nil && (f.size > 0 || !errors.Is(err, io.EOF)) {
		return nil, err
	}
	return file, nil
}

// Names are those of the objects below an address and of what holds others, without what is
// below that.
func Names(ctx context.Context, address string) (map[string]bool, error) {
	names := map[string]bool{}
	err := list(ctx, address, false, func(i Info) error {
		names[strings.TrimSuffix(i.Name, "/")] = true
		return nil
	})
	return names, err
}

// List lists all objects below an address. There being none is fs.ErrNotExist.
func List(ctx context.Context, address string) (all []Info, err error) {
	err = list(ctx, address, true, func(i Info) error {
		if len(all) == maxObjects {
			return &Error{address, fmt.Sprintf("holds more than %d objects", maxObjects), nil}
		}
		if !strings.HasSuffix(i.Name, "/") {
			all = append(all, i)
		}
		return nil
	})
	if err == nil && len(all) == 0 {
		err = &Error{address, "there is nothing below it", fs.ErrNotExist}
	}
	return all, err
}

// maxObjects is the most objects below an address.
const maxObjects = 40_000_000
