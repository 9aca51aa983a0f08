// Package moments reads and writes files with the mean and the covariance of features:
// those of pytorch-fid, clean-fid, ADM, EDM and EDM2, and ours, which say besides what
// the features are.
package moments

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/engine/evaluate"
	"fluxion/engine/metric"
	"fluxion/nets/pickle"

	"gonum.org/v1/gonum/mat"
)

// About is what the features are. Files of other programs do not say it.
type About struct {
	Network    string `json:"network"`
	Weights    string `json:"weights"` // the beginning of their SHA-256
	Convention string `json:"convention"`
	Precision  string `json:"precision,omitempty"`
	Images     string `json:"images,omitempty"` // what they are, and their size
	Part       *Part  `json:"part,omitempty"`   // nil: the file is of the whole set
}

// Same says whether features may be compared: of one network, weights and convention.
func (a About) Same(b About) bool {
	return a.Network == b.Network && a.Weights == b.Weights && a.Convention == b.Convention
}

// Is says whether a path is that of such a file: a .npz with the arrays mu and sigma,
// or a .pkl.
func Is(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".pkl":
		return true
	case ".npz":
		arrays, err := data.ReadNPZDoubles(path, "mu")
		return err == nil && arrays["mu"].Values != nil
	}
	return false
}

// textArray is the array of a .npz of ours that says what the features are.
const textArray = "fluxion"

// Read reads a file. About is empty where it does not say.
func Read(path string) (*evaluate.Set, About, error) {
	var about About
	if strings.EqualFold(filepath.Ext(path), ".pkl") {
		set, err := readPickle(path)
		return set, about, err
	}
	arrays, err := data.ReadNPZDoubles(path, "mu", "sigma", "mu_s", "sigma_s", "n")
	if err != nil {
		return nil, about, err
	}
	set := &evaluate.Set{Name: path}
	if n := arrays["n"]; len(n.Values) == 1 {
		set.N = int64(n.Values[0])
	}
	if set.Statistics, err = statistics(path, set.N, "mu", arrays["mu"], arrays["sigma"]); err != nil {
		return nil, about, err
	}
	if len(arrays["mu_s"].Values) > 0 {
		if set.Spatial, err = statistics(path, set.N, "mu_s", arrays["mu_s"], arrays["sigma_s"]); err != nil {
			return nil, about, err
		}
	}
	text, err := data.ReadNPZText(path, textArray)
	if err == nil && text != "" { // of others, an array of this name may be anything
		if err = json.Unmarshal([]byte(text), &about); err == nil {
			err = readFeatures(path, set)
		}
	}
	return set, about, err
}

// featuresArray holds those of every image, where Keep wrote a file.
const featuresArray = "features"

// mostKept is how many numbers of features are kept: they are read whole.
const mostKept = 1 << 24

// readFeatures reads the features of every image, if they are there. Statistics of few
// images are made of them, as where they came from the images.
func readFeatures(path string, set *evaluate.Set) error {
	f, err := features(path, featuresArray, mostKept, set.N)
	if err != nil || f.Dim == 0 {
		return err
	}
	dim := len(set.Statistics.Mean)
	if f.Dim != dim {
		return &data.Error{Path: path, Problem: fmt.Sprintf("holds features of %d numbers and statistics of %d", f.Dim, dim)}
	}
	if set.Features = f; set.N <= int64(dim) {
		set.Statistics, err = metric.StatisticsOf(set.Features)
	}
	return err
}

// features of n images; of no numbers where there are none.
func features(path, name string, most, n int64) (f metric.Features, err error) {
	shape, values, there, err := data.ReadNPZFloats(path, name, most)
	if err != nil || !there {
		return f, err
	}
	if len(shape) != 2 || shape[1] < 1 || int64(shape[0]) != n {
		return f, &data.Error{Path: path, Problem: fmt.Sprintf("holds %s of shape %v; want those of %d images", name, shape, n)}
	}
	return metric.Features{Dim: shape[1], Values: values}, nil
}

