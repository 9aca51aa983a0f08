// Package rundir is the folder of a run: its lock, settings, log, statistics and
// checkpoints. It knows neither networks nor training: settings are bytes, and a
// checkpoint is a folder that its caller fills.
package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"fluxion/data/durable"
	"fluxion/engine/model"
)

// What a run folder holds besides its checkpoints.
const (
	ConfigFile = "config.json" // the settings, resolved
	StatsFile  = "stats.jsonl" // one status a line
	LogFile    = "log.txt"     // what happened, with times
	SamplesDir = "samples"     // grids, named by images seen
	StagesDir  = "stages"      // models that stages ended with, named by images seen
	LockFile   = ".lock"       // held while a process trains here
)

// InUseError is a run folder that another process trains in.
type InUseError struct{ Dir string }

func (e *InUseError) Error() string {
	return fmt.Sprintf("%s is in use by another process; stop that one or give another --out", e.Dir)
}

// Error is a run folder that cannot be used as it is.
type Error struct{ Path, Problem string }

func (e *Error) Error() string { return e.Path + " " + e.Problem }

// GoneError is a run folder that was deleted or replaced, as a whole or in part,
// while its run went on.
type GoneError struct {
	Path    string // what is gone
	Rescued string // where the state of the run was saved instead, "" if nowhere
}

func (e *GoneError) Error() string {
	kept := "the state of the run is lost"
	if e.Rescued != "" {
		kept = fmt.Sprintf("its state is saved in %s: --out %s goes on from it", e.Rescued, e.Rescued)
	}
	return fmt.Sprintf("%s was removed or replaced while the run went on; %s", e.Path, kept)
}

// Dir is an open run folder. It is locked until Close.
type Dir struct {
	Path string

	disk       durable.Disk
	fresh      bool
	made       bool           // by Open: taken away again if nothing was begun
	open       parts          // the folder and its parts, which must stay where they are
	lock       *os.File       //
	stats, log appended       // open from Begin on
	settings   []byte         // as given to Begin
	own        map[int64]bool // checkpoints that this process wrote or goes on from
	aside      bool           // a run is, to come back if this one has no checkpoint
}

// parts are open files. A checkpoint is saved beside the loop, and may make a part that
// the loop then looks for.
type parts struct {
	sync.Mutex
	files []*os.File
}

func (p *parts) add(f *os.File) {
	p.Lock()
	defer p.Unlock()
	p.files = append(p.files, f)
}

func (p *parts) all() []*os.File {
	p.Lock()
	defer p.Unlock()
	return slices.Clone(p.files)
}

// Open makes or opens a run folder and locks it. It removes what a killed process
// left unfinished, and brings back a run that was set aside for one that never
// came to a checkpoint. A fresh run is to take the place of what is there.
func Open(path string, fresh bool, disk durable.Disk) (*Dir, error) {
	d := &Dir{Path: path, disk: disk, fresh: fresh, own: map[int64]bool{}}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		d.made = true
	}
	if err := d.take(); err != nil {
		return nil, err
	}
	var err error
	for _, folder := range append(numbered[:len(numbered):len(numbered)], "") {
		err = errors.Join(err, durable.Sweep(d.file(folder)))
	}
	if err == nil {
		err = d.recover()
	}
	if err == nil {
		err = d.watch(d.file(model.CheckpointsDir))
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Dir) file(name string) string { return filepath.Join(d.Path, name) }

// take makes the folder and takes its lock. Another process that ends may take
// away a folder that it made and did not use: then it is made again.
func (d *Dir) take() error {
	for range 10 {
		if err := d.disk.MkdirAll(d.Path); err != nil {
			return err
		}
		var err error
		if d.lock, err = lock(d.file(LockFile)); errors.Is(err, errLocked) {
			return &InUseError{d.Path}
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil && there(d.lock) {
			err := d.watch(d.Path)
			d.open.add(d.lock)
			return err
		}
		if d.lock != nil {
			d.lock.Close()
		}
	}
	return &InUseError{d.Path}
}

// watch keeps a part of the folder open, so that Check knows it again. A part
// that is not there yet is not watched.
func (d *Dir) watch(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		d.open.add(f)
	}
	return err
}

