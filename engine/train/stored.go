package train

import (
	"errors"
	"os"
	"path/filepath"

	"fluxion/engine/model"
)

// Stored returns the settings of the run in a folder that would go on there,
// false if there is none. A run goes on under them where the user says nothing
// else, so that a recipe that changes alters no run that began before. Where it
// runs is not part of the run: device, threads and blockings are those of next.
func Stored(dir string, next Settings) (Settings, bool, error) {
	s, err := ReadSettings(filepath.Join(dir, configFile))
	if errors.Is(err, os.ErrNotExist) {
		return next, false, nil
	}
	if err != nil {
		return next, false, err
	}
	all, err := model.Checkpoints(dir)
	if err != nil || len(all) == 0 {
		return next, false, err
	}
	s.Device, s.Threads, s.Blockings = next.Device, next.Threads, next.Blockings
	return s, true, nil
}
