package durable

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Scratch makes a folder among the system's temporary ones for files that nobody needs when this
// process has ended, and removes those that processes which were killed have left there. Its name
// begins with prefix, as theirs do.
func Scratch(prefix string) (dir string, remove func() error, err error) {
	parent := os.TempDir()
	entries, err := os.ReadDir(parent)
	if err != nil {
		return "", nil, err
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), prefix) {
			removeLeft(filepath.Join(parent, e.Name()))
		}
	}
	for {
		if dir, err = os.MkdirTemp(parent, prefix); err != nil {
			return "", nil, err
		}
		leave, err := Alone(dir)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrBusy) { // another that began meanwhile takes it for one that is left
			continue
		}
		if err != nil {
			return "", nil, errors.Join(err, os.RemoveAll(dir))
		}
		if _, err := os.Stat(dir); err == nil {
			return dir, func() error { return errors.Join(os.RemoveAll(dir), leave()) }, nil
		}
		if err := leave(); err != nil {
			return "", nil, err
		}
	}
}
