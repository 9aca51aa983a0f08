package nets

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/nets/safetensors"
)

// The files of a model in a diffusers folder.
const (
	configFile    = "config.json"
	weightsFile   = "diffusion_pytorch_model.safetensors"
	indexFile     = "diffusion_pytorch_model.safetensors.index.json"
	pickleFile    = "diffusion_pytorch_model.bin"
	componentName = "unet"
)

// metadata is what diffusers writes into every safetensors file.
var metadata = map[string]string{"format": "pt"}

// WriteModel writes config.json and the weights into an existing folder, and
// syncs both; the bytes are those of diffusers. To be safe against crashes the
// caller gives a temporary folder and renames it.
func WriteModel(dir string, c Config, params []Param, flat []float32) error {
	if len(flat) < FlatSize(params) {
		return fmt.Errorf("writing %s: the flat buffer has %d floats, want %d", dir, len(flat), FlatSize(params))
	}
	err := writeFile(filepath.Join(dir, configFile), func(w io.Writer) error {
		_, err := w.Write(c.JSON())
		return err
	})
	if err != nil {
		return err
	}
	byName := map[string]Param{}
	largest := 0
	for _, p := range params {
		byName[p.Name] = p
		largest = max(largest, p.Size())
	}
	scratch := make([]float32, largest)
	return writeFile(filepath.Join(dir, weightsFile), func(w io.Writer) error {
		return safetensors.Write(w, Tensors(params), metadata, func(t safetensors.Tensor, w io.Writer) error {
			p := byName[t.Name]
			ToStored(p, flat, scratch[:p.Size()])
			return safetensors.WriteFloat32(w, scratch[:p.Size()])
		})
	})
}

