package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"fluxion/engine/model"
	"fluxion/nets/pyjson"
)

// SettingsFile is where a checkpoint keeps the settings of its run.
const SettingsFile = model.TrainingDir + "/" + model.SettingsFile

// Save makes the checkpoint of so many images: fill writes it into the folder it is
// given, and it takes its name when all of it is on the disk. A checkpoint that this
// process wrote before, or goes on from, is not written again.
func (d *Dir) Save(images int64, fill func(dir string) error) (string, error) {
	if err := d.Check(); err != nil {
		return "", err
	}
	path := filepath.Join(d.file(model.CheckpointsDir), strconv.FormatInt(images, 10))
	if _, err := os.Lstat(path); err == nil {
		if d.own[images] {
			return path, nil
		}
		return "", &Error{path, "is there already, and is not of this run: its checkpoint cannot be saved; move what is there away"}
	}
	if err := d.save(path, fill); err != nil {
		return "", fmt.Errorf("checkpoint %w", err)
	}
	d.own[images] = true
	return path, nil
}

// SaveStage makes the model that a stage ended with after so many images, as Save does.
func (d *Dir) SaveStage(images int64, fill func(dir string) error) error {
	if err := d.Check(); err != nil {
		return err
	}
	return d.save(filepath.Join(d.file(StagesDir), strconv.FormatInt(images, 10)), fill)
}

func (d *Dir) save(path string, fill func(dir string) error) error {
	if err := d.ready(filepath.Dir(path)); err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	return d.disk.Folder(path, func(dir string) error { return d.fill(dir, fill) })
}

// ready makes the folder of checkpoints, and brings to the disk what was written down
// of the steps before.
func (d *Dir) ready(parent string) error {
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		if err := errors.Join(d.disk.MkdirAll(parent), d.watch(parent)); err != nil {
			return err
		}
	}
	for _, name := range []string{StatsFile, LogFile} {
		if err := d.disk.Settle(d.file(name)); err != nil {
			return err
		}
	}
	return nil
}

// fill writes a checkpoint and the settings of its run.
func (d *Dir) fill(dir string, fill func(dir string) error) error {
	if err := fill(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, filepath.FromSlash(SettingsFile))
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, d.settings, 0o666))
}

// Rescue saves a checkpoint in a new run folder beside one that is gone.
func (d *Dir) Rescue(images int64, fill func(dir string) error) (string, error) {
	base, err := filepath.Abs(d.Path)
	if err != nil {
		return "", err
	}
	path := base + "-rescued"
	for i := 2; ; i++ {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", err
		}
		path = fmt.Sprintf("%s-rescued-%d", base, i)
	}
	return path, d.disk.Folder(path, func(dir string) error {
		checkpoint := filepath.Join(dir, model.CheckpointsDir, strconv.FormatInt(images, 10))
		if err := os.MkdirAll(checkpoint, 0o777); err != nil {
			return err
		}
		return errors.Join(d.fill(checkpoint, fill), os.WriteFile(filepath.Join(dir, ConfigFile), d.settings, 0o666))
	})
}

// Tidy follows a checkpoint: it removes a run that was set aside for this one, and
// all but the newest checkpoints and the best.
func (d *Dir) Tidy(keep int) error {
	if d.aside {
		if err := d.forget(); err != nil {
			return err
		}
	}
	best, err := model.ReadBest(d.Path)
	if err != nil {
		return err
	}
	all, err := model.Checkpoints(d.Path)
	for ; err == nil && len(all) > keep; all = all[1:] {
		if best == nil || all[0].Images != best.Images {
			err = d.disk.Remove(all[0].Path)
		}
	}
	return err
}

// SetBest writes down that a checkpoint, which is on the disk, is the best so far. It
// stays until another is.
func (d *Dir) SetBest(b model.Best) error {
	if err := d.Check(); err != nil {
		return err
	}
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return d.disk.WriteFile(d.file(model.BestFile), append(text, '\n'))
}

// forgetBest removes what names a best checkpoint after so many images: it is set aside; or
// what can be read no more, which says nothing of what was the best.
func (d *Dir) forgetBest(images int64) error {
	best, err := model.ReadBest(d.Path)
	if bad := (*pyjson.Error)(nil); errors.As(err, &bad) {
		d.Note("%v; it is removed, and which checkpoint is the best is known when the next is judged", err)
	} else if err != nil || best == nil || best.Images <= images {
		return err
	}
	return d.disk.Remove(d.file(model.BestFile))
}

// dropStages removes the models of stages that end behind so many images: a run that goes
// on from there makes them again, perhaps otherwise.
func (d *Dir) dropStages(images int64) error {
	entries, err := os.ReadDir(d.file(StagesDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if n, ok := model.Number(e.Name()); ok && n > images {
			err = errors.Join(err, d.disk.Remove(filepath.Join(d.file(StagesDir), e.Name())))
		}
	}
	return err
}
