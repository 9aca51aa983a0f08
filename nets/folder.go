package nets

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"fluxion/data/float16"
	"fluxion/nets/pyjson"
	"fluxion/nets/safetensors"
)

// The files of a model in a diffusers folder.
const (
	configFile    = "config.json"
	weightsFile   = "diffusion_pytorch_model.safetensors"
	indexFile     = "diffusion_pytorch_model.safetensors.index.json"
	componentName = "unet"
)

// metadata is what diffusers writes into every safetensors file.
var metadata = map[string]string{"format": "pt"}

// WriteModel writes config.json and the weights into an existing folder, and
// syncs both; the bytes are those of diffusers. To be safe against crashes the
// caller gives a temporary folder and renames it.
func WriteModel(dir string, n Network, params []Param, flat []float32) error {
	return WriteModelAs(safetensors.F32, dir, n, params, flat)
}

// Configured is a network, of whatever kind, as its folder has it.
type Configured interface {
	// JSON is its config.json, to the byte.
	JSON() []byte
}

// WriteModelAs writes a model with weights of another type, as diffusers does for a
// pipeline of that type.
func WriteModelAs(as safetensors.Dtype, dir string, n Configured, params []Param, flat []float32) error {
	if len(flat) < FlatSize(params) {
		return fmt.Errorf("writing %s: the flat buffer has %d floats, want %d", dir, len(flat), FlatSize(params))
	}
	return writeModel(as, dir, weightsFile, n, params, flat)
}

// writeModel writes a configuration, and parameters to a file beside it.
func writeModel(as safetensors.Dtype, dir, file string, n Configured, params []Param, flat []float32) error {
	err := writeFile(filepath.Join(dir, configFile), func(w io.Writer) error {
		_, err := w.Write(n.JSON())
		return err
	})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, file), func(w io.Writer) error { return WriteWeights(w, as, params, flat, metadata) })
}

// WriteWeights writes parameters of a flat buffer as a safetensors file of a type.
func WriteWeights(w io.Writer, as safetensors.Dtype, params []Param, flat []float32, metadata map[string]string) error {
	return WriteParts(w, metadata, Part{As: as, Params: params, Flat: flat})
}

// Part is parameters in a file with others.
type Part struct {
	Prefix string // of the names of its tensors
	As     safetensors.Dtype
	Params []Param
	Flat   []float32
}

// WriteParts writes parameters of several networks as one safetensors file.
func WriteParts(w io.Writer, metadata map[string]string, parts ...Part) error {
	type place struct {
		Part
		of Param
	}
	byName := map[string]place{}
	var tensors []safetensors.Tensor
	largest := 0
	for _, part := range parts {
		for i, t := range TensorsAs(part.As, part.Params) {
			t.Name = part.Prefix + t.Name
			byName[t.Name], tensors = place{part, part.Params[i]}, append(tensors, t)
			largest = max(largest, part.Params[i].Size())
		}
	}
	scratch := make([]float32, largest)
	return safetensors.Write(w, tensors, metadata, func(t safetensors.Tensor, w io.Writer) error {
		p := byName[t.Name]
		ToStored(p.of, p.Flat, scratch[:p.of.Size()])
		return safetensors.WriteNumbers(w, p.As, scratch[:p.of.Size()])
	})
}

// TooLarge names the first tensor that has a number too large for a type; "" if there is none.
func TooLarge(as safetensors.Dtype, params []Param, flat []float32) string {
	for _, p := range params {
		values := flat[p.Offset:][:p.Size()]
		if as == safetensors.F16 && max(slices.Max(values), -slices.Min(values)) >= float16.Infinite {
			return p.Name
		}
	}
	return ""
}

// Tensors lists parameters as a safetensors file has them.
func Tensors(params []Param) []safetensors.Tensor { return TensorsAs(safetensors.F32, params) }

// TensorsAs lists them as a file of a type has them.
func TensorsAs(as safetensors.Dtype, params []Param) []safetensors.Tensor {
	out := make([]safetensors.Tensor, len(params))
	for i, p := range params {
		out[i] = safetensors.Tensor{Name: p.Name, Dtype: as, Shape: p.Stored}
	}
	return out
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// ReadConfig reads the network of a model: from the folder LabelsDir or unet below dir
// if there is one, else from dir itself. Unknown keys to ignore are left out.
func (c Classes) ReadConfig(dir string, ignore ...string) (Network, error) {
	n, _, err := c.open(dir, ignore)
	return n, err
}

func (c Classes) open(dir string, ignore []string) (Network, Class, error) {
	path := filepath.Join(component(dir), configFile)
	data, err := pyjson.ReadFile(path)
	if err != nil {
		return nil, Class{}, fmt.Errorf("%w (want the folder of a diffusers model)", err)
	}
	n, class, err := c.parse(data, ignore...)
	var fault *ConfigError
	switch {
	case errors.As(err, &fault):
		fault.File = path
		return nil, class, err
	case err != nil:
		return nil, class, pyjson.In(path, err)
	}
	return n, class, nil
}

// Parse reads the network of a config.json.
func (c Classes) Parse(data []byte, ignore ...string) (Network, error) {
	n, _, err := c.parse(data, ignore...)
	return n, err
}

func (c Classes) parse(data []byte, ignore ...string) (n Network, class Class, err error) {
	if class, err = c.find(data); err != nil {
		return n, class, err
	}
	if class.Import == nil {
		n, err = class.Parse(data, ignore...)
		return n, class, err
	}
	imported, err := class.Import(data, ignore...)
	class.imported = &imported
	return imported.Network, class, err
}

func component(dir string) string {
	for _, name := range []string{LabelsDir, componentName} {
		sub := filepath.Join(dir, name)
		if info, err := os.Stat(sub); err == nil && info.IsDir() {
			return sub
		}
	}
	return dir
}

// ReadModel reads a model as ReadConfig finds it, and returns its weights as
// the flat buffer of its parameters. Every tensor that is missing, left over or
// of the wrong shape is named; so is the first that is not finite.
func (c Classes) ReadModel(dir string, ignore ...string) (Network, []float32, error) {
	return c.read(dir, false, ignore)
}

// ReadDenoiser reads a model as ReadModel does, but of a network that gives more than
// the denoised image the one that does not: see Network.Denoiser.
func (c Classes) ReadDenoiser(dir string, ignore ...string) (Network, []float32, error) {
	return c.read(dir, true, ignore)
}

func (c Classes) read(dir string, denoiser bool, ignore []string) (Network, []float32, error) {
	n, class, err := c.open(dir, ignore)
	if err != nil {
		return nil, nil, err
	}
	open := openWeights
	if hasLabels(component(dir)) {
		open = openLabels
	}
	stored, err := open(component(dir), class.ModernName)
	if err != nil {
		return nil, nil, err
	}
	defer stored.Close()
	if class.imported != nil {
		return stored.importNetwork(*class.imported)
	}
	return stored.read(n, denoiser)
}

// ReadTensors reads a model as ReadDenoiser does, from a config.json and an open file.
func (c Classes) ReadTensors(config []byte, f TensorFile, ignore ...string) (Network, []float32, error) {
	n, class, err := c.parse(config, ignore...)
	if err != nil {
		return nil, nil, pyjson.In(f.Path(), err)
	}
	stored := &weights{path: f.Path(), entries: map[string]entry{}}
	if err := stored.add(f, class.ModernName); err != nil {
		return nil, nil, err
	}
	if class.imported != nil {
		return stored.importNetwork(*class.imported)
	}
	return stored.read(n, true)
}
