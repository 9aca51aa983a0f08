package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"fluxion/data/durable"
	"fluxion/engine/average"
	"fluxion/engine/model"
)

// A run that starts anew, or goes back to an earlier checkpoint, first sets aside
// what comes after: in its folders, under names that begin with previous. The mark
// is written when that is done, and removed when it is settled what stays:
//
//   - without a mark, what bears another name belongs in its place;
//   - with a mark and no later checkpoint, the run that was set aside comes back;
//   - with a mark and a later checkpoint, the run that was set aside is removed.
//
// A process may be killed between any two of these steps: recover goes on from there.
const (
	previous = ".previous-"
	markFile = ".set-aside"
)

// mark says what is set aside: all after so many images. A run that begins anew in its own
// place, as one that diverged before its first checkpoint, keeps its log.
type mark struct {
	After int64  `json:"after_images"`
	Same  bool   `json:"same_run,omitempty"`
	Help  string `json:"help"`
}

// whole says whether files of the run are set aside, too.
func (m mark) whole() bool { return m.After == 0 && !m.Same }

const markHelp = "What begins with " + previous + " is the run that was here before. It is removed when the new one has a checkpoint, and comes back if that ends without."

// runFiles are those of a run that have one name.
var runFiles = []string{ConfigFile, StatsFile, LogFile, model.BestFile}

// numbered are the folders of what is named by images seen.
var numbered = []string{model.CheckpointsDir, SamplesDir, StagesDir, average.Dir}

// written says whether the program writes what bears such a name, set aside or not,
// into a folder of the run, and after how many images.
func written(folder, name string, e fs.DirEntry) (images int64, ours bool) {
	switch {
	case (folder == model.CheckpointsDir || folder == StagesDir) && !e.Type().IsRegular(): // a folder or a link
		return model.Number(name)
	case folder == average.Dir && !e.IsDir():
		p, ours := average.ParseFileName(name)
		return p.Images, ours
	case folder == SamplesDir && !e.IsDir():
		images, err := strconv.ParseInt(strings.TrimSuffix(name, ".png"), 10, 64)
		return images, err == nil && name == GridName(images)
	}
	return 0, false
}

// GridName is the name of the grid after so many images.
func GridName(images int64) string { return fmt.Sprintf("%09d.png", images) }

