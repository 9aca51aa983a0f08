//go:build !unix

package train

import (
	"errors"
	"os"
)

var errLocked = errors.New("locked by another process")

// lock opens the file; this system has no advisory locks that we know.
func lock(path string) (*os.File, error) { return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666) }

func umask() os.FileMode { return 0o022 }
