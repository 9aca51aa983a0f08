package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"fluxion/data/durable"
	"fluxion/engine/scheduler"
	"fluxion/nets"
	"fluxion/nets/autoencoder"
	"fluxion/nets/catalog"
	"fluxion/nets/pyjson"
	"fluxion/nets/safetensors"
)

// A model in one file has what a folder has in files of its own as texts, by their names:
// in the metadata of safetensors, or beside the tensors of a .npz.
const (
	ConfigPart      = "config.json"
	SchedulerPart   = "scheduler_config.json"
	AutoencoderPart = AutoencoderDir + "/config.json"
)

// AutoencoderPrefix begins the names of the tensors of the autoencoder, whose text is
// AutoencoderPart. They are float32, whatever the type of the others: latents are of those.
const AutoencoderPrefix = AutoencoderDir + "."

// kept are the files of TrainingDir that go with a model wherever it goes.
var kept = []string{ClassesFile, DataFile, FewFile, GuidanceFile, LabelsFile, SettingsFile, OriginFile}

// PartNames are the names of all texts of a model in one file.
func PartNames() []string {
	return append([]string{ConfigPart, SchedulerPart, AutoencoderPart}, kept...)
}

// readParts reads those that a folder has.
func readParts(dir string) (map[string][]byte, error) {
	parts := map[string][]byte{}
	for _, name := range kept {
		text, err := pyjson.ReadFile(filepath.Join(dir, name))
		switch {
		case err == nil:
			parts[name] = text
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return parts, nil
}

// Parts are the texts of TrainingDir that go with the model, its Origin among them. They name
// no folders of the machine that trained: a model is given to others.
func (m *Model) Parts() (map[string][]byte, error) {
	parts := maps.Clone(m.parts)
	if settings := parts[SettingsFile]; settings != nil {
		parts[SettingsFile] = withoutPaths(settings)
	}
	origin, err := json.MarshalIndent(m.Origin(), "", "  ")
	parts[OriginFile] = append(origin, '\n')
	return parts, err
}

// AllParts are those, the configurations of network and scheduler, and that of the autoencoder
// of a model of latents, which is returned, too; nil: the model makes images.
func (m *Model) AllParts() (parts map[string][]byte, vae *autoencoder.Model, err error) {
	if parts, err = m.Parts(); err != nil {
		return nil, nil, err
	}
	parts[ConfigPart], parts[SchedulerPart] = m.Network.JSON(), m.scheduler
	if m.Autoencoder != "" {
		if vae, err = m.ReadAutoencoder(); err != nil {
			return nil, nil, err
		}
		parts[AutoencoderPart] = vae.JSON()
	}
	return parts, vae, nil
}

// WriteFile writes the model as one safetensors file.
func (m *Model) WriteFile(disk durable.Disk, path string, as safetensors.Dtype) error {
	parts, vae, err := m.AllParts()
	if err != nil {
		return err
	}
	all := []nets.Part{{As: as, Params: nets.Params(m.Network), Flat: m.Weights}}
	if vae != nil {
		all = append(all, nets.Part{Prefix: AutoencoderPrefix, As: safetensors.F32, Params: vae.Params, Flat: vae.Flat})
	}
	metadata := map[string]string{"format": "pt"}
	for name, text := range parts {
		metadata[name] = string(text)
	}
	if err := disk.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	return disk.Write(path, func(w io.Writer) error {
		return nets.WriteParts(w, metadata, all...)
	})
}

// isModelFile says whether a file is a model in one: one of safetensors, arrays that say what
// network they are of, or a file of PyTorch's beside a configuration.
func isModelFile(path string) bool {
	if !isFile(path) {
		return false
	}
	switch ending := strings.ToLower(filepath.Ext(path)); ending {
	case ".safetensors":
		return true
	case ArraysEnding:
		_, err := arrayParts(path)
		return err == nil
	case ".bin", ".pt", ".pth", ".ckpt":
		return isFile(filepath.Join(filepath.Dir(path), ConfigPart))
	}
	return false
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// readFile reads a model from one file.
func readFile(path, weights string, ignore []string) (*Model, error) {
	if weights != EMA {
		return nil, fmt.Errorf("%s is one file with one set of weights; want the weights %s, not %s", path, EMA, weights)
	}
	f, parts, err := openFile(path, ignore)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := FromTensors(parts, f, ignore...)
	if err != nil {
		return nil, err
	}
	if m.Autoencoder != "" {
		m.vae = func(ignore ...string) (*autoencoder.Model, error) {
			f, _, err := openFile(path, ignore)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			return autoencoder.FromTensors(parts[AutoencoderPart], nets.TensorsWithin(f, AutoencoderPrefix), ignore...)
		}
	} else if s, ok := f.(*safetensors.File); !IsArrays(path) && (!ok || s.Metadata[ConfigPart] == "") { // it lies in a pipeline, perhaps
		m.Autoencoder = findAutoencoder(filepath.Join(filepath.Dir(path), ".."))
		m.Floats = m.Floats || m.Autoencoder != ""
	}
	return m, nil
}

// openFile opens a model in one file, and finds its texts: in the metadata, or else in the
// config.json beside it and where a pipeline has the others, in that folder or around it.
func openFile(path string, ignore []string) (f nets.TensorFile, parts map[string][]byte, err error) {
	if IsArrays(path) {
		return OpenArrays(path, ignore...)
	}
	if err = nets.IsLabels(path); err != nil {
		return nil, nil, err
	}
	if f, err = nets.OpenTensors(path); err != nil {
		return nil, nil, err
	}
	if s, ok := f.(*safetensors.File); ok && s.Metadata[ConfigPart] != "" {
		parts = map[string][]byte{}
		for _, name := range PartNames() {
			if text, there := s.Metadata[name]; there {
				parts[name] = []byte(text)
			}
		}
		return f, parts, nil
	}
	if parts, err = partsAround(filepath.Dir(path), ignore); errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s says nothing of its network; want a file of convert, or one with the %s of diffusers beside it", path, ConfigPart)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, parts, nil
}

// partsAround are the texts of a folder with a network, which may be in a pipeline's.
func partsAround(dir string, ignore []string) (map[string][]byte, error) {
	config, err := pyjson.ReadFile(filepath.Join(dir, ConfigPart))
	if err != nil {
		return nil, err
	}
	for _, root := range []string{dir, filepath.Join(dir, "..")} {
		c, err := scheduler.Open(root, ignore...)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		parts, err := readParts(filepath.Join(root, TrainingDir))
		if err != nil {
			return nil, err
		}
		parts[ConfigPart], parts[SchedulerPart] = config, c.Bytes()
		return parts, nil
	}
	return map[string][]byte{ConfigPart: config}, nil
}

// fileParts are the texts of a model in one file.
func fileParts(path string, ignore []string) (map[string][]byte, error) {
	if IsArrays(path) { // whose numbers take longer than those of other files
		return arrayParts(path)
	}
	f, parts, err := openFile(path, ignore)
	if err != nil {
		return nil, err
	}
	return parts, f.Close()
}

// ReadNetwork reads the network of a run, a checkpoint, a model of diffusers or a model in
// one file, and says where it lies. Its weights are not read.
func ReadNetwork(path string, ignore ...string) (n nets.Network, where string, err error) {
	if !isFile(path) {
		if where, err = Newest(path); err == nil {
			n, err = catalog.ReadConfig(where, ignore...)
		}
		return n, where, err
	}
	parts, err := fileParts(path, ignore)
	if err == nil {
		n, err = catalog.Parse(parts[ConfigPart], ignore...)
	}
	return n, path, pyjson.In(path, err)
}

// ReadWeights reads a network, as a denoiser, and its weights from where Read found them: a
// folder of them, or a model in one file.
func ReadWeights(path string) (nets.Network, []float32, error) {
	if !isFile(path) {
		return catalog.ReadDenoiser(path)
	}
	m, err := Read(path, EMA)
	if err != nil {
		return nil, nil, err
	}
	return m.Network, m.Weights, nil
}

// SettingsOf are those of the run that a checkpoint, a pipeline or a model in one file is of, as
// they are kept there; nil: none are.
func SettingsOf(path string, ignore ...string) (text []byte, where string, err error) {
	if isFile(path) {
		parts, err := fileParts(path, ignore)
		return parts[SettingsFile], path + "!" + SettingsFile, err
	}
	where = filepath.Join(path, TrainingDir, SettingsFile)
	text, err = pyjson.ReadFile(where)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, where, nil
	}
	return text, where, err
}

// FromTensors makes a model of the texts of AllParts and an open file of tensors.
func FromTensors(parts map[string][]byte, f nets.TensorFile, ignore ...string) (*Model, error) {
	m := &Model{Path: f.Path(), Root: f.Path(), from: f.Path(), weights: EMA, parts: map[string][]byte{}}
	denoiser := f
	if config := parts[AutoencoderPart]; config != nil {
		denoiser = nets.TensorsWithout(f, AutoencoderPrefix)
		m.Autoencoder, m.vae = f.Path(), func(ignore ...string) (*autoencoder.Model, error) {
			return autoencoder.FromTensors(config, nets.TensorsWithin(f, AutoencoderPrefix), ignore...)
		}
	}
	var err error
	if m.Network, m.Weights, err = catalog.ReadTensors(parts[ConfigPart], denoiser, ignore...); err != nil {
		return nil, err
	}
	for _, name := range kept {
		if text, there := parts[name]; there {
			m.parts[name] = text
		}
	}
	var config scheduler.Config
	if text := parts[SchedulerPart]; text != nil {
		config, err = scheduler.Parse(f.Path()+"!"+SchedulerPart, text, ignore...)
	} else {
		config, err = m.assumed()
	}
	if err != nil {
		return nil, err
	}
	return m, m.heed(config, f.Path()+"!")
}
