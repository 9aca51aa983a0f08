package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"fluxion/engine/rundir"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// staged is an objective that trains in stages, at whose ends the average of the trained
// network becomes its teacher.
type staged interface {
	Stages() []int64 // their ends, in images
}

// stage is the part of a run that the step after so many images belongs to.
type stage struct {
	number     int
	begin, end int64 // images
}

// stageAt is that of the step after so many images; of an objective without stages there
// is one.
func (r *run) stageAt(images int64) stage {
	s := stage{end: r.settings.Images}
	o, ok := r.objective.(staged)
	if !ok {
		return s
	}
	ends := o.Stages()
	s.number = min(len(ends)-1, slices.IndexFunc(append(ends[:len(ends):len(ends)], images+1), func(end int64) bool { return images < end }))
	s.end = ends[s.number]
	if s.number > 0 {
		s.begin = ends[s.number-1]
	}
	return s
}

// stageDir is where the model is that a stage ended with.
func (r *run) stageDir(images int64) string {
	return filepath.Join(r.dir, rundir.StagesDir, strconv.FormatInt(images, 10))
}

// enterStage brings the teacher of the next step's stage to the device. Where the stage
// begins, that is the average of the network that is trained, which goes on from
// itself.
func (r *run) enterStage() error {
	next := r.stageAt(r.state.Images)
	if next.number == r.stage {
		return nil
	}
	if len(r.trainer.frozen) != 1 {
		return fmt.Errorf("an objective in stages with %d teachers, want one", len(r.trainer.frozen))
	}
	b := r.trainer.Buffers
	begins := r.state.Images == next.begin
	if begins {
		if _, err := os.Stat(r.stageDir(next.begin)); err != nil { // or the run goes on from this very end
			if err := r.saver.wait(); err != nil { // there is memory for one copy of the state
				return err
			}
			snapshot, err := r.snapshot(r.state)
			if err != nil {
				return err
			}
			if err := r.folder.SaveStage(next.begin, func(dir string) error { return r.writeCheckpoint(dir, snapshot) }); err != nil {
				return err
			}
			r.folder.Note("stage %d ends after %d images: %s", next.number, next.begin, r.stageDir(next.begin))
		}
	}
	network, flat, err := catalog.ReadModel(filepath.Join(r.stageDir(next.begin), r.trainer.weightsDirs()[b.EMA]))
	if err == nil && string(network.JSON()) != string(r.network.JSON()) {
		err = fmt.Errorf("it holds another network, %s of other sizes or kind", network.ClassName())
	}
	if err != nil {
		return fmt.Errorf("%s, which the stage behind it learns from, cannot be read: %w; bring it back, or --from a checkpoint before it", r.stageDir(next.begin), err)
	}
	r.sound = false
	err = r.memory.Write(r.trainer.frozen[0].weights, 0, flat)
	if begins {
		for _, weights := range b.weights() {
			err = errors.Join(err, r.memory.Write(weights, 0, flat))
		}
		zeros := make([]float32, nets.FlatSize(r.trainer.Trained.Params))
		for _, state := range b.States {
			err = errors.Join(err, r.memory.Write(state, 0, zeros))
		}
	}
	if err = errors.Join(err, r.trainer.Refresh()); err == nil {
		r.stage, r.sound = next.number, true
	}
	return err
}
