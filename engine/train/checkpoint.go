package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"fluxion/engine/model"
	"fluxion/engine/plan"
	"fluxion/engine/rundir"
	"fluxion/nets"
	"fluxion/nets/safetensors"
)

// State is what a run needs besides tensors to go on to the bit.
type State struct {
	Images int64   `json:"images"` // seen
	Steps  int64   `json:"steps"`
	Loss   float64 `json:"loss"` // running mean, as shown

	Recovered int `json:"recovered,omitempty"` // how often the run had diverged

	Seconds float64 `json:"elapsed_seconds"` // that the run took, over all its processes
}

// stateFile is in a checkpoint's folder training.
const stateFile = "state.json"

// trainingFiles are all that are there, but for those that hooks keep.
var trainingFiles = []string{stateFile, dataFile, model.ClassesFile, model.FewFile, model.GuidanceFile, model.OptimizerFile, filepath.Base(rundir.SettingsFile)}

// prefix is that of the tensors of an optimizer's state.
func prefix(state *plan.Buffer) string { return state.Name + "." }

// stored are the buffers that a checkpoint holds.
func (b Buffers) stored() []*plan.Buffer {
	return append(b.weights(), b.States...)
}

// weightsDirs are the folders of the weights and their averages, by buffer.
func (s *Step) weightsDirs() map[*plan.Buffer]string {
	dirs := map[*plan.Buffer]string{s.Buffers.Parameters: model.WeightsDir, s.Buffers.EMA: model.EMADir}
	for i, b := range s.Buffers.MoreEMAs {
		dirs[b] = model.EMADirOf(s.MoreEMAs[i])
	}
	return dirs
}

// snapshot is the state of a run in the memory of the host.
type snapshot struct {
	State
	flat map[*plan.Buffer][]float32
	kept map[string][]byte // by hooks, by the names of their files
	norm float64           // of the last gradients
}

// snapshot copies the state off the device; the run can go on while it is written.
func (r *run) snapshot(s State) (snapshot, error) {
	c := snapshot{State: s, flat: map[*plan.Buffer][]float32{}, kept: map[string][]byte{}, norm: r.last.GradNorm}
	for _, h := range r.all {
		if h.Keep == nil {
			continue
		}
		data, err := h.Keep.Store()
		if err == nil && len(data) > MaxKept {
			err = fmt.Errorf("hook %q keeps %d bytes in %s, want at most %d", h.Name, len(data), h.Keep.File, MaxKept)
		}
		if err != nil {
			return c, err
		}
		c.kept[h.Keep.File] = data
	}
	for _, b := range r.trainer.Buffers.stored() {
		flat, err := r.collect(b)
		if err != nil {
			return c, err
		}
		c.flat[b] = flat
	}
	return c, nil
}

// checkpoint writes the state of a run to its folder, or beside it if that is gone.
func (r *run) checkpoint(s snapshot) (string, error) {
	for _, b := range r.trainer.Buffers.stored() {
		if bad := badTensor(r.trainer.Trained.Params, s.flat[b]); bad != "" {
			return "", &NotFiniteError{Images: s.Images, Loss: s.Loss, Norm: s.norm, Where: fmt.Sprintf("%v of %s", b, bad), Last: r.lastGood()}
		}
	}
	if err := r.pay(); err != nil {
		return "", err
	}
	fill := func(dir string) error { return r.writeCheckpoint(dir, s) }
	path, err := r.folder.Save(s.Images, fill)
	var gone *rundir.GoneError
	if errors.As(err, &gone) {
		rescued, failed := r.folder.Rescue(s.Images, fill)
		if failed != nil {
			return "", errors.Join(err, failed)
		}
		gone.Rescued = rescued
	}
	return path, err
}

func (r *run) writeCheckpoint(dir string, s snapshot) error {
	params := r.trainer.Trained.Params
	for _, sub := range []string{"scheduler", model.TrainingDir} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o777); err != nil {
			return err
		}
	}
	for b, sub := range r.trainer.weightsDirs() {
		path := filepath.Join(dir, sub)
		if err := os.Mkdir(path, 0o777); err != nil {
			return err
		}
		if err := nets.WriteModel(path, r.network, params, s.flat[b]); err != nil {
			return err
		}
	}
	state, err := json.MarshalIndent(s.State, "", "  ")
	if err != nil {
		return err
	}
	if err := r.writeStates(filepath.Join(dir, model.TrainingDir, model.OptimizerFile), s); err != nil {
		return err
	}
	all := map[string][]byte{
		"scheduler/scheduler_config.json":                   r.scheduler.Bytes(),
		"model_index.json":                                  model.Index(r.scheduler.Name, r.network.ClassName()),
		filepath.Join(model.TrainingDir, stateFile):         append(state, '\n'),
		filepath.Join(model.TrainingDir, model.ClassesFile): r.classes(),
		filepath.Join(model.TrainingDir, dataFile):          r.dataset.json(),
	}
	if few := r.objective.Few(s.Images); few != nil {
		text, err := json.MarshalIndent(few, "", "  ")
		if err != nil {
			return err
		}
		all[filepath.Join(model.TrainingDir, model.FewFile)] = append(text, '\n')
	}
	if scale := r.baked(); scale != 0 {
		all[filepath.Join(model.TrainingDir, model.GuidanceFile)] = model.BakedGuidance(scale)
	}
	if r.decoding != nil {
		if err := model.KeepAutoencoder(r.decoding.Dir, filepath.Join(dir, model.AutoencoderDir)); err != nil {
			return err
		}
		maps.Copy(all, model.LatentFiles(r.scheduler.Name, r.network.ClassName(), r.nullClass(), r.nullClass() > 0 && r.settings.LabelDrop > 0))
	}
	for name, data := range s.kept {
		all[filepath.Join(model.TrainingDir, name)] = data
	}
	for name, data := range all {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) writeStates(path string, s snapshot) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var tensors []safetensors.Tensor
	places := map[string]func(dst []float32){}
	for _, t := range nets.Tensors(r.trainer.Trained.Params) {
		i := slices.IndexFunc(r.trainer.Trained.Params, func(p nets.Param) bool { return p.Name == t.Name })
		p := r.trainer.Trained.Params[i]
		for _, b := range r.trainer.Buffers.States {
			t.Name = prefix(b) + p.Name
			tensors = append(tensors, t)
			places[t.Name] = func(dst []float32) { nets.ToStored(p, s.flat[b], dst) }
		}
	}
	err = safetensors.Write(f, tensors, map[string]string{"format": "pt"}, func(t safetensors.Tensor, w io.Writer) error {
		values := make([]float32, t.Elements())
		places[t.Name](values)
		return safetensors.WriteFloat32(w, values)
	})
	return errors.Join(err, f.Close())
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