func statistics(path string, n int64, name string, mean, covariance data.Doubles) (*metric.Statistics, error) {
	d := len(mean.Values)
	if len(mean.Shape) != 1 || !slices.Equal(covariance.Shape, []int{d, d}) || d == 0 {
		return nil, &data.Error{Path: path, Problem: fmt.Sprintf("holds %s of shape %v and a covariance of shape %v; want (d) and (d, d)", name, mean.Shape, covariance.Shape)}
	}
	for i := range d {
		for j := range i {
			if a, b := covariance.Values[i*d+j], covariance.Values[j*d+i]; math.Abs(a-b) > 1e-6*math.Sqrt(math.Abs(covariance.Values[i*d+i]*covariance.Values[j*d+j])) {
				return nil, &data.Error{Path: path, Problem: fmt.Sprintf("holds a covariance of %s that is not symmetric: %g and %g", name, a, b)}
			}
		}
	}
	s := &metric.Statistics{N: n, Mean: mean.Values, Covariance: mat.NewSymDense(d, covariance.Values)}
	if err := s.Check(); err != nil {
		return nil, &data.Error{Path: path, Problem: err.Error()}
	}
	return s, nil
}

// readPickle reads the dictionary that EDM2 keeps of a data set: of its features for
// the FID.
func readPickle(path string) (*evaluate.Set, error) {
	f, err := pickle.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	array := func(name string) (data.Doubles, error) {
		for _, in := range []string{"fid.", ""} {
			t, ok := f.Lookup(in + name)
			if !ok {
				continue
			}
			d := data.Doubles{Shape: t.Shape, Values: make([]float64, t.Elements())}
			return d, f.ReadFloat64(in+name, d.Values)
		}
		return data.Doubles{}, nil
	}
	mean, err := array("mu")
	if err != nil {
		return nil, err
	}
	covariance, err := array("sigma")
	if err != nil {
		return nil, err
	}
	n, err := array("num_images")
	if err != nil {
		return nil, err
	}
	set := &evaluate.Set{Name: path}
	if len(n.Values) == 1 {
		set.N = int64(n.Values[0])
	}
	set.Statistics, err = statistics(path, set.N, "mu", mean, covariance)
	return set, err
}

// Room says whether statistics can be written to a path: nothing but such a file of ours
// is there. An empty path is none.
func Room(path string) error {
	if path == "" {
		return nil
	}
	if _, err := os.Stat(path); err == nil {
		if text, err := data.ReadNPZText(path, textArray); err != nil || text == "" || !Is(path) && !IsPart(path) {
			return fault.Usagef("--save %s is there and is no such file of this program; want another name", path)
		}
	}
	return outdir.Room("--save", path)
}

// Keep writes a file with all that is known of a set, and returns false where that is too
// much for one.
func Keep(disk durable.Disk, path string, s *evaluate.Set, about About) (bool, error) {
	f := s.Features
	if len(f.Values) > mostKept {
		return false, nil
	}
	if s.Statistics == nil { // which every file has
		whole := *s
		var err error
		if whole.Statistics, err = metric.StatisticsOf(f); err != nil {
			return false, err
		}
		s = &whole
	}
	var more []data.Array
	if len(f.Values) > 0 {
		more = append(more, data.Array{Name: featuresArray, Shape: []int{f.Len(), f.Dim}, Floats: f.Values})
	}
	return true, write(disk, path, s, about, "", more...)
}

// Write writes a file with what other programs know of a set, too.
func Write(disk durable.Disk, path string, s *evaluate.Set, about About) error {
	return write(disk, path, s, about, "")
}

// write writes statistics under names that begin so.
func write(disk durable.Disk, path string, s *evaluate.Set, about About, prefix string, more ...data.Array) error {
	text, err := json.Marshal(about)
	if err != nil {
		return err
	}
	arrays := append([]data.Array{{Name: "n", Shape: []int{}, Integers: []int64{s.N}}, {Name: textArray, Text: string(text)}}, more...)
	add := func(mean, covariance string, of *metric.Statistics) {
		if of == nil {
			return
		}
		d := len(of.Mean)
		square := make([]float64, 0, d*d)
		for i := range d {
			for j := range d {
				square = append(square, of.Covariance.At(i, j))
			}
		}
		arrays = append(arrays, data.Array{Name: prefix + mean, Shape: []int{d}, Doubles: of.Mean}, data.Array{Name: prefix + covariance, Shape: []int{d, d}, Doubles: square})
	}
	add("mu", "sigma", s.Statistics)
	add("mu_s", "sigma_s", s.Spatial)
	return fault.Output(disk.Write(path, func(w io.Writer) error { return data.WriteNPZ(w, arrays...) }))
}
