package train

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"fluxion/engine/model"
	"fluxion/engine/plan"
	"fluxion/nets"
	"fluxion/nets/catalog"
	"fluxion/nets/pyjson"
	"fluxion/nets/safetensors"
)

// CheckpointError is a checkpoint that a run cannot go on from.
type CheckpointError struct {
	Path  string
	Err   error             // which file, and what is wrong with it
	Sound *model.Checkpoint // the newest before it that a run can go on from; nil: none
}

func (e *CheckpointError) Error() string {
	way := "there is no sound one before it; --fresh starts anew"
	if e.Sound != nil {
		way = fmt.Sprintf("%s is sound: --from %d goes on from it", e.Sound.Path, e.Sound.Images)
	}
	return fmt.Sprintf("the run cannot go on from checkpoint %s: %v; %s", e.Path, e.Err, way)
}

func (e *CheckpointError) Unwrap() error { return e.Err }

// restore reads the chosen checkpoint into the trainer's memory; found is false if
// there is none.
func (r *run) restore() (s State, found bool, err error) {
	if r.from == nil {
		return State{}, false, nil
	}
	var failed error
	s, take, err := r.read(*r.from, func(b *plan.Buffer, flat []float32) error {
		failed = r.keep(b, flat)
		return failed
	})
	var changed *ChangedError
	switch {
	case failed != nil, errors.As(err, &changed):
		return State{}, false, err
	case err != nil:
		return State{}, false, r.unusable(err)
	}
	for _, f := range take {
		err = errors.Join(err, f())
	}
	return s, true, errors.Join(err, r.trainer.Refresh())
}

// unusable is the error of a chosen checkpoint of which something is wrong.
func (r *run) unusable(err error) error {
	return &CheckpointError{r.from.Path, err, r.newestSound(r.from.Images)}
}

// newestSound finds the newest checkpoint before so many images that a run can go
// on from.
func (r *run) newestSound(before int64) *model.Checkpoint {
	all, err := model.Checkpoints(r.dir)
	if err != nil {
		return nil
	}
	for _, c := range slices.Backward(all) {
		if c.Images < before {
			if _, _, err := r.read(c, func(*plan.Buffer, []float32) error { return nil }); err == nil {
				return &c
			}
		}
	}
	return nil
}

// lastGood is the path of the newest sound checkpoint, "" if there is none.
func (r *run) lastGood() string {
	if c := r.newestSound(1 << 62); c != nil {
		return c.Path
	}
	return ""
}

// read reads a checkpoint and checks all of it. It hands each buffer to use, and
// returns what takes over that which hooks kept.
func (r *run) read(c model.Checkpoint, use func(*plan.Buffer, []float32) error) (s State, take []func() error, err error) {
	if s, err = readState(filepath.Join(c.Path, model.TrainingDir, stateFile), c.Images); err != nil {
		return State{}, nil, err
	}
	if _, _, err := readDataset(c.Path); err != nil {
		return State{}, nil, err
	}
	dirs := r.trainer.weightsDirs()
	for _, buffer := range r.trainer.Buffers.weights() {
		network, flat, err := catalog.ReadModel(filepath.Join(c.Path, dirs[buffer])) // which holds finite numbers
		if err != nil {
			return State{}, nil, err
		}
		if string(network.JSON()) != string(r.network.JSON()) {
			return State{}, nil, r.otherNetwork(network)
		}
		if err := use(buffer, flat); err != nil {
			return State{}, nil, err
		}
	}
	if err := r.readStates(filepath.Join(c.Path, model.TrainingDir, model.OptimizerFile), use); err != nil {
		return State{}, nil, err
	}
	take, err = r.readKept(filepath.Join(c.Path, model.TrainingDir))
	return s, take, err
}

// readState reads the numbers of the checkpoint after so many images.
func readState(path string, images int64) (s State, err error) {
	data, err := pyjson.ReadFile(path)
	if err != nil {
		return s, err
	}
	fault := func(format string, args ...any) (State, error) {
		return State{}, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
	}
	var keys map[string]any
	if err := pyjson.Decode(data, &keys); err != nil {
		return s, pyjson.In(path, err)
	}
	for _, key := range []string{"images", "steps", "loss"} {
		if _, number := keys[key].(float64); !number {
			return fault("key %s: want a number", key)
		}
	}
	if err := pyjson.Decode(data, &s); err != nil {
		return State{}, pyjson.In(path, err)
	}
	switch {
	case s.Images != images:
		return fault("key images: %d, want the %d that the folder is named by", s.Images, images)
	case s.Steps < 1 || s.Steps > s.Images:
		return fault("key steps: %d, want 1 to the number of images, %d", s.Steps, s.Images)
	case s.Recovered < 0:
		return fault("key recovered: %d, want 0 or more", s.Recovered)
	case s.Seconds < 0:
		return fault("key elapsed_seconds: %g, want 0 or more", s.Seconds)
	}
	return s, nil
}

// readKept reads what hooks kept in a checkpoint's folder training.
func (r *run) readKept(dir string) (take []func() error, err error) {
	for _, h := range r.all {
		if h.Keep == nil {
			continue
		}
		path := filepath.Join(dir, h.Keep.File)
		data, err := pyjson.ReadUpTo(MaxKept, path)
		if errors.Is(err, fs.ErrNotExist) {
			r.folder.Note("%s is not there: what it keeps begins anew", path)
			continue
		}
		if err != nil {
			return nil, err
		}
		f, err := h.Keep.Load(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		take = append(take, f)
	}
	return take, nil
}

// readStates reads the optimizer's buffers.
func (r *run) readStates(path string, use func(*plan.Buffer, []float32) error) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	states := r.trainer.Buffers.States
	if want := len(states) * len(r.trainer.Trained.Params); len(f.Tensors) != want {
		return &safetensors.FormatError{File: path, Problem: fmt.Sprintf("%d tensors, want %d", len(f.Tensors), want)}
	}
	flat := make([]float32, nets.FlatSize(r.trainer.Trained.Params))
	for i, b := range states {
		for _, p := range r.trainer.Trained.Params {
			values := make([]float32, p.Size())
			name := prefix(b) + p.Name
			if t, ok := f.Lookup(name); !ok || !slices.Equal(t.Shape, p.Stored) {
				return &safetensors.FormatError{File: path, Tensor: name, Problem: fmt.Sprintf("want a tensor of shape %v", p.Stored)}
			}
			if err := f.ReadFloat32(name, values); err != nil {
				return err
			}
			if !finite(values) {
				return &safetensors.FormatError{File: path, Tensor: name, Problem: "holds values that are not finite"}
			}
			if r.trainer.optimizer.states[i].squares && slices.Min(values) < 0 {
				return &safetensors.FormatError{File: path, Tensor: name, Problem: "holds values below 0, want a mean of squares"}
			}
			nets.FromStored(p, values, flat)
		}
		if err := use(b, flat); err != nil {
			return err
		}
	}
	return nil
}

// badTensor names the first tensor of a buffer that is not finite.
func badTensor(params []nets.Param, flat []float32) string {
	for _, p := range params {
		if !finite(flat[p.Offset:][:p.Size()]) {
			return p.Name
		}
	}
	return ""
}
