package durable

import (
	"errors"
	"os"
)

// Sync brings a file to the disk. Windows syncs what is open for writing only, and opens
// no folder so: names are in the journal of its file system.
func Sync(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
