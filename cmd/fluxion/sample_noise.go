package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/data/setting"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/plan"
	"fluxion/engine/process"
)

// noiseFlags bring the noise that images begin with from a file, and to one.
type noiseFlags struct{ noise, saveNoise string }

func (o *noiseFlags) list() setting.List {
	return setting.List{
		{Key: "noise", Value: setting.Of(&o.noise), Own: true, Help: "FILE.npy or .npz with the noise that images begin with, of deviation 1: images × height × width × channels, the first for the first of --seeds"},
		{Key: "save_noise", Value: setting.Of(&o.saveNoise), Own: true, Help: "FILE.npy for that noise, as float32"},
	}
}

// check refuses flags that say nothing together.
func (o *noiseFlags) check(picture string) error {
	switch {
	case o.noise != "" && picture != "":
		return fault.Usagef("--noise and --init: a picture is given noise of its own; want one of them")
	case o.saveNoise != "" && !strings.EqualFold(filepath.Ext(o.saveNoise), ".npy"):
		return fault.Usagef("--save-noise %s: want a name that ends with .npy", o.saveNoise)
	case o.saveNoise != "":
		return outdir.Room("--save-noise", o.saveNoise)
	}
	return nil
}

// checkJob refuses noise where samples begin with something else.
func (o *noiseFlags) checkJob(j job) error {
	switch source := j.model.Process.Source; {
	case o.noise == "" && o.saveNoise == "":
	case j.images != nil && !j.given:
		return fault.Usagef("--noise and --save-noise: samples begin with images here; want them without --init, and with a model whose source is noise")
	case !source.White():
		return fault.Usagef("--noise and --save-noise: the model begins with %v, and files hold white normal noise; want a model of source %s", source, process.Gaussian)
	}
	return nil
}

// noiseOf is the noise that images begin with.
type noiseOf struct {
	size   int // values of an image
	given  bool
	values []float32 // of the numbers in rows
	rows   map[int64]int
}

// read returns the noise of images by their numbers, given or drawn; nil where it is
// neither given nor to be saved.
func (o *noiseFlags) read(seeds []int64, size [3]int, key uint64) (*noiseOf, error) {
	if o.noise == "" && o.saveNoise == "" {
		return nil, nil
	}
	n := &noiseOf{size: size[0] * size[1] * size[2], given: o.noise != "", rows: map[int64]int{}}
	if err := device.CheckMemory(device.Need{What: "the noise", Bytes: plan.Product(4, len(seeds), n.size)}); err != nil {
		return nil, err
	}
	n.values = make([]float32, len(seeds)*n.size)
	for i, seed := range seeds {
		n.rows[seed] = i
	}
	if n.given {
		return n, n.load(o.noise, len(seeds), size)
	}
	for i, seed := range seeds {
		generate.Noise(n.values[i*n.size:][:n.size], key, seed)
	}
	return n, nil
}

// load reads a file.
func (n *noiseOf) load(path string, images int, size [3]int) (err error) {
	if ext := strings.ToLower(filepath.Ext(path)); ext != ".npy" && ext != ".npz" {
		return fault.Usagef("--noise %s: want a file FILE.npy or FILE.npz", path)
	}
	d, err := data.Open(path, data.Options{})
	if err != nil {
		return err
	}
	defer d.Close()
	height, width, channels := d.Shape()
	switch has := [3]int{height, width, channels}; {
	case d.Kind() != data.Floats || data.Pictures(d):
		return &data.Error{Path: path, Problem: "holds whole numbers, want noise as float32"}
	case has != size:
		return &data.Error{Path: path, Problem: fmt.Sprintf("holds noise of %d×%d×%d (height × width × channels), the model's images are %d×%d×%d", height, width, channels, size[0], size[1], size[2])}
	case d.Len() < images:
		return &data.Error{Path: path, Problem: fmt.Sprintf("holds noise for %d images, want %d", d.Len(), images)}
	}
	var e data.Example
	for i := range images {
		e.Pixels = data.Pixels{Floats: n.values[i*n.size:][:n.size]}
		if err := d.Read(i, &e); err != nil {
			return err
		}
		for k, x := range e.Floats {
			if x-x != 0 {
				return &data.Error{Path: path, Problem: fmt.Sprintf("element %d of image %d is %v; noise must be finite", k, i, x)}
			}
		}
		copy(n.values[i*n.size:], e.Floats)
	}
	return nil
}

// of is the noise of one image.
func (n *noiseOf) of(seed int64) []float32 { return n.values[n.rows[seed]*n.size:][:n.size] }

// begin makes the state that an image begins with σ times its noise.
func (n *noiseOf) begin(seed int64, sigma float64, z []float32) error {
	scale := float32(sigma)
	for i, x := range n.of(seed) {
		z[i] = scale * x
	}
	return nil
}

// save writes it as numpy.save does.
func (n *noiseOf) save(disk durable.Disk, path string, size [3]int) error {
	if path == "" {
		return nil
	}
	return fault.Output(disk.Write(path, func(w io.Writer) error {
		return data.WriteNPY(w, data.Array{Shape: []int{len(n.rows), size[0], size[1], size[2]}, Floats: n.values})
	}))
}
