//go:build unix

package durable

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// umask of the process: temporary files are made private and then opened up to
// it. It is asked for once, since asking sets it for a moment.
var umask = sync.OnceValue(func() os.FileMode {
	m := unix.Umask(0)
	unix.Umask(m)
	return os.FileMode(m)
})
