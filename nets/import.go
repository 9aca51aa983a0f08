package nets

import (
	"fmt"
	"slices"

	"fluxion/nets/safetensors"
)

// Import is a network of another program: the same as one of ours, and where its parameters lie.
type Import struct {
	Network Network
	// Source says where a parameter of Network lies in the file.
	Source func(p Param) Source
	// Idle says which tensors of the file are of no use.
	Idle func(name string) bool
}

// Source is tensors of a file of which a parameter is made.
type Source struct {
	Names []string
	Sizes []int // numbers of each; nil: of one, as many as the parameter has
	// Make makes it as a file of ours has it; nil: it is the one tensor, number for number.
	Make func(in [][]float32) []float32
}

// importNetwork reads the weights of another program's network.
func (stored *weights) importNetwork(i Import) (Network, []float32, error) {
	params := Params(i.Network)
	flat := make([]float32, FlatSize(params))
	used := map[string]bool{}
	var missing []string
	for _, p := range params {
		source := i.Source(p)
		if source.Sizes == nil {
			source.Sizes = []int{p.Size()}
		}
		var in [][]float32
		for k, name := range source.Names {
			e, ok := stored.entries[name]
			if !ok {
				missing = append(missing, name)
				continue
			}
			used[name] = true
			if t, _ := e.file.Lookup(e.name); t.Elements() != source.Sizes[k] {
				return nil, nil, &safetensors.FormatError{File: e.file.Path(), Tensor: e.name, Problem: fmt.Sprintf("has shape %v, want %d numbers", t.Shape, source.Sizes[k])}
			}
			values := make([]float32, source.Sizes[k])
			if err := e.file.ReadFloat32(e.name, values); err != nil {
				return nil, nil, err
			}
			if k, ok := firstNotFinite(values); ok {
				return nil, nil, &NotFiniteError{File: e.file.Path(), Tensor: e.name, Element: k, Value: values[k]}
			}
			in = append(in, values)
		}
		if len(in) < len(source.Names) {
			continue
		}
		values := in[0]
		if source.Make != nil {
			values = source.Make(in)
		}
		FromStored(p, values, flat)
	}
	var extra []string
	for name, e := range stored.entries {
		if !used[name] && !i.Idle(name) {
			extra = append(extra, e.name)
		}
	}
	slices.Sort(extra)
	switch {
	case missing != nil:
		return nil, nil, &safetensors.FormatError{File: stored.path, Problem: "lacks " + enumerate(missing)}
	case extra != nil:
		return nil, nil, &safetensors.FormatError{File: stored.path, Problem: "has, but config.json does not describe, " + enumerate(extra)}
	}
	return i.Network, flat, nil
}
