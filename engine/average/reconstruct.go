package average

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"

	"fluxion/nets"
	"fluxion/nets/catalog"
	"fluxion/nets/safetensors"
)

// Reconstruct makes the average of any σ_rel, as it was after so many images, of the
// snapshots of a network in a folder until then. It returns flat weights, each of which is
// a sum in float64, rounded once, and how the average was made. The last snapshots count if
// images is 0.
func Reconstruct(dir string, n nets.Network, sigma float64, images int64) ([]float32, Fit, error) {
	have, err := until(dir, images)
	if err != nil {
		return nil, Fit{}, err
	}
	fit, err := FitProfile(have, Profile{have[len(have)-1].Images, sigma})
	if err != nil {
		return nil, fit, &Error{dir, "holds snapshots of which no other average can be made: " + err.Error()}
	}
	params := nets.Params(n)
	flat := make([]float32, nets.FlatSize(params))
	sums := make([][]float64, len(params))
	for i, p := range params {
		sums[i] = make([]float64, p.Size())
	}
	for k, p := range have {
		if fit.Factors[k] != 0 {
			if err := add(filepath.Join(dir, FileName(p)), n, params, p, fit.Factors[k], sums); err != nil {
				return nil, fit, err
			}
		}
	}
	for i, p := range params {
		values := make([]float32, p.Size())
		for j, x := range sums[i] {
			values[j] = float32(x)
		}
		nets.FromStored(p, values, flat)
	}
	return flat, fit, nil
}

// until is the snapshots of a folder until so many images, at which there must be one.
func until(dir string, images int64) ([]Profile, error) {
	all, err := List(dir)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, &Error{dir, "holds no snapshots of averages, of which others could be made; train --ema power keeps some"}
	}
	if images == 0 {
		return thinned(all), nil
	}
	end := 0
	for end < len(all) && all[end].Images <= images {
		end++
	}
	if end > 0 && all[end-1].Images == images {
		return thinned(all[:end]), nil
	}
	nearest := fmt.Sprintf("the first is after %d", all[0].Images)
	switch {
	case end == len(all):
		nearest = fmt.Sprintf("the last is after %d", all[end-1].Images)
	case end > 0:
		nearest = fmt.Sprintf("the nearest are after %d and %d", all[end-1].Images, all[end].Images)
	}
	return nil, &Error{dir, fmt.Sprintf("holds no snapshot after %d images; %s", images, nearest)}
}

// most is how many times of snapshots are taken: with more, time and memory grow and
// nothing else does.
const most = 500

// thinned leaves out the snapshots of so many times between that most are left, and not
// those of the last.
func thinned(all []Profile) []Profile {
	times := 1
	for i := 1; i < len(all); i++ {
		if all[i].Images != all[i-1].Images {
			times++
		}
	}
	stride := (times + most - 1) / most
	var kept []Profile
	at := times - 1 // of the time from the last
	for i, p := range all {
		if i > 0 && p.Images != all[i-1].Images {
			at--
		}
		if at%stride == 0 {
			kept = append(kept, p)
		}
	}
	return kept
}

// add adds a multiple of a snapshot to sums, tensor by tensor, in the layout of files.
func add(path string, n nets.Network, params []nets.Param, p Profile, factor float64, sums [][]float64) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := check(f, n, p); err != nil {
		return err
	}
	if len(f.Tensors) != len(params) {
		return &safetensors.FormatError{File: path, Problem: fmt.Sprintf("has %d tensors, want %d", len(f.Tensors), len(params))}
	}
	var values []float32
	for i, p := range params {
		if t, ok := f.Lookup(p.Name); !ok || !slices.Equal(t.Shape, p.Stored) {
			return &safetensors.FormatError{File: path, Tensor: p.Name, Problem: fmt.Sprintf("want a tensor of shape %v", p.Stored)}
		}
		values = slices.Grow(values[:0], p.Size())[:p.Size()]
		if err := f.ReadFloat32(p.Name, values); err != nil {
			return err
		}
		for j, x := range values {
			if x-x != 0 { // of infinities and NaN it is NaN
				return &nets.NotFiniteError{File: path, Tensor: p.Name, Element: j, Value: x}
			}
			sums[i][j] += float64(factor * float64(x))
		}
	}
	return nil
}

// check refuses a file that is not the snapshot of its name, or of another network.
func check(f *safetensors.File, n nets.Network, p Profile) error {
	want := p.metadata(n)
	for _, key := range []string{imagesKey, sigmaKey, networkKey} {
		got, said := f.Metadata[key]
		switch {
		case !said:
			return &safetensors.FormatError{File: f.Name, Problem: "is no snapshot of an average: its metadata has no " + key}
		case key != networkKey && got != want[key]:
			return &safetensors.FormatError{File: f.Name, Problem: fmt.Sprintf("is another snapshot than its name says: its metadata has %s %q, want %q", key, got, want[key])}
		}
	}
	of, err := catalog.Parse([]byte(f.Metadata[networkKey]))
	if err != nil {
		return &safetensors.FormatError{File: f.Name, Problem: fmt.Sprintf("is of a network that is not known: %v", err)}
	}
	if difference := differs(of, n); difference != "" {
		return &Error{f.Name, "is of another network: " + difference}
	}
	return nil
}

// differs names the first key in which two networks are not alike.
func differs(of, want nets.Network) string {
	var got, wanted map[string]any
	if json.Unmarshal(of.JSON(), &got) != nil || json.Unmarshal(want.JSON(), &wanted) != nil {
		return "its configuration cannot be read"
	}
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if !reflect.DeepEqual(got[key], wanted[key]) {
			return fmt.Sprintf("its %s is %v, want %v", key, got[key], wanted[key])
		}
	}
	return ""
}
