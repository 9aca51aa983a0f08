package model

import (
	"errors"
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
	z, err := data.OpenNPZ(path)
	if err != nil {
		return nil, nil, err
	}
	f := arrayFile{z, map[string][]int{}}
	err = f.find("", nets.Params(n))
	if config := parts[AutoencoderPart]; config != nil && err == nil {
		var c autoencoder.Config
		if c, err = autoencoder.Parse(config); err != nil {
			err = pyjson.In(path, err)
		}
		var empty *autoencoder.Model
		if err == nil {
			empty, err = c.Empty()
		}
		if err == nil {
			err = f.find(AutoencoderPrefix, empty.Params)
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, z.Close())
	}
	return f, parts, nil
}

// find finds the arrays of parameters, as far as they are there.
func (f arrayFile) find(prefix string, params []nets.Param) error {
	for _, p := range params {
		shape, there, err := f.Shape(prefix+p.Name, int64(p.Size()))
		if err != nil {
			return err
		}
		if there {
			f.shapes[prefix+p.Name] = shape
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
	one := func(prefix string, params []nets.Param, flat []float32, half bool, yield func(data.Array) bool) bool {
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
			if !yield(a) {
				return false
			}
		}
		return true
	}
	arrays := func(yield func(data.Array) bool) { // each is made when it is written
		for _, name := range slices.Sorted(maps.Keys(parts)) {
			if !yield(data.Array{Name: name, Text: string(parts[name])}) {
				return
			}
		}
		if one("", nets.Params(m.Network), m.Weights, half, yield) && vae != nil {
			one(AutoencoderPrefix, vae.Params, vae.Flat, false, yield)
		}
	}
	if err := disk.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	return disk.Write(path, func(w io.Writer) error { return data.WriteNPZOf(w, arrays) })
}

// arrayFile is arrays of a .npz as a nets.TensorFile: each is read when it is wanted.
type arrayFile struct {
	*data.NPZ
	shapes map[string][]int
}

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

func (f arrayFile) ReadFloat32(name string, dst []float32) error { return f.Floats(name, dst) }
