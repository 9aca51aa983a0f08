//go:build !s3

package object

import (
	"context"
	"io"
)

// refused says that this build has no S3.
func refused(address string) error {
	return &Error{address, "this build has no S3; want one that was built with -tags s3, or a path of this machine", nil}
}

// Check says what is wrong with an address, as far as can be seen without a request.
func Check(address string) error { return refused(address) }

// Open opens an object for reading.
func Open(_ context.Context, address string) (*File, error) { return nil, refused(address) }

// OpenSized opens an object whose size is known from a list.
func OpenSized(_ context.Context, address string, _ int64) (*File, error) {
	return nil, refused(address)
}

// Put writes an object, whole or not at all.
func Put(_ context.Context, address string, _ io.ReadSeeker, _ int64) error { return refused(address) }

func list(_ context.Context, address string, _ bool, _ func(Info) error) error {
	return refused(address)
}
