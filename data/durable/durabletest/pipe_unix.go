//go:build unix

package durabletest

import "syscall"

// Pipe makes a named pipe, which whoever opens it waits for.
func Pipe(path string) error { return syscall.Mkfifo(path, 0o666) }
