package moments

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/engine/device"
	"fluxion/engine/evaluate"
	"fluxion/engine/plan"
)

// Part says of which set a file is a part.
type Part struct {
	I       int               `json:"i"` // from 1
	N       int               `json:"n"` // parts of the set
	Of      map[string]string `json:"of"`
	Sampled bool              `json:"sampled"` // Of is how a model is sampled
}

// String is I/N.
func (p Part) String() string { return fmt.Sprintf("%d/%d", p.I, p.N) }

// The arrays of a part have names of their own, so that no other program takes its
// statistics for those of the set.
const (
	partPrefix  = "part_"
	logitsArray = "logits"
)

// MostParts is of how many parts a set may be.
const MostParts = 1 << 20

// mostOfPart is how many numbers of features, or of logits, a part may have.
const mostOfPart = 1 << 30

// partOf is what a file is a part of, if it is a part.
func partOf(path string) (about About, ok bool) {
	if !strings.EqualFold(filepath.Ext(path), ".npz") {
		return about, false
	}
	text, err := data.ReadNPZText(path, textArray)
	if err != nil || json.Unmarshal([]byte(text), &about) != nil || about.Part == nil {
		return about, false
	}
	p := about.Part
	return about, 1 <= p.I && p.I <= p.N && p.N <= MostParts
}

// IsPart says whether a path is that of a part.
func IsPart(path string) bool {
	_, ok := partOf(path)
	return ok
}

// WritePart writes a part.
func WritePart(disk durable.Disk, path string, s *evaluate.Set, about About) error {
	var more []data.Array
	if f := s.Features; f.Len() > 0 {
		more = append(more, data.Array{Name: featuresArray, Shape: []int{f.Len(), f.Dim}, Floats: f.Values})
	}
	if f := s.Logits; f.Len() > 0 {
		more = append(more, data.Array{Name: logitsArray, Shape: []int{f.Len(), f.Dim}, Floats: f.Values})
	}
	return write(disk, path, s, about, partPrefix, more...)
}

// Group returns how many of some paths, from the first, are meant as one set: its parts.
func Group(paths []string) int {
	first, ok := partOf(paths[0])
	if !ok {
		return 1
	}
	n := 1
	for n < min(len(paths), first.Part.N) && IsPart(paths[n]) {
		n++
	}
	return n
}

// differences between what two parts are of.
func differences(a, b About) (list []string) {
	note := func(key, x, y string) {
		if x != y {
			list = append(list, fmt.Sprintf("%s %s and %s", key, x, y))
		}
	}
	note("network", a.Network, b.Network)
	note("weights of it", a.Weights, b.Weights)
	note("convention", a.Convention, b.Convention)
	note("features_precision", a.Precision, b.Precision)
	note("parts", fmt.Sprint(a.Part.N), fmt.Sprint(b.Part.N))
	keys := maps.Clone(a.Part.Of)
	maps.Copy(keys, b.Part.Of)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		note(key, orNone(a.Part.Of[key]), orNone(b.Part.Of[key]))
	}
	return list
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// ReadParts joins the parts of a set, all of which must be there. About is that of the
// first.
func ReadParts(paths []string) (*evaluate.Set, About, error) {
	var first About
	files := map[int]string{}
	for i, path := range paths {
		about, ok := partOf(path)
		if !ok {
			return nil, about, &data.Error{Path: path, Problem: "is no part of a set"}
		}
		if i == 0 {
			first = about
		}
		if changes := differences(first, about); len(changes) > 0 {
			return nil, about, fault.Usagef("%s and %s are parts of different sets: %s", paths[0], path, strings.Join(changes[:min(len(changes), 3)], "; "))
		}
		if other, twice := files[about.Part.I]; twice {
			return nil, about, fault.Usagef("%s and %s are both part %v; want each part once", other, path, about.Part)
		}
		files[about.Part.I] = path
	}
	var missing []string
	for i := range first.Part.N {
		if files[i+1] == "" {
			missing = append(missing, fmt.Sprint(i+1))
		}
	}
	if len(missing) > 0 {
		return nil, first, fault.Usagef("%s is part %v, and of the others %s are not among the files; give all parts", paths[0], first.Part, strings.Join(missing[:min(len(missing), 20)], ", "))
	}
	parts := make([]*evaluate.Set, first.Part.N)
	var bytes int64
	for i := range parts {
		var err error
		if parts[i], err = readPart(files[i+1]); err != nil {
			return nil, first, err
		}
		bytes += 2 * plan.Product(4, len(parts[i].Features.Values)+len(parts[i].Logits.Values)) // joined, they are there twice
		if err := device.CheckMemory(device.Need{What: "the features of all parts", Bytes: bytes}); err != nil {
			return nil, first, err
		}
	}
	set, err := evaluate.Join(fmt.Sprintf("%d parts of %s", len(parts), first.Images), parts)
	if err != nil {
		return nil, first, &data.Error{Path: paths[0], Problem: "cannot be joined with the other parts", Err: err}
	}
	if set.Statistics == nil {
		return nil, first, &data.Error{Path: paths[0], Problem: "and the other parts hold no features"}
	}
	return set, first, nil
}

// ReadWhole reads what is known of a whole set: statistics, or the one part that there is.
func ReadWhole(path string) (*evaluate.Set, About, error) {
	if !IsPart(path) {
		return Read(path)
	}
	set, about, err := ReadParts([]string{path})
	about.Part = nil
	return set, about, err
}

func readPart(path string) (*evaluate.Set, error) {
	arrays, err := data.ReadNPZDoubles(path, "n", partPrefix+"mu", partPrefix+"sigma", partPrefix+"mu_s", partPrefix+"sigma_s")
	if err != nil {
		return nil, err
	}
	n := arrays["n"]
	if len(n.Values) != 1 || !(n.Values[0] >= 0 && n.Values[0] < 1<<40) {
		return nil, &data.Error{Path: path, Problem: "does not say of how many images it is"}
	}
	s := &evaluate.Set{Name: path, N: int64(n.Values[0])}
	if mean, ok := arrays[partPrefix+"mu"]; ok {
		if s.Statistics, err = statistics(path, s.N, partPrefix+"mu", mean, arrays[partPrefix+"sigma"]); err != nil {
			return nil, err
		}
	}
	if mean, ok := arrays[partPrefix+"mu_s"]; ok {
		if s.Spatial, err = statistics(path, s.N, partPrefix+"mu_s", mean, arrays[partPrefix+"sigma_s"]); err != nil {
			return nil, err
		}
	}
	if s.Features, err = features(path, featuresArray, mostOfPart, s.N); err != nil {
		return nil, err
	}
	s.Logits, err = features(path, logitsArray, mostOfPart, s.N)
	return s, err
}