// there says whether an open file still has its name. A disk that gives no answer for
// a while has not lost it.
func there(f *os.File) bool {
	named, err := os.Stat(f.Name())
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR)
	}
	opened, err := f.Stat()
	return err != nil || os.SameFile(opened, named)
}

// Check returns a *GoneError if the folder is no longer the one that was opened,
// or lacks a part. It is called before every write.
func (d *Dir) Check() error {
	for _, f := range d.open.all() {
		if !there(f) {
			if _, err := os.Stat(d.Path); err != nil {
				return &GoneError{Path: d.Path}
			}
			return &GoneError{Path: f.Name()}
		}
	}
	if d.stats.file != nil {
		if _, err := os.Stat(d.file(ConfigFile)); errors.Is(err, fs.ErrNotExist) {
			return &GoneError{Path: d.file(ConfigFile)}
		}
	}
	return nil
}

// Begin writes the settings down and opens log and statistics for a run that goes
// on after so many images; statistics of later steps, which will be run again, are
// dropped. Later checkpoints, and for a fresh run all that is here, are set aside
// until this run has its first checkpoint.
func (d *Dir) Begin(settings []byte, images int64) error {
	if err := d.Check(); err != nil {
		return err
	}
	d.settings = settings
	if err := d.setAside(mark{After: images, Same: !d.fresh}); err != nil {
		return err
	}
	if images > 0 {
		d.own[images] = true
	}
	if err := errors.Join(d.forgetBest(images), d.dropSnapshots(images), d.dropStages(images)); err != nil {
		return err
	}
	if err := d.disk.WriteFile(d.file(ConfigFile), settings); err != nil {
		return err
	}
	kept, err := keepStats(d.file(StatsFile), images)
	if err == nil {
		err = d.disk.WriteFile(d.file(StatsFile), kept)
	}
	if err == nil {
		err = d.stats.open(d.file(StatsFile), 0)
	}
	if err == nil {
		err = d.log.open(d.file(LogFile), os.O_CREATE)
	}
	if err != nil {
		return err
	}
	d.open.add(d.stats.file)
	d.open.add(d.log.file)
	d.Note("training from image %d on", images)
	return nil
}

// Rewind forgets what was written of more than so many images, by a run that goes back
// to a checkpoint, or to its beginning, and sees them again. Later checkpoints are set
// aside until it has one again.
func (d *Dir) Rewind(images int64) error {
	if err := d.Check(); err != nil {
		return err
	}
	d.stats.close()
	err := d.setAside(mark{After: images, Same: true})
	if err == nil {
		maps.DeleteFunc(d.own, func(n int64, _ bool) bool { return n > images })
		err = errors.Join(d.forgetBest(images), d.dropSnapshots(images), d.dropStages(images))
	}
	kept, failed := keepStats(d.file(StatsFile), images)
	if failed == nil && err == nil {
		failed = d.disk.WriteFile(d.file(StatsFile), kept)
	}
	if err = errors.Join(err, failed, d.stats.open(d.file(StatsFile), 0)); err == nil {
		d.open.add(d.stats.file)
	}
	return err
}

// Close gives the lock back. A run that is still set aside, because this one has
// no checkpoint, is put back in its place.
func (d *Dir) Close() error {
	var err error
	whole := d.Check() == nil
	begun := d.stats.file != nil
	if !begun && !d.fresh { // why it did not begin stands in the log of the run that is here
		_ = d.log.open(d.file(LogFile), 0) // there may be none
		if len(d.stats.left) > 0 {         // of a finished run, to which something was added
			err = d.stats.open(d.file(StatsFile), os.O_CREATE)
		}
	}
	d.stats.close()
	d.log.close()
	if d.aside && whole {
		err = d.recover()
	}
	if d.made && !begun { // nothing is left
		os.Remove(d.file(LockFile))
		os.Remove(d.Path) // fails where somebody else put something into it
	}
	for _, f := range d.open.all() {
		f.Close() // the lock among them; some are closed already
	}
	return err
}
