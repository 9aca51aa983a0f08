// Package outdir judges the folder, or the file, that a command is told to write to.
package outdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/data/object"
	"fluxion/engine/rundir"
)

// Here refuses an address in the place of a path, which would be a folder named s3: and the like.
func Here(flag, path string) error {
	if scheme := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`).FindString(path); scheme != "" {
		return fault.Usagef("%s %s: want a path of this machine; samples alone go elsewhere, to %s", flag, path, object.Prefix)
	}
	return nil
}

// Possible refuses a path, given by a flag, at which nothing can ever be.
func Possible(flag, path string) error {
	if _, err := os.Stat(path); impossible(err) {
		return fault.Usagef("%s %s can be no file: %w; want another path", flag, path, err)
	}
	return Here(flag, path)
}

func impossible(err error) bool {
	return errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.ELOOP)
}

// Check refuses a folder to write to, given by a flag, that can be none.
func Check(flag, out string) error {
	if err := Here(flag, out); err != nil {
		return err
	}
	info, err := os.Stat(out)
	switch {
	case err == nil && !info.IsDir():
		return fault.Usagef("%s %s is a file, want a folder", flag, out)
	case impossible(err):
		return fault.Usagef("%s %s can be no folder: %w", flag, out, err)
	case errors.Is(err, fs.ErrNotExist):
		if to, err := os.Readlink(out); err == nil {
			return fault.Usagef("%s %s is a link to %s, which is not there; make that folder, or remove the link", flag, out, to)
		}
	}
	return nil
}

// Own refuses a folder that holds anything but what the command has made there before; names
// with a dot in front do not count.
func Own(out string, made func(name string) bool) error {
	list, err := os.ReadDir(out)
	if err != nil {
		return nil // there is none, or Check has said why it can be none
	}
	for _, e := range list {
		if name := e.Name(); !strings.HasPrefix(name, ".") && !made(name) {
			return notOurs(out, name)
		}
	}
	return nil
}

// Begun refuses a folder that holds things, and nothing that the command has made there. Where
// it has made something, what lies beside is the user's.
func Begun(out string, made func(name string) bool) error {
	list, _ := os.ReadDir(out) // there is none, or Check has said why it can be none
	list = slices.DeleteFunc(list, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") })
	if len(list) == 0 || slices.ContainsFunc(list, func(e os.DirEntry) bool { return made(e.Name()) }) {
		return nil
	}
	return notOurs(out, list[0].Name())
}

func notOurs(out, name string) error {
	return fault.Usagef("%s holds %s, which was not made by this command; want an empty folder, or a new one", out, filepath.Join(out, name))
}

// Room says whether a file can be written to a path that a flag gives, before work is
// done for it. The folder it lies in must be there: one that is made for a mistyped
// path is found by nobody.
func Room(flag, path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fault.Usagef("%s %s is not a file", flag, path)
	}
	if err := Possible(flag, path); err != nil {
		return err
	}
	if dir := filepath.Dir(path); missing(dir) {
		return fault.Usagef("%s %s: there is no folder %s; make it first", flag, path, dir)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".fluxion-")
	if err != nil {
		if of := (*fs.PathError)(nil); errors.As(err, &of) {
			err = of.Err // the name beside it is of no file that was asked for
		}
		return fault.Output(fmt.Errorf("%s %s cannot be written: %w", flag, path, err))
	}
	return fault.Output(errors.Join(f.Close(), os.Remove(f.Name())))
}

func missing(dir string) bool {
	_, err := os.Stat(dir)
	return errors.Is(err, fs.ErrNotExist)
}

// Apart refuses a run folder in the place of data. No run folder is read as data, so
// a run there could not be resumed, and the pictures would be lost to the next.
func Apart(out, spec string) error {
	for _, part := range data.Parts(spec) {
		if err := apart(out, part); err != nil {
			return err
		}
	}
	return nil
}

// apart is Apart of one set.
func apart(out, set string) error {
	of, err := os.Stat(set)
	if out == "" || err != nil || !of.IsDir() {
		return nil
	}
	there, err := os.Stat(out)
	if err != nil {
		return nil
	}
	if os.SameFile(there, of) {
		return fault.Usagef("--out %s is the folder of the data, which a run there would hide; give another, such as %s", out, filepath.Join(out, "runs", "1"))
	}
	if _, err := os.Stat(filepath.Join(out, rundir.ConfigFile)); err == nil || !within(out, of) {
		return nil // of a run that goes on
	}
	list, err := os.ReadDir(out)
	if err == nil && slices.ContainsFunc(list, func(e os.DirEntry) bool { return !strings.HasPrefix(e.Name(), ".") }) {
		return fault.Usagef("--out %s is a part of the data, which a run there would hide; give another", out)
	}
	return nil
}

// within says whether a folder lies in another.
func within(path string, folder os.FileInfo) bool {
	path, err := filepath.Abs(path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	for err == nil {
		above := filepath.Dir(path)
		if above == path {
			break
		}
		path = above
		if info, err := os.Stat(path); err == nil && os.SameFile(info, folder) {
			return true
		}
	}
	return false
}
