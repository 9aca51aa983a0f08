package nets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

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

// WriteModelAs writes a model with weights of another type, as diffusers does for a
// pipeline of that type.
func WriteModelAs(as safetensors.Dtype, dir string, n Network, params []Param, flat []float32) error {
	if len(flat) < FlatSize(params) {
		return fmt.Errorf("writing %s: the flat buffer has %d floats, want %d", dir, len(flat), FlatSize(params))
	}
	err := writeFile(filepath.Join(dir, configFile), func(w io.Writer) error {
		_, err := w.Write(n.JSON())
		return err
	})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, weightsFile), func(w io.Writer) error { return WriteWeights(w, as, params, flat, metadata) })
}

// WriteWeights writes parameters of a flat buffer as a safetensors file of a type.
func WriteWeights(w io.Writer, as safetensors.Dtype, params []Param, flat []float32, metadata map[string]string) error {
	byName := map[string]Param{}
	largest := 0
	for _, p := range params {
		byName[p.Name] = p
		largest = max(largest, p.Size())
	}
	scratch := make([]float32, largest)
	return safetensors.Write(w, TensorsAs(as, params), metadata, func(t safetensors.Tensor, w io.Writer) error {
		p := byName[t.Name]
		ToStored(p, flat, scratch[:p.Size()])
		return safetensors.WriteNumbers(w, as, scratch[:p.Size()])
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

// ReadConfig reads the network of a model: from the folder unet below dir
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
	if class, err = c.find(data); err == nil {
		n, err = class.Parse(data, ignore...)
	}
	return n, class, err
}

func component(dir string) string {
	sub := filepath.Join(dir, componentName)
	if info, err := os.Stat(sub); err == nil && info.IsDir() {
		return sub
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
	stored, err := openWeights(component(dir), class.ModernName)
	if err != nil {
		return nil, nil, err
	}
	defer stored.Close()
	whole := Params(n)
	if err := stored.match(whole); err != nil {
		return nil, nil, err
	}
	if denoiser {
		if n, err = n.Denoiser(); err != nil {
			return nil, nil, err
		}
	}
	if stored.variant != "" {
		n = n.WithNotes("weights from " + stored.variant)
	}
	params := Params(n)
	flat := make([]float32, FlatSize(params))
	var scratch []float32
	for i, p := range params { // the same names in the same order
		scratch = slices.Grow(scratch[:0], whole[i].Size())[:whole[i].Size()]
		e := stored.entries[p.Name]
		if err := e.file.ReadFloat32(e.name, scratch); err != nil {
			return nil, nil, err
		}
		if i, ok := firstNotFinite(scratch); ok {
			return nil, nil, &NotFiniteError{File: e.file.Path(), Tensor: e.name, Element: i, Value: scratch[i]}
		}
		FromStored(p, scratch[:p.Size()], flat) // a file has outputs first, of which the last say what a Denoiser leaves out
	}
	return n, flat, nil
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
	files   []TensorFile
	entries map[string]entry // by today's name
	variant string           // name of the file, where it is not the usual one
}

type entry struct {
	file TensorFile
	name string // in the file
}

func openWeights(dir string, modernName func(string) string) (*weights, error) {
	name, err := findWeights(dir)
	if err != nil {
		return nil, err
	}
	w := &weights{path: filepath.Join(dir, name), entries: map[string]entry{}}
	if name != weightsFile && name != indexFile {
		w.variant = name
	}
	shards := []string{name}
	if strings.HasSuffix(name, ".json") {
		if shards, err = readIndex(w.path); err != nil {
			return nil, err
		}
	}
	for _, name := range shards {
		f, err := OpenTensors(filepath.Join(dir, name))
		if err != nil {
			w.Close()
			return nil, err
		}
		w.files = append(w.files, f)
		for _, t := range f.List() {
			today := t.Name
			if modernName != nil {
				today = modernName(t.Name)
			}
			if first, ok := w.entries[today]; ok {
				w.Close()
				return nil, &safetensors.FormatError{File: f.Path(), Tensor: t.Name, Problem: fmt.Sprintf("is also in %s as %s", first.file.Path(), first.name)}
			}
			w.entries[today] = entry{f, t.Name}
		}
	}
	return w, nil
}

// findWeights returns the name of the file with the weights, or of the index of
// several: the usual one, or that of the one variant there is, such as
// diffusion_pytorch_model.fp16.safetensors; where there is none of safetensors, the
// same of the .bin files that diffusers wrote before.
func findWeights(dir string) (string, error) {
	for _, name := range []string{weightsFile, indexFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return name, nil // what else is wrong, opening it tells
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	missing := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w (%s)", filepath.Join(dir, weightsFile), fs.ErrNotExist, fmt.Sprintf(format, args...))
	}
	for _, kind := range []string{"safetensors", "bin"} {
		usual := "diffusion_pytorch_model." + kind
		var found []string
		shard := ""
		for _, e := range entries {
			name := e.Name()
			single, _ := filepath.Match("diffusion_pytorch_model.*."+kind, name)
			index, _ := filepath.Match("diffusion_pytorch_model."+kind+".index*.json", name)
			part, _ := filepath.Match("diffusion_pytorch_model*-?????-of-?????."+kind, name)
			switch {
			case name == usual || name == usual+".index.json":
				return name, nil
			case part:
				shard = name
			case single || index:
				found = append(found, name)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return "", missing("there are %s; leave one of them there, or give it that name", strings.Join(found, " and "))
		case shard != "":
			return "", missing("%s is there, but not the index %s.index.json that belongs to it", shard, usual)
		}
	}
	return "", missing("the folder has no weights")
}

// readIndex returns the shards that an index names.
func readIndex(path string) ([]string, error) {
	data, err := pyjson.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := pyjson.Decode(data, &index); err != nil {
		return nil, pyjson.In(path, err)
	}
	if len(index.WeightMap) == 0 {
		return nil, &pyjson.Error{File: path, Key: "weight_map", Problem: "names no tensors"}
	}
	var shards []string
	for tensor, shard := range index.WeightMap {
		if shard != filepath.Base(shard) {
			return nil, &pyjson.Error{File: path, Key: "weight_map", Problem: fmt.Sprintf("has tensor %s in %q, want a file beside the index", tensor, shard)}
		}
		shards = append(shards, shard)
	}
	slices.Sort(shards)
	return slices.Compact(shards), nil
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
		return &safetensors.FormatError{File: w.path, Problem: strings.Join(problems, "; ")}
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
