package main

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
	"fluxion/engine/model"
	"fluxion/nets"
	"fluxion/nets/catalog"
	"fluxion/nets/safetensors"
)

const arrayEnding = ".npz"

func hasEnding(path, ending string) bool { return strings.EqualFold(filepath.Ext(path), ending) }

// read reads the model that is converted.
func (o *convertOptions) read(from, weights string) (*model.Model, error) {
	if !hasEnding(from, arrayEnding) {
		return model.Read(from, weights, o.ignore...)
	}
	if weights != model.EMA {
		return nil, fmt.Errorf("%s is one file with one set of weights; want the weights %s, not %s", from, model.EMA, weights)
	}
	parts, f, err := openArrays(from)
	if err != nil {
		return nil, err
	}
	return model.FromTensors(parts, f, o.ignore...)
}

// openArrays reads what writeArrays wrote.
func openArrays(from string) (parts map[string][]byte, f arrayFile, err error) {
	parts = map[string][]byte{}
	for _, name := range model.PartNames() {
		text, err := data.ReadNPZText(from, name)
		if err != nil {
			return nil, f, err
		}
		if text != "" {
			parts[name] = []byte(text)
		}
	}
	if parts[model.ConfigPart] == nil {
		return nil, f, &data.Error{Path: from, Problem: fmt.Sprintf("holds no array %s, as convert writes it: what network its arrays are of is not known", model.ConfigPart)}
	}
	n, err := catalog.Parse(parts[model.ConfigPart])
	if err != nil {
		return nil, f, fmt.Errorf("%s: %w", from, err)
	}
	f = arrayFile{path: from, shapes: map[string][]int{}, values: map[string][]float32{}}
	for _, p := range nets.Params(n) {
		shape, values, there, err := data.ReadNPZFloats(from, p.Name, int64(p.Size()))
		if err != nil {
			return nil, f, err
		}
		if there {
			f.shapes[p.Name], f.values[p.Name] = shape, values
		}
	}
	return parts, f, nil
}

// writeArrays writes a model as a .npz.
func writeArrays(disk durable.Disk, path string, m *model.Model, half bool) error {
	parts, err := m.AllParts()
	if err != nil {
		return err
	}
	var arrays []data.Array
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		arrays = append(arrays, data.Array{Name: name, Text: string(parts[name])})
	}
	for _, p := range nets.Params(m.Network) {
		values := make([]float32, p.Size())
		nets.ToStored(p, m.Weights, values)
		a := data.Array{Name: p.Name, Shape: p.Stored, Floats: values}
		if half {
			a.Floats, a.Halves = nil, make([]uint16, len(values))
			for i, x := range values {
				a.Halves[i] = float16.Narrow(x)
			}
		}
		arrays = append(arrays, a)
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
		return errors.New(f.path + ": array " + name + " has too few numbers")
	}
	return nil
}
