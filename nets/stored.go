package nets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/nets/pyjson"
	"fluxion/nets/safetensors"
)

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
		if err := w.add(f, modernName); err != nil {
			w.Close()
			return nil, err
		}
	}
	return w, nil
}

// add takes the tensors of a file, by today's names.
func (stored *weights) add(f TensorFile, modernName func(string) string) error {
	for _, t := range f.List() {
		today := unwrapped(t.Name)
		if modernName != nil {
			today = modernName(today)
		}
		if first, ok := stored.entries[today]; ok {
			return &safetensors.FormatError{File: f.Path(), Tensor: t.Name, Problem: fmt.Sprintf("is also in %s as %s", first.file.Path(), first.name)}
		}
		stored.entries[today] = entry{f, t.Name}
	}
	return nil
}

// ModernAttention gives the parts of attentions, which early versions of diffusers called otherwise, today's names.
func ModernAttention(name string) string {
	if !strings.Contains(name, ".attentions.") {
		return name
	}
	for _, r := range [][2]string{{".query.", ".to_q."}, {".key.", ".to_k."}, {".value.", ".to_v."}, {".proj_attn.", ".to_out.0."}} {
		name = strings.Replace(name, r[0], r[1], 1)
	}
	return name
}

// wrappers begin the names of what PyTorch's DataParallel and torch.compile wrap.
var wrappers = []string{"module.", "_orig_mod."}

// unwrapped is the name of a tensor within them.
func unwrapped(name string) string {
	for {
		was := name
		for _, w := range wrappers {
			name = strings.TrimPrefix(name, w)
		}
		if name == was {
			return name
		}
	}
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
func (stored *weights) match(params []Param) error {
	var missing, misshapen []string
	known := map[string]bool{}
	for _, p := range params {
		known[p.Name] = true
		e, ok := stored.entries[p.Name]
		if !ok {
			missing = append(missing, p.Name)
			continue
		}
		if t, _ := e.file.Lookup(e.name); !slices.Equal(t.Shape, p.Stored) {
			misshapen = append(misshapen, fmt.Sprintf("%s %v (want %v)", e.name, t.Shape, p.Stored))
		}
	}
	var extra []string
	for name, e := range stored.entries {
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
		return &safetensors.FormatError{File: stored.path, Problem: strings.Join(problems, "; ")}
	}
	return nil
}

// read returns the network, or what its Denoiser is, and its weights.
func (stored *weights) read(n Network, denoiser bool) (Network, []float32, error) {
	var err error
	whole := Params(n)
	if err := stored.match(whole); err != nil {
		return nil, nil, err
	}
	if denoiser {
		if n, err = n.Denoiser(); err != nil {
			return nil, nil, err
		}
	}
	n = n.WithNotes(stored.notes()...)
	flat, err := stored.flat(whole, Params(n))
	return n, flat, err
}

// notes say which of several files was read.
func (stored *weights) notes() []string {
	if stored.variant == "" {
		return nil
	}
	return []string{"weights from " + stored.variant}
}

// flat reads the flat buffer of parameters, which have the names of those that are stored, in
// the same order.
func (stored *weights) flat(whole, params []Param) ([]float32, error) {
	flat := make([]float32, FlatSize(params))
	var scratch []float32
	for i, p := range params {
		scratch = slices.Grow(scratch[:0], whole[i].Size())[:whole[i].Size()]
		e := stored.entries[p.Name]
		if err := e.file.ReadFloat32(e.name, scratch); err != nil {
			return nil, err
		}
		if i, ok := firstNotFinite(scratch); ok {
			return nil, &NotFiniteError{File: e.file.Path(), Tensor: e.name, Element: i, Value: scratch[i]}
		}
		FromStored(p, scratch[:p.Size()], flat) // a file has outputs first, of which the last say what a Denoiser leaves out
	}
	return flat, nil
}

// ReadWeights reads parameters from the weights of a folder, as ReadModel does for a network
// that is no denoiser; modernName is that of Class. Notes say which of several files was read.
func ReadWeights(dir string, params []Param, modernName func(name string) string) (flat []float32, notes []string, err error) {
	stored, err := openWeights(dir, modernName)
	if err != nil {
		return nil, nil, err
	}
	defer stored.Close()
	if err := stored.match(params); err != nil {
		return nil, nil, err
	}
	flat, err = stored.flat(params, params)
	return flat, stored.notes(), err
}

// ReadTensorWeights reads them, as ReadWeights does, from an open file.
func ReadTensorWeights(f TensorFile, params []Param, modernName func(name string) string) ([]float32, error) {
	stored := &weights{path: f.Path(), entries: map[string]entry{}}
	if err := stored.add(f, modernName); err != nil {
		return nil, err
	}
	if err := stored.match(params); err != nil {
		return nil, err
	}
	return stored.flat(params, params)
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

// enumerate names the first few.
func enumerate(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// Close closes every file.
func (stored *weights) Close() {
	for _, f := range stored.files {
		f.Close()
	}
}
