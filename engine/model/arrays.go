package model

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/data/float16"
	"fluxion/nets"
	"fluxion/nets/autoencoder"
	"fluxion/nets/catalog"
	"fluxion/nets/pyjson"
	"fluxion/nets/safetensors"
)

// ArraysEnding is that of files of NumPy's, in which a model is arrays by their names in
// diffusers, and texts.
const ArraysEnding = ".npz"

// IsArrays says whether a path has that ending.
func IsArrays(path string) bool { return strings.EqualFold(filepath.Ext(path), ArraysEnding) }

// arrayParts are the texts of a .npz that WriteArrays wrote.
func arrayParts(path string) (map[string][]byte, error) {
	parts := map[string][]byte{}
	for _, name := range PartNames() {
		text, err := data.ReadNPZText(path, name)
		if err != nil {
			return nil, err
		}
		if text != "" {
			parts[name] = []byte(text)
		}
	}
	if parts[ConfigPart] == nil {
		return nil, &data.Error{Path: path, Problem: fmt.Sprintf("holds no array %s, as convert writes it: what network its arrays are of is not known", ConfigPart)}
	}
	return parts, nil
}

// OpenArrays reads the arrays of a .npz that WriteArrays wrote, those of its network and autoencoder alone.
func OpenArrays(path string, ignore ...string) (nets.TensorFile, map[string][]byte, error) {
	parts, err := arrayParts(path)
	if err != nil {
		return nil, nil, err
	}
	n, err := catalog.Parse(parts[ConfigPart], ignore...)
	if err != nil {
		return nil, nil, pyjson.In(path, err)
	}
	f := arrayFile{path: path, shapes: map[string][]int{}, values: map[string][]float32{}}
	if err := f.read("", nets.Params(n)); err != nil {
		return nil, nil, err
	}
	if config := parts[AutoencoderPart]; config != nil {
		c, err := autoencoder.Parse(config)
		if err != nil {
			return nil, nil, pyjson.In(path, err)
		}
		empty, err := c.Empty()
		if err == nil {
			err = f.read(AutoencoderPrefix, empty.Params)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return f, parts, nil
}

// read reads the arrays of parameters, as far as they are there.
func (f arrayFile) read(prefix string, params []nets.Param) error {
	for _, p := range params {
		shape, values, there, err := data.ReadNPZFloats(f.path, prefix+p.Name, int64(p.Size()))
		if err != nil {
			return err
		}
		if there {
			f.shapes[prefix+p.Name], f.values[prefix+p.Name] = shape, values
		}
	}
	return nil
}

// WriteArrays writes the model as a .npz, in float32 or, half, in float16.
func (m *Model) WriteArrays(disk durable.Disk, path string, half bool) error {
	parts, vae, err := m.AllParts()
	if err != nil {
		return err
	}
	var arrays []data.Array
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		arrays = append(arrays, data.Array{Name: name, Text: string(parts[name])})
	}
	add := func(prefix string, params []nets.Param, flat []float32, half bool) {
		for _, p := range params {
			values := make([]float32, p.Size())
			nets.ToStored(p, flat, values)
			a := data.Array{Name: prefix + p.Name, Shape: p.Stored, Floats: values}
			if half {
				a.Floats, a.Halves = nil, make([]uint16, len(values))
				for i, x := range values {
					a.Halves[i] = float16.Narrow(x)
				}
			}
			arrays = append(arrays, a)
		}
	}
	add("", nets.Params(m.Network), m.Weights, half)
	if vae != nil {
		add(AutoencoderPrefix, vae.Params, vae.Flat, false)
	}
	if err := disk.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	return disk.Write(path, func(w io.Writer) error { return data.WriteNPZ(w, arrays...) })
}

// arrayFile is arrays of a .npz as a nets.TensorFile.
type arrayFile struct {
	path   string
	shapes map[string][]int
	values map[string][]float32
}

func (f arrayFile) Path() string { return f.path }
func (f arrayFile) Close() error { return nil }

func (f arrayFile) List() (list []safetensors.Tensor) {
	for _, name := range slices.Sorted(maps.Keys(f.shapes)) {
		list = append(list, safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: f.shapes[name]})
	}
	return list
}

func (f arrayFile) Lookup(name string) (safetensors.Tensor, bool) {
	shape, there := f.shapes[name]
	return safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: shape}, there
}

func (f arrayFile) ReadFloat32(name string, dst []float32) error {
	if copy(dst, f.values[name]) != len(dst) {
		return fmt.Errorf("%s: array %s has %d numbers, want %d", f.path, name, len(f.values[name]), len(dst))
	}
	return nil
}
