package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"fluxion/engine/model"
	"fluxion/engine/plan"
	"fluxion/engine/scheduler"
	"fluxion/nets"
	"fluxion/nets/pyjson"
	"fluxion/nets/safetensors"
)

// State is what a run needs besides tensors to go on to the bit.
type State struct {
	Images int64   `json:"images"` // seen
	Steps  int64   `json:"steps"`
	Loss   float64 `json:"loss"` // running mean, as shown

	Seconds float64 `json:"elapsed_seconds"` // that the run took, over all its processes
}

// A checkpoint's folder training holds, besides what package model knows of:
const (
	stateFile = "state.json"
	timesFile = "times.json" // of adaptive times
)

// moments are the optimizer's buffers and the prefixes of their tensors.
var moments = map[string]plan.Region{"moment1.": plan.Moment1, "moment2.": plan.Moment2}

// snapshot is the state of a run in the memory of the host.
type snapshot struct {
	State
	flat  map[plan.Region][]float32
	times []byte // state of adaptive times; nil without
}

// snapshot copies the state off the device; the run can go on while it is written.
func (r *run) snapshot(s State) (snapshot, error) {
	c := snapshot{State: s, flat: map[plan.Region][]float32{}}
	if a := r.objective.Times.Adaptive; a != nil {
		var err error
		if c.times, err = a.MarshalState(); err != nil {
			return c, err
		}
	}
	for _, region := range []plan.Region{plan.Parameters, plan.Average, plan.Moment1, plan.Moment2} {
		c.flat[region] = make([]float32, nets.FlatSize(r.trainer.Graph.Params))
		if err := r.memory.Read(region, 0, c.flat[region]); err != nil {
			return c, err
		}
	}
	return c, nil
}

// checkpoint writes the state of a run to its folder: first beside its place,
// synced, then renamed, so that a folder of that name is always whole.
func (r *run) checkpoint(s snapshot) (string, error) {
	parent := filepath.Join(r.dir, model.CheckpointsDir)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return "", err
	}
	final := filepath.Join(parent, strconv.FormatInt(s.Images, 10))
	if _, err := os.Stat(final); err == nil {
		return final, nil // this state is saved already
	}
	tmp, err := os.MkdirTemp(parent, temporary+"*")
	if err != nil {
		return "", err
	}
	if err := errors.Join(r.writeCheckpoint(tmp, s), os.Chmod(tmp, 0o777&^umask())); err != nil {
		return "", errors.Join(fmt.Errorf("checkpoint %s: %w", final, err), os.RemoveAll(tmp))
	}
	if err := errors.Join(syncTree(tmp), os.Rename(tmp, final), syncDir(parent)); err != nil {
		return "", errors.Join(fmt.Errorf("checkpoint %s: %w", final, err), os.RemoveAll(tmp))
	}
	return final, r.prune()
}

// temporary begins the names of folders that are not whole.
const temporary = ".incomplete-"

func (r *run) writeCheckpoint(dir string, s snapshot) error {
	params := r.trainer.Graph.Params
	for _, sub := range []string{model.WeightsDir, model.AverageDir, "scheduler", model.TrainingDir} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o777); err != nil {
			return err
		}
	}
	if err := nets.WriteModel(filepath.Join(dir, model.WeightsDir), r.config, params, s.flat[plan.Parameters]); err != nil {
		return err
	}
	if err := nets.WriteModel(filepath.Join(dir, model.AverageDir), r.config, params, s.flat[plan.Average]); err != nil {
		return err
	}
	state, err := json.MarshalIndent(s.State, "", "  ")
	if err != nil {
		return err
	}
	if err := r.writeMoments(filepath.Join(dir, model.TrainingDir, model.OptimizerFile), s); err != nil {
		return err
	}
	all := map[string][]byte{
		"scheduler/scheduler_config.json":                   r.scheduler.Bytes(),
		"model_index.json":                                  modelIndex(r.scheduler.Name),
		filepath.Join(model.TrainingDir, stateFile):         append(state, '\n'),
		filepath.Join(model.TrainingDir, model.ClassesFile): r.classes(),
	}
	if s.times != nil {
		all[filepath.Join(model.TrainingDir, timesFile)] = s.times
	}
	for name, data := range all {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// modelIndex is the pipeline's own file.
func modelIndex(class string) []byte {
	return pyjson.Marshal(map[string]any{
		"_class_name":        "DDPMPipeline",
		"_diffusers_version": scheduler.Version,
		"scheduler":          []any{"diffusers", class},
		"unet":               []any{"diffusers", "UNet2DModel"},
	})
}

func (r *run) writeMoments(path string, s snapshot) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var tensors []safetensors.Tensor
	places := map[string]func(dst []float32){}
	for _, t := range nets.Tensors(r.trainer.Graph.Params) {
		i := slices.IndexFunc(r.trainer.Graph.Params, func(p nets.Param) bool { return p.Name == t.Name })
		p := r.trainer.Graph.Params[i]
		for prefix, region := range moments {
			t.Name = prefix + p.Name
			tensors = append(tensors, t)
			places[t.Name] = func(dst []float32) { nets.ToStored(p, s.flat[region], dst) }
		}
	}
	err = safetensors.Write(f, tensors, map[string]string{"format": "pt"}, func(t safetensors.Tensor, w io.Writer) error {
		values := make([]float32, t.Elements())
		places[t.Name](values)
		return safetensors.WriteFloat32(w, values)
	})
	return errors.Join(err, f.Close())
}

