package feature

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"fluxion/nets"
	"fluxion/nets/safetensors"
)

// naming is how a file names the layers of a network.
type naming struct {
	conv, norm string                    // behind the name of a layer: its convolution and its batch norm
	norms      func(layer string) string // instead: the name of a layer's batch norm
	epsilon    float64                   // of batch norms
	dropBias   string                    // the layer whose bias is left out
	plain      bool                      // there are no batch norms: a parameter is a tensor

	special func(reader, nets.Param) ([]float32, error) // instead of all this: reads a parameter
}

// of a layer, the names of its convolution and of its batch norm.
func (n naming) of(layer string) (conv, norm string) {
	if n.norms != nil {
		return layer, n.norms(layer)
	}
	return layer + n.conv, layer + n.norm
}

// Weights reads the weights of a network from an open file, as its flat buffer.
func (n Network) Weights(f nets.TensorFile, params []nets.Param) ([]float32, error) {
	return reader{n, f}.all(params)
}

// ReadWeights reads the weights of a network from a file of PyTorch's or safetensors.
func (n Network) ReadWeights(path string, params []nets.Param) ([]float32, error) {
	f, err := nets.OpenTensors(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return n.Weights(f, params)
}

// Embedded is the file of safetensors with the network's weights that is part of the
// program; nil: there is none, and they come from the user.
func (n Network) Embedded() []byte { return n.embedded }

// EmbeddedWeights reads it.
func (n Network) EmbeddedWeights(params []nets.Param) ([]float32, error) {
	f, err := safetensors.NewFile(bytes.NewReader(n.embedded), int64(len(n.embedded)), "the embedded weights of "+n.Name)
	if err != nil {
		return nil, err
	}
	return n.Weights(f, params)
}

// all parameters, as a flat buffer.
func (r reader) all(params []nets.Param) ([]float32, error) {
	var flat []float32 // made when the file has proved to be one of this network
	for _, p := range params {
		values, err := r.param(p)
		if err != nil {
			return nil, err
		}
		if flat == nil {
			flat = make([]float32, nets.FlatSize(params))
		}
		for i, v := range values {
			if v-v != 0 {
				return nil, &nets.NotFiniteError{File: r.f.Path(), Tensor: p.Name, Element: i, Value: v}
			}
		}
		nets.FromStored(p, values, flat)
	}
	return flat, nil
}

type reader struct {
	Network
	f nets.TensorFile
}

// read reads a tensor, which must have this shape.
func (r reader) read(name string, shape ...int) ([]float32, error) {
	t, ok := r.f.Lookup(name)
	if !ok {
		return nil, &safetensors.FormatError{File: r.f.Path(), Tensor: name, Problem: fmt.Sprintf("is not in the file; want the weights of %s (%s)", r.Name, r.Summary)}
	}
	if !slices.Equal(t.Shape, shape) {
		return nil, &safetensors.FormatError{File: r.f.Path(), Tensor: name, Problem: fmt.Sprintf("has shape %v, want %v: these are not the weights of %s (%s)", t.Shape, shape, r.Name, r.Summary)}
	}
	values := make([]float32, t.Elements())
	return values, r.f.ReadFloat32(name, values)
}

// param is a parameter of the graph. That of a convolution takes the batch norm
// behind it in: w·γ/√(var+ε), and β − mean·γ/√(var+ε).
func (r reader) param(p nets.Param) ([]float32, error) {
	if r.files.special != nil {
		return r.files.special(r, p)
	}
	if r.files.plain {
		return r.read(p.Name, p.Stored...)
	}
	layer, part := p.Name[:strings.LastIndexByte(p.Name, '.')], p.Name[strings.LastIndexByte(p.Name, '.')+1:]
	if layer == r.files.dropBias {
		if part == "bias" {
			return make([]float32, p.Size()), nil
		}
		return r.read(p.Name, p.Stored...)
	}
	conv, norm := r.files.of(layer)
	out := p.Stored[0]
	var of [4][]float32
	for i, name := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		var err error
		if of[i], err = r.read(norm+name, out); err != nil {
			return nil, err
		}
	}
	scale := make([]float64, out)
	for i := range scale {
		scale[i] = float64(of[0][i]) / math.Sqrt(float64(of[3][i])+r.files.epsilon)
	}
	if part == "bias" {
		bias := make([]float32, out)
		for i := range bias {
			bias[i] = float32(float64(of[1][i]) - float64(of[2][i])*scale[i])
		}
		return bias, nil
	}
	w, err := r.read(conv+".weight", p.Stored...)
	for i := range w {
		w[i] = float32(float64(w[i]) * scale[i/(len(w)/out)])
	}
	return w, err
}
