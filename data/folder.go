package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxLinkedFolders bounds how often links to folders are followed: links to
// folders of links would otherwise multiply.
const maxLinkedFolders = 30_000

func openFolder(dir string, o Options) (Dataset, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &Error{Path: dir, Problem: "cannot be opened", Err: err}
	}
	if !info.IsDir() {
		if form := formOf(dir); form != "" {
			return nil, &Error{Path: dir, Problem: "is a file; want " + form + filepath.Dir(dir)}
		}
		return nil, &Error{Path: dir, Problem: "is a file; want a folder of pictures or a .zip of them"}
	}
	w := walk{root: dir, links: maxLinkedFolders}
	if w.isRun(".") {
		return nil, &Error{Path: dir, Problem: "is a run folder of Fluxion, not data; want a folder of pictures"}
	}
	if err := w.folder(".", []os.FileInfo{info}); err != nil {
		return nil, err
	}
	f := &files{name: baseName(dir), root: strings.TrimRight(dir, string(filepath.Separator)) + string(filepath.Separator)}
	if err := f.complete(&w.listing, o); err != nil {
		return nil, err
	}
	return f, nil
}

// walk lists the files below a folder.
type walk struct {
	listing
	root  string
	links int // to folders, that may yet be followed
}

func (w *walk) file(rel string) string { return filepath.Join(w.root, filepath.FromSlash(rel)) }

// folder lists a folder. Links are followed, but to a folder that one is in
// already: above are the folders from the root to this one.
func (w *walk) folder(rel string, above []os.FileInfo) error {
	list, err := os.ReadDir(w.file(rel))
	if err != nil {
		return &Error{Path: w.file(rel), Problem: "cannot be read", Err: err}
	}
	for _, e := range list {
		if hidden(e.Name()) {
			continue
		}
		if err := w.add(path.Join(rel, e.Name()), e, above); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) add(rel string, e fs.DirEntry, above []os.FileInfo) error {
	mode := e.Type()
	var info os.FileInfo
	if mode&fs.ModeSymlink != 0 {
		var err error
		switch info, err = os.Stat(w.file(rel)); {
		case err != nil && isPicture(rel): // a broken picture: Read says why
			mode = 0
		case err != nil:
			w.dead = append(w.dead, rel)
			return nil
		default:
			mode = info.Mode().Type()
		}
		if mode.IsDir() {
			if w.links--; w.links < 0 {
				return &Error{Path: w.file(rel), Problem: fmt.Sprintf("is one link to a folder too many; want at most %d", maxLinkedFolders)}
			}
		}
	}
	switch {
	case mode.IsDir():
		return w.enter(rel, info, above)
	case mode != 0:
		if isPicture(rel) {
			w.devices = append(w.devices, rel)
		}
		return nil
	}
	if len(w.pictures) == maxFiles {
		return &Error{Path: w.root, Problem: fmt.Sprintf("holds more than %d pictures", maxFiles)}
	}
	w.listing.add(entry{path: rel})
	if w.other == "" && formOf(rel) != "" {
		w.other = rel
	}
	return nil
}

func (w *walk) enter(rel string, info os.FileInfo, above []os.FileInfo) (err error) {
	if info == nil {
		if info, err = os.Stat(w.file(rel)); err != nil {
			return &Error{Path: w.file(rel), Problem: "cannot be read", Err: err}
		}
	}
	for _, a := range above {
		if os.SameFile(a, info) {
			return nil
		}
	}
	if w.isRun(rel) {
		w.runs = append(w.runs, rel)
		return nil
	}
	return w.folder(rel, append(above[:len(above):len(above)], info))
}

// isRun says whether a folder is a run of this program.
func (w *walk) isRun(rel string) bool {
	there := false
	for _, name := range runFiles {
		_, err := os.Stat(w.file(path.Join(rel, name)))
		there = there || err == nil
	}
	if !there {
		return false
	}
	r, err := openRegular(w.file(path.Join(rel, runConfig)))
	if err != nil {
		return false
	}
	defer r.Close()
	return isRunConfig(r)
}