// restore reads the newest checkpoint into the trainer's memory; found is false
// if there is none.
func (r *run) restore() (s State, found bool, err error) {
	all, err := model.Checkpoints(r.dir)
	if err != nil || len(all) == 0 {
		return State{}, false, err
	}
	dir := all[len(all)-1].Path
	data, err := os.ReadFile(filepath.Join(dir, model.TrainingDir, stateFile))
	if err != nil {
		return State{}, false, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, false, fmt.Errorf("%s: %w", filepath.Join(dir, model.TrainingDir, stateFile), err)
	}
	for sub, region := range map[string]plan.Region{model.WeightsDir: plan.Parameters, model.AverageDir: plan.Average} {
		config, flat, err := nets.ReadModel(filepath.Join(dir, sub))
		if err != nil {
			return State{}, false, err
		}
		if string(config.JSON()) != string(r.config.JSON()) {
			return State{}, false, fmt.Errorf("%s holds another network than the run's", filepath.Join(dir, sub))
		}
		if err := r.memory.Write(region, 0, flat); err != nil {
			return State{}, false, err
		}
	}
	if err := r.readMoments(filepath.Join(dir, model.TrainingDir, model.OptimizerFile)); err != nil {
		return State{}, false, err
	}
	if err := r.readTimes(filepath.Join(dir, model.TrainingDir, timesFile)); err != nil {
		return State{}, false, err
	}
	return s, true, r.trainer.Refresh()
}

// readTimes restores what adaptive times have learnt. They begin anew where the
// run drew its times otherwise so far.
func (r *run) readTimes(path string) error {
	a := r.objective.Times.Adaptive
	if a == nil {
		return nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = a.UnmarshalState(data)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (r *run) readMoments(path string) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if want := len(moments) * len(r.trainer.Graph.Params); len(f.Tensors) != want {
		return &safetensors.FormatError{File: path, Problem: fmt.Sprintf("%d tensors, want %d", len(f.Tensors), want)}
	}
	flat := make([]float32, nets.FlatSize(r.trainer.Graph.Params))
	for prefix, region := range moments {
		for _, p := range r.trainer.Graph.Params {
			values := make([]float32, p.Size())
			name := prefix + p.Name
			if t, ok := f.Lookup(name); !ok || !slices.Equal(t.Shape, p.Stored) {
				return &safetensors.FormatError{File: path, Tensor: name, Problem: fmt.Sprintf("want a tensor of shape %v", p.Stored)}
			}
			if err := f.ReadFloat32(name, values); err != nil {
				return err
			}
			nets.FromStored(p, values, flat)
		}
		if err := r.memory.Write(region, 0, flat); err != nil {
			return err
		}
	}
	return nil
}

// prune removes all but the newest checkpoints. A folder is renamed first, so
// that what is half removed is not taken for a checkpoint.
func (r *run) prune() error {
	all, err := model.Checkpoints(r.dir)
	if err != nil {
		return err
	}
	for ; len(all) > r.settings.Keep; all = all[1:] {
		doomed := filepath.Join(filepath.Dir(all[0].Path), temporary+filepath.Base(all[0].Path))
		if err := errors.Join(os.Rename(all[0].Path, doomed), os.RemoveAll(doomed)); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what a killed run left half written.
func sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, model.CheckpointsDir, temporary+"*"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// syncTree syncs every file and folder below dir.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncDir(path)
	})
}

// syncDir syncs one file or folder.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// classes are the names for model.ClassesFile; the network's table has one more row, for none.
func (r *run) classes() []byte {
	names := r.data.Classes()
	if names == nil {
		names = []string{}
	}
	data, _ := json.Marshal(names) // strings always encode
	return append(data, '\n')
}
