package rundir

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"fluxion/engine/average"
)

func (d *Dir) snapshot(p average.Profile) string {
	return filepath.Join(d.file(average.Dir), average.FileName(p))
}

// Snapshot keeps an average of the weights, in the place of one of that name. It stays
// whatever becomes of checkpoints.
func (d *Dir) Snapshot(p average.Profile, write func(io.Writer) error) error {
	if err := d.Check(); err != nil {
		return err
	}
	if err := d.disk.MkdirAll(d.file(average.Dir)); err != nil {
		return err
	}
	return d.disk.Write(d.snapshot(p), write)
}

// HasSnapshot says whether an average is kept.
func (d *Dir) HasSnapshot(p average.Profile) bool {
	info, err := os.Stat(d.snapshot(p))
	return err == nil && info.Mode().IsRegular()
}

// dropSnapshots removes those of later steps, which will be run again and perhaps
// otherwise. There are none if a run is set aside, for they are with it.
func (d *Dir) dropSnapshots(images int64) error {
	list, err := average.List(d.file(average.Dir))
	if err != nil {
		return err
	}
	dropped := false
	for _, p := range list {
		if p.Images > images {
			err = errors.Join(err, os.Remove(d.snapshot(p)))
			dropped = true
		}
	}
	if dropped {
		err = errors.Join(err, d.disk.Settle(d.file(average.Dir)))
	}
	return err
}
