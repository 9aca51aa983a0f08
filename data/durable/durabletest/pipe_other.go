//go:build !unix

package durabletest

import "errors"

// Pipe fails: folders of this system hold no named pipes.
func Pipe(string) error { return errors.ErrUnsupported }