// Tensors lists parameters as a safetensors file has them.
func Tensors(params []Param) []safetensors.Tensor {
	out := make([]safetensors.Tensor, len(params))
	for i, p := range params {
		out[i] = safetensors.Tensor{Name: p.Name, Dtype: safetensors.F32, Shape: p.Stored}
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

// ReadConfig reads the configuration of a model: from the folder unet below dir
// if there is one, else from dir itself.
func ReadConfig(dir string) (Config, error) {
	path := filepath.Join(component(dir), configFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("%w (want the folder of a diffusers model)", err)
	}
	c, err := ParseConfig(data)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func component(dir string) string {
	sub := filepath.Join(dir, componentName)
	if info, err := os.Stat(sub); err == nil && info.IsDir() {
		return sub
	}
	return dir
}

// ReadModel reads a model as ReadConfig finds it, and returns its weights as
// the flat buffer of Config.Params. Every tensor that is missing, left over or
// of the wrong shape is named; so is the first that is not finite.
func ReadModel(dir string) (Config, []float32, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return Config{}, nil, err
	}
	stored, err := openWeights(component(dir))
	if err != nil {
		return Config{}, nil, err
	}
	defer stored.Close()
	params := c.Params()
	if err := stored.match(params); err != nil {
		return Config{}, nil, err
	}
	flat := make([]float32, FlatSize(params))
	var scratch []float32
	for _, p := range params {
		scratch = slices.Grow(scratch[:0], p.Size())[:p.Size()]
		e := stored.entries[p.Name]
		if err := e.file.ReadFloat32(e.name, scratch); err != nil {
			return Config{}, nil, err
		}
		if i, ok := firstNotFinite(scratch); ok {
			return Config{}, nil, &NotFiniteError{File: e.file.Name, Tensor: e.name, Element: i, Value: scratch[i]}
		}
		FromStored(p, scratch, flat)
	}
	return c, flat, nil
}

// NotFiniteError is a weight that is no number: nothing can be made with it.
type NotFiniteError struct {
	File, Tensor string // the first in the order of the parameters
	Element      int
	Value        float32
}

func (e *NotFiniteError) Error() string {
	return fmt.Sprintf("%s: tensor %q: element %d is %v; weights must be finite", e.File, e.Tensor, e.Element, e.Value)
}

func firstNotFinite(x []float32) (i int, ok bool) {
	for i, v := range x {
		if v-v != 0 { // of infinities and NaN it is NaN
			return i, true
		}
	}
	return 0, false
}

// weights is the tensors of a model, in one file or several shards.
type weights struct {
	path    string // of the file or index
	files   []*safetensors.File
	entries map[string]entry // by today's name
}

type entry struct {
	file *safetensors.File
	name string // in the file
}

func openWeights(dir string) (*weights, error) {
	w := &weights{path: filepath.Join(dir, weightsFile), entries: map[string]entry{}}
	shards := []string{weightsFile}
	if _, err := os.Stat(w.path); errors.Is(err, fs.ErrNotExist) {
		index := filepath.Join(dir, indexFile)
		names, err := readIndex(index)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%s: %w%s", w.path, fs.ErrNotExist, pickleHint(dir))
		case err != nil:
			return nil, err
		}
		w.path, shards = index, names
	}
	for _, name := range shards {
		f, err := safetensors.Open(filepath.Join(dir, name))
		if err != nil {
			w.Close()
			return nil, err
		}
		w.files = append(w.files, f)
		for _, t := range f.Tensors {
			today := modernName(t.Name)
			if first, ok := w.entries[today]; ok {
				w.Close()
				return nil, fmt.Errorf("%s: tensor %s is also in %s as %s", f.Name, t.Name, first.file.Name, first.name)
			}
			w.entries[today] = entry{f, t.Name}
		}
	}
	return w, nil
}

func pickleHint(dir string) string {
	if _, err := os.Stat(filepath.Join(dir, pickleFile)); err != nil {
		return ""
	}
	return " (" + pickleFile + " is there, but a pickle is not read: save the model from diffusers with safe_serialization=True)"
}

// readIndex returns the shards that an index names.
func readIndex(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var shards []string
	for tensor, shard := range index.WeightMap {
		if shard != filepath.Base(shard) {
			return nil, fmt.Errorf("%s: tensor %s is in %q, want a file beside the index", path, tensor, shard)
		}
		shards = append(shards, shard)
	}
	slices.Sort(shards)
	return slices.Compact(shards), nil
}

// modernName gives what early versions of diffusers called otherwise today's name.
func modernName(name string) string {
	if !strings.Contains(name, ".attentions.") {
		return name
	}
	for _, r := range [][2]string{{".query.", ".to_q."}, {".key.", ".to_k."}, {".value.", ".to_v."}, {".proj_attn.", ".to_out.0."}} {
		name = strings.Replace(name, r[0], r[1], 1)
	}
	return name
}

// match compares what is stored with what the configuration wants.
func (w *weights) match(params []Param) error {
	var missing, misshapen []string
	known := map[string]bool{}
	for _, p := range params {
		known[p.Name] = true
		e, ok := w.entries[p.Name]
		if !ok {
			missing = append(missing, p.Name)
			continue
		}
		if t, _ := e.file.Lookup(e.name); !slices.Equal(t.Shape, p.Stored) {
			misshapen = append(misshapen, fmt.Sprintf("%s %v (want %v)", e.name, t.Shape, p.Stored))
		}
	}
	var extra []string
	for name, e := range w.entries {
		if !known[name] {
			extra = append(extra, e.name)
		}
	}
	slices.Sort(extra)
	var problems []string
	for _, list := range []struct {
		what  string
		names []string
	}{{"lacks", missing}, {"has, but config.json does not describe,", extra}, {"has the wrong shape for", misshapen}} {
		if n := len(list.names); n > 0 {
			problems = append(problems, fmt.Sprintf("%s %s", list.what, enumerate(list.names)))
		}
	}
	if problems != nil {
		return fmt.Errorf("%s: %s", w.path, strings.Join(problems, "; "))
	}
	return nil
}

// enumerate names the first few.
func enumerate(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// Close closes every file.
func (w *weights) Close() {
	for _, f := range w.files {
		f.Close()
	}
}