// later lists what the run wrote after so many images, under its own names or, with
// a prefix, set aside: pairs of folder and name. Its files, and what it wrote before the
// first step, are among it on request.
func (d *Dir) later(after int64, prefix string, files bool) ([][2]string, error) {
	var list [][2]string
	for _, folder := range numbered {
		entries, err := os.ReadDir(d.file(folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			name, set := strings.CutPrefix(e.Name(), prefix)
			if images, ours := written(folder, name, e); ours && set && (images > after || files) {
				list = append(list, [2]string{folder, name})
			}
		}
	}
	for _, name := range runFiles {
		if _, err := os.Lstat(d.file(prefix + name)); err == nil && files {
			list = append(list, [2]string{"", name})
		}
	}
	return list, nil
}

// move gives parts of the run other names, folder by folder.
func (d *Dir) move(parts [][2]string, name func(string) (old, new string)) error {
	byFolder := map[string][][2]string{}
	for _, p := range parts {
		old, new := name(p[1])
		byFolder[p[0]] = append(byFolder[p[0]], [2]string{old, new})
	}
	for _, folder := range append(numbered[:len(numbered):len(numbered)], "") {
		if err := d.disk.Move(d.file(folder), byFolder[folder]); err != nil {
			return err
		}
	}
	return nil
}

// setAside moves away what comes after so many images, if there is a checkpoint
// among it, or all of a run whose place another takes. What is set aside already stays.
func (d *Dir) setAside(m mark) error {
	all, err := model.Checkpoints(d.Path)
	if err != nil {
		return err
	}
	if !m.whole() && (len(all) == 0 || all[len(all)-1].Images <= m.After) {
		return nil
	}
	parts, err := d.later(m.After, "", m.whole())
	if err != nil || len(parts) == 0 {
		return err
	}
	if !m.whole() && !d.aside { // these are written anew, and come back as they are now
		for _, name := range []string{ConfigFile, StatsFile, model.BestFile} {
			data, err := readFile(d.file(name))
			if err == nil {
				err = d.disk.WriteFile(d.file(previous+name), data)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if parts, err = d.unlike(parts); err != nil {
		return err
	}
	if err := d.move(parts, func(name string) (string, string) { return name, previous + name }); err != nil {
		return errors.Join(err, d.bringBack())
	}
	d.aside = true
	m.Help = markHelp
	text, _ := json.MarshalIndent(m, "", "  ") // numbers and a text
	return d.disk.WriteFile(d.file(markFile), append(text, '\n'))
}

// unlike are those of some parts of which none is set aside already. The others, which a run
// made that went back and goes back again, are removed.
func (d *Dir) unlike(parts [][2]string) (left [][2]string, err error) {
	for _, p := range parts {
		if _, failed := os.Lstat(filepath.Join(d.file(p[0]), previous+p[1])); failed != nil {
			left = append(left, p)
			continue
		}
		err = errors.Join(err, d.disk.Remove(filepath.Join(d.file(p[0]), p[1])))
	}
	return left, err
}

// Aside says whether a run is set aside, to come back if this one has no checkpoint.
func (d *Dir) Aside() bool { return d.aside }

// Recover brings back what a killed process set aside in a folder, as Open does, for
// who wants to read the run there before. Where somebody trains there is nothing to do.
func Recover(path string, disk durable.Disk) error {
	d := &Dir{Path: path}
	parts, err := d.setAsideParts()
	if err != nil || len(parts) == 0 {
		return err
	}
	if d, err = Open(path, false, disk); err != nil {
		var busy *InUseError
		if errors.As(err, &busy) {
			return nil
		}
		return err
	}
	return d.Close()
}

// recover ends what a killed process, or this one, began with a run set aside.
func (d *Dir) recover() error {
	d.aside = false
	data, err := readFile(d.file(markFile))
	if errors.Is(err, fs.ErrNotExist) {
		return d.bringBack()
	}
	var m mark
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", d.file(markFile), err)
	}
	all, err := model.Checkpoints(d.Path)
	if err != nil {
		return err
	}
	if len(all) > 0 && all[len(all)-1].Images > m.After {
		return d.forget()
	}
	parts, err := d.later(m.After, "", m.whole())
	if err != nil {
		return err
	}
	if err := d.settle(parts, ""); err != nil {
		return err
	}
	return d.bringBack()
}

// bringBack gives what is set aside its own names.
func (d *Dir) bringBack() error {
	parts, err := d.setAsideParts()
	if err != nil {
		return err
	}
	return d.move(parts, func(name string) (string, string) { return previous + name, name })
}

// forget removes what is set aside, and then the mark.
func (d *Dir) forget() error {
	parts, err := d.setAsideParts()
	if err != nil {
		return err
	}
	if err := d.settle(parts, previous); err != nil {
		return err
	}
	d.aside = false
	return nil
}

// settle removes parts of a run, and the mark when they are gone from the disk.
func (d *Dir) settle(parts [][2]string, prefix string) error {
	touched := map[string]bool{}
	for _, p := range parts {
		dir := d.file(p[0])
		if err := os.RemoveAll(filepath.Join(dir, prefix+p[1])); err != nil {
			return err
		}
		touched[dir] = true
	}
	for dir := range touched {
		if err := d.disk.Settle(dir); err != nil {
			return err
		}
	}
	return d.disk.Remove(d.file(markFile))
}

func (d *Dir) setAsideParts() ([][2]string, error) { return d.later(0, previous, true) }
