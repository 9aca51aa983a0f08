// Package durable writes files and folders that are there as a whole or not at
// all, also after a crash, a full disk or a power loss: what is written lies
// beside its place under a temporary name, is synced, and takes its name only
// when every sync succeeded.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Temporary begins the names of files and folders that are not whole. Whoever
// owns a folder may remove what a killed process left there: Sweep.
const Temporary = ".incomplete-"

// ErrBusy is a folder that another process writes into.
var ErrBusy = errors.New("another process writes into it")

// Disk is how what is written becomes permanent. The zero value is the operating
// system's; tests put one in its place that fails, or that forgets what was not
// synced.
type Disk struct {
	Sync   func(path string) error     // a file or a folder
	Rename func(old, new string) error // old is synced
}

func (d Disk) sync(path string) error {
	if d.Sync != nil {
		return d.Sync(path)
	}
	return Sync(path)
}

func (d Disk) rename(old, new string) error {
	if d.Rename != nil {
		return d.Rename(old, new)
	}
	return os.Rename(old, new)
}

// Settle brings what was written to a file so far, or the names in a folder, to the disk.
func (d Disk) Settle(path string) error { return d.sync(path) }

// WriteFile writes a file whole or not at all, in the place of one of that name.
func (d Disk) WriteFile(path string, data []byte) error {
	return d.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Write is WriteFile with content that write gives piece by piece.
func (d Disk) Write(path string, write func(io.Writer) error) error {
	if err := d.put(path, write); err != nil {
		return err
	}
	return d.sync(filepath.Dir(path))
}

// Put is WriteFile for one of many files: their names become permanent with
// Settle. Until then a power loss may take the file away, but never cut it.
func (d Disk) Put(path string, data []byte) error {
	return d.put(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func (d Disk) put(path string, write func(io.Writer) error) error {
	if info, err := os.Lstat(path); err == nil && info.Mode()&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0 {
		return fmt.Errorf("%s cannot be written: it is a pipe, socket or device, whose place a file would take; want the name of a file", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), Temporary+"*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	if err = write(f); err == nil {
		err = f.Chmod(0o666 &^ umask())
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = d.publish(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s cannot be written: %w", path, err), remove(f.Name()))
	}
	return nil
}

// Folder makes a folder whole or not at all: fill writes its content into the
// folder it is given. Nothing may lie at path yet.
func (d Disk) Folder(path string, fill func(dir string) error) error {
	parent := filepath.Dir(path)
	tmp, err := os.MkdirTemp(parent, Temporary+"*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	if err = fill(tmp); err == nil {
		err = os.Chmod(tmp, 0o777&^umask())
	}
	if err == nil {
		err = d.syncBelow(tmp)
	}
	if err == nil {
		if _, there := os.Lstat(path); there == nil {
			err = fs.ErrExist // a rename would replace an empty folder
		}
	}
	if err == nil {
		err = d.rename(tmp, path)
	}
	if err == nil {
		if err = d.sync(parent); err != nil { // it may be gone after a power loss: it is not there
			err = errors.Join(err, d.rename(path, tmp))
		}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s cannot be written: %w", path, err), os.RemoveAll(tmp))
	}
	return nil
}

// Move gives files and folders of one folder other names, in this order, and
// brings the names to the disk.
func (d Disk) Move(dir string, names [][2]string) error {
	if len(names) == 0 {
		return nil
	}
	for _, n := range names {
		if err := d.rename(filepath.Join(dir, n[0]), filepath.Join(dir, n[1])); err != nil {
			return err
		}
	}
	return d.sync(dir)
}

// Remove takes a file or folder away: first its name, then what is in it, so that
// nothing that is half removed is taken for whole.
func (d Disk) Remove(path string) error {
	dir, name := filepath.Dir(path), filepath.Base(path)
	doomed := Temporary + name
	if err := d.Move(dir, [][2]string{{name, doomed}}); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(dir, doomed))
}

// publish syncs a file and gives it its name.
func (d Disk) publish(tmp, path string) error {
	if err := d.sync(tmp); err != nil {
		return err
	}
	return d.rename(tmp, path)
}

// syncBelow syncs every file and folder below dir, and dir; the first failure ends it.
func (d Disk) syncBelow(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return d.sync(path)
	})
}

// Sweep removes what killed processes left under temporary names in a folder. A
// folder that is not there has none.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), Temporary) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// remove is os.Remove that does not mind a file that is gone.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// MkdirAll makes a folder and those above it, each brought to the disk.
func (d Disk) MkdirAll(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if err := d.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	err := os.Mkdir(path, 0o777)
	if errors.Is(err, fs.ErrExist) { // made by another process, or no folder
		err = os.MkdirAll(path, 0o777)
	}
	if err == nil {
		err = d.sync(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("folder %s cannot be made: %w", path, err)
	}
	return nil
}
