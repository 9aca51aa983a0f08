package data

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// openParts opens the n files of a folder; those that are not there are named. What is open
// is returned with an error, too.
func openParts[T any](dir, what string, n int, file func(dir string, shard int) string, open func(dir string, shard int) (T, error)) (all []T, err error) {
	var missing []string
	for i := range n {
		s, err := open(dir, i)
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, filepath.Base(file(dir, i)))
			continue
		}
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
	if missing != nil {
		return all, &Error{Path: dir, Problem: fmt.Sprintf("lacks %d of %d files of %s: %s; the command that made the others makes these, too", len(missing), n, what, some(missing))}
	}
	return all, nil
}
