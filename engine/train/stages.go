package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"fluxion/engine/collective"
	"fluxion/engine/model"
	"fluxion/engine/rundir"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// staged is an objective that trains in stages, at whose ends the average of the trained
// network becomes its teacher.
type staged interface {
	Stages() []int64 // their ends, in images
}

// alike says whether two networks differ in nothing, or in what is left out in training.
func alike(a, b nets.Network) bool {
	spec := b.Spec()
	spec.Dropout = a.Spec().Dropout
	b, err := b.Fit(spec)
	return err == nil && string(a.JSON()) == string(b.JSON())
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
	for s.number < len(ends)-1 && images >= ends[s.number] {
		s.number++
	}
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

// begins says whether it begins in a state, as another's end.
func (s stage) begins(in State) bool { return s.number > 0 && in.Images == s.begin }

// enterStage brings the teacher of the next step's stage to the device. Where the stage
// begins, that is the average of the network that is trained, which goes on from
// itself.
func (r *run) enterStage() error {
	next := r.stageAt(r.state.Images)
	if next.number == r.stage {
		return nil
	}
	teacher := slices.IndexFunc(r.trainer.frozen, func(f frozen) bool { return f.Name == teacherName })
	if teacher < 0 {
		return errors.New("an objective in stages without a teacher")
	}
	b := r.trainer.Buffers
	begins := next.begins(r.state)
	flat, err := r.stageTeacher(next, teacher)
	if err != nil {
		return err
	}
	r.sound = false
	err = r.memory.Write(r.trainer.frozen[teacher].weights, 0, flat)
	if begins {
		for _, weights := range b.weights() {
			err = errors.Join(err, r.trainer.Put(weights, flat))
		}
		err = errors.Join(err, r.forgetMoments())
	}
	if err = errors.Join(err, r.trainer.Refresh()); err == nil {
		r.stage, r.sound = next.number, true
	}
	return err
}

// stageTeacher is the weights of the teacher of a stage, the frozen network of that number.
// Of several processes the first has the folder, and brings them to the others.
func (r *run) stageTeacher(s stage, teacher int) (flat []float32, err error) {
	if r.group.Rank == 0 {
		if err = r.pause(); err == nil {
			flat, err = r.ownTeacher(s, teacher)
		}
		if lost := r.order(order{Kind: goesOn}); err == nil {
			err = lost
		}
	} else {
		flat, r.paused = make([]float32, r.trainer.frozen[teacher].weights.Size), true
		_, err = r.nextOrder()
	}
	r.group.SetLimit(collective.Limit{}) // the first may write the model of a stage
	if err = r.group.Agree(err); err == nil {
		err = r.group.BroadcastFloats(flat)
	}
	return flat, err
}

func (r *run) ownTeacher(s stage, teacher int) (flat []float32, err error) {
	if s.begins(r.state) {
		if _, err := os.Stat(r.stageDir(s.begin)); err != nil { // or the run goes on from this very end
			if err := r.leaveStage(s); err != nil {
				return nil, err
			}
		}
	}
	if s.number == 0 { // a run that recovers may go back behind the end of its first stage
		_, flat, err = model.ReadWeights(r.trainer.frozen[teacher].Dir)
		return flat, err
	}
	return r.stageWeights(s)
}

// forgetMoments has the optimizer begin anew.
func (r *run) forgetMoments() (err error) {
	zeros := make([]float32, nets.FlatSize(r.trainer.Trained.Params))
	for _, state := range r.trainer.Buffers.States {
		err = errors.Join(err, r.trainer.Put(state, zeros))
	}
	return err
}

// owed is the model of a stage that the disk has not taken yet.
type owed struct {
	snapshot
	number int
}

// leaveStage writes the model of the stage that ends where another begins. A disk that
// does not take it, as while it is full, ends nothing: it is written before the next
// checkpoint, which is of no use without.
func (r *run) leaveStage(next stage) error {
	if err := errors.Join(r.saver.wait(), r.pay()); err != nil { // there is memory for one copy beside the checkpoint's
		return err
	}
	snapshot, err := r.snapshot(r.state)
	if err != nil {
		return err
	}
	r.owed = &owed{snapshot, next.number}
	err = r.pay()
	if gone := (*rundir.GoneError)(nil); err != nil && !errors.As(err, &gone) {
		r.warn("no model of stage %d after %d images, the run goes on and tries again: %v", next.number, next.begin, err)
		return nil
	}
	return err
}

// pay writes the model of a stage that is owed.
func (r *run) pay() error {
	o := r.owed
	if o == nil {
		return nil
	}
	if err := r.folder.SaveStage(o.Images, func(dir string) error { return r.writeCheckpoint(dir, o.snapshot) }); err != nil {
		return err
	}
	r.owed = nil
	r.folder.Note("stage %d ends after %d images: %s", o.number, o.Images, r.stageDir(o.Images))
	return nil
}

// stageWeights are what a stage learns from: the average that the one before it ended with.
func (r *run) stageWeights(s stage) ([]float32, error) {
	if r.owed != nil && r.owed.Images == s.begin {
		return r.owed.flat[r.trainer.Buffers.EMA], nil
	}
	dir := r.stageDir(s.begin)
	network, flat, err := catalog.ReadModel(filepath.Join(dir, r.trainer.weightsDirs()[r.trainer.Buffers.EMA]))
	if err == nil && string(network.JSON()) != string(r.network.JSON()) {
		err = fmt.Errorf("it holds another network, %s of other sizes or kind", network.ClassName())
	}
	if err != nil {
		return nil, fmt.Errorf("%s, which the stage behind it learns from, cannot be read: %w; bring it back, or --from a checkpoint before it", dir, err)
	}
	return flat, nil
}
