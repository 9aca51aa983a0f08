package train

import (
	"fluxion/data/durable"
	"fluxion/engine/model"
	"fluxion/engine/rundir"
)

// Stored returns the settings of the run in a folder that would go on there,
// false if there is none. A run goes on under them where the user says nothing
// else, so that a recipe that changes alters no run that began before. Where it
// runs is not part of the run: device, threads and blockings are those of next.
func Stored(dir string, next Settings) (Settings, bool, error) {
	if err := rundir.Recover(dir, durable.Disk{}); err != nil {
		return next, false, err
	}
	all, err := model.Checkpoints(dir)
	if err != nil || len(all) == 0 {
		return next, false, err
	}
	s, err := settingsOf(dir, all[len(all)-1])
	if err != nil {
		return next, false, err
	}
	s.Device, s.Threads, s.Blockings = next.Device, next.Threads, next.Blockings
	return s, true, nil
}
