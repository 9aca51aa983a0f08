//go:build unix

package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Share says that this process writes into a folder, as others may, until leave
// is called. Who comes where nobody else is writing sweeps, and so does who leaves last: others
// may have been killed. A file system that has no locks is not swept.
func Share(dir string) (leave func() error, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	fd := int(f.Fd())
	if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil {
		err = Sweep(dir)
	}
	if failed := unix.Flock(fd, unix.LOCK_SH); err == nil && failed != nil && !without(failed) {
		err = failed
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() (err error) {
		if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil {
			err = Sweep(dir)
		}
		return errors.Join(err, unlock(f))
	}, nil
}

// unlock gives a lock back, which closing alone would leave to a child that this process is starting.
func unlock(f *os.File) error {
	_ = unix.Flock(int(f.Fd()), unix.LOCK_UN) // fails where there are no locks
	return f.Close()
}

// Alone says that this process writes into a folder, as no other may until leave is
// called, and sweeps it. Another that is there is ErrBusy. A file system that has no
// locks keeps nobody out.
func Alone(dir string) (leave func() error, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case err == nil:
		err = Sweep(dir)
	case errors.Is(err, unix.EWOULDBLOCK):
		err = ErrBusy
	case without(err):
		err = nil
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error { return unlock(f) }, nil
}

// removeLeft removes a folder of Scratch that nobody holds. One of somebody else stays.
func removeLeft(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		_ = os.RemoveAll(dir) // what of it cannot be removed stays
	}
	_ = unlock(f)
}

// without says that a file system has no locks, or none on folders.
func without(err error) bool {
	return errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.EBADF) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS)
}
