package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/data/durable"
)

// Pairs is what a folder of pairs is: noise, by its address, and the image that a model
// made of it. It is PairsFile in JSON.
type Pairs struct {
	Count    int      `json:"count"` // of all pairs
	Shard    int      `json:"shard"` // pairs of a file; the last may have fewer
	Height   int      `json:"height"`
	Width    int      `json:"width"`
	Channels int      `json:"channels"`
	Values   string   `json:"values,omitempty"`  // "float32"; "" of pictures, from −1 to 1 but not clipped to it
	Classes  []string `json:"classes"`           // names; none: the model is told none
	Numbers  []string `json:"numbers,omitempty"` // that it is told instead; none: it is told none
	Key      uint64   `json:"key"`               // of the noise
	// Autoencoder is the digest of that in AutoencoderDir, whose latents the images are; "":
	// they are images.
	Autoencoder string            `json:"autoencoder,omitempty"`
	Tile        int               `json:"tile,omitempty"` // of it: see Latents
	Made        map[string]string `json:"made"`           // with what
}

// PairsFile is the file of a folder of pairs that says what they are.
const PairsFile = "pairs.json"

// SourceText is what Made calls the source of the noise, where that is not white and normal.
const SourceText = "source"

// MostShards of a folder: all of them are open at a time.
const MostShards = 1000

// Shards is the number of files.
func (p Pairs) Shards() int { return (p.Count + p.Shard - 1) / p.Shard }

// Range is the addresses of a file's noise: from one up to another.
func (p Pairs) Range(shard int) (from, to int) {
	return shard * p.Shard, min((shard+1)*p.Shard, p.Count)
}

// ShardFile is the path of a file.
func ShardFile(dir string, shard int) string {
	return filepath.Join(dir, fmt.Sprintf("pairs-%05d.npz", shard))
}

// Write writes PairsFile.
func (p Pairs) Write(disk durable.Disk, dir string) error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return disk.WriteFile(filepath.Join(dir, PairsFile), append(text, '\n'))
}

// WriteShard writes a file: images NHWC, and their classes, −1 for none, or numbers, NaN for
// none; nil where there are none.
func (p Pairs) WriteShard(disk durable.Disk, dir string, shard int, values []float32, classes []int64, numbers []float32) error {
	from, to := p.Range(shard)
	addresses := make([]int64, to-from)
	for i := range addresses {
		addresses[i] = int64(from + i)
	}
	arrays := []Array{
		{Name: "images", Shape: []int{to - from, p.Height, p.Width, p.Channels}, Floats: values},
		{Name: noiseNames[0], Shape: []int{to - from}, Integers: addresses},
	}
	if classes != nil {
		arrays = append(arrays, Array{Name: labelNames[0], Shape: []int{to - from}, Integers: classes})
	}
	if numbers != nil {
		arrays = append(arrays, Array{Name: labelNames[0], Shape: []int{to - from, len(p.Numbers)}, Floats: numbers})
	}
	return disk.Write(ShardFile(dir, shard), func(w io.Writer) error { return WriteNPZ(w, arrays...) })
}

// maxPairsText bounds PairsFile.
const maxPairsText = 16 << 20

// ReadPairs reads PairsFile; an error that is fs.ErrNotExist says that there is none.
func ReadPairs(dir string) (p Pairs, err error) {
	path := filepath.Join(dir, PairsFile)
	f, err := openRegular(path)
	if err != nil {
		return p, &Error{Path: path, Problem: "cannot be opened", Err: err}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPairsText))
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	switch {
	case err != nil:
		return p, &Error{Path: path, Problem: "is not whole", Err: err}
	case p.Count < 1 || p.Count > maxFiles || p.Shard < 1 || p.Shard > maxFiles || p.Shards() > MostShards || min(p.Height, p.Width, p.Channels) < 1 || p.Values != "" && p.Values != Floats.String():
		return p, &Error{Path: path, Problem: fmt.Sprintf("is not that of pairs: count %d, shard %d, images of %d×%d×%d, values %q", p.Count, p.Shard, p.Height, p.Width, p.Channels, p.Values)}
	}
	return p, nil
}

// HasShard says whether a file is there and as it is to be.
func (p Pairs) HasShard(dir string, shard int) (bool, error) {
	a, err := p.open(dir, shard)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, a.Close()
}

// open opens a file.
func (p Pairs) open(dir string, shard int) (*arrays, error) {
	path := ShardFile(dir, shard)
	a, err := openArray(path, "")
	if err != nil {
		return nil, err
	}
	from, to := p.Range(shard)
	bad := ""
	switch {
	case a.Len() != to-from || a.Kind() != Floats || a.shape != shape{p.Height, p.Width, p.Channels}:
		bad = fmt.Sprintf("holds %d images of %d×%d×%d of %v", a.Len(), a.shape.height, a.shape.width, a.shape.channels, a.Kind())
	case len(a.noise) != to-from || a.noise[0] != int64(from) || a.noise[to-from-1] != int64(to-1):
		bad = "holds other addresses of noise"
	case (a.labels != nil) != (len(p.Classes) > 0) || a.labels != nil && slices.Max(a.labels) >= int64(len(p.Classes)):
		bad = "holds other classes"
	}
	if bad != "" {
		err := &Error{Path: path, Problem: fmt.Sprintf("%s; %s wants pairs %d to %d of float32 %d×%d×%d", bad, PairsFile, from, to-1, p.Height, p.Width, p.Channels)}
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// pairs is a folder of them as a data set.
type pairs struct {
	Pairs
	dir     string
	shards  []*arrays
	numbers *Numbers
}

func openPairs(spec string, o Options) (Dataset, error) {
	dir, ok := strings.CutPrefix(spec, "pairs:")
	if !ok {
		return nil, nil
	}
	if dir == "" {
		return nil, &Error{Path: spec, Problem: "names no folder; want one of pairs, as in pairs:DIR"}
	}
	p, err := ReadPairs(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = &Error{Path: dir, Problem: "is no folder of pairs; want one that fluxion pairs made", Err: err}
	}
	if err != nil {
		return nil, err
	}
	d := &pairs{Pairs: p, dir: dir}
	if d.shards, err = openParts(dir, "pairs", p.Shards(), ShardFile, p.open); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if len(p.Numbers) > 0 {
		if err := d.readNumbers(); err != nil {
			return nil, errors.Join(err, d.Close())
		}
	}
	r, err := resized(d, o)
	if err != nil {
		err = errors.Join(err, d.Close())
	}
	return r, err
}

// readNumbers reads those of all files.
func (d *pairs) readNumbers() error {
	width := len(d.Pairs.Numbers)
	d.numbers = &Numbers{Names: d.Pairs.Numbers, images: d.Count}
	if width > maxNumbers || d.Count > maxNumberValues/width {
		return &Error{Path: filepath.Join(d.dir, PairsFile), Problem: fmt.Sprintf("has %d numbers for each of %s; want at most %d, and %d of all", width, count(d.Count, "pair"), maxNumbers, maxNumberValues)}
	}
	for i := range d.shards {
		path := ShardFile(d.dir, i)
		from, to := d.Range(i)
		shape, values, _, err := ReadNPZFloats(path, labelNames[0], int64(width)*int64(to-from))
		if err != nil {
			return err
		}
		if !slices.Equal(shape, []int{to - from, width}) {
			return &Error{Path: path, Problem: fmt.Sprintf("has labels of shape %v; %s wants %v", shape, PairsFile, []int{to - from, width})}
		}
		d.numbers.values = append(d.numbers.values, values...)
	}
	if err := d.numbers.tidy(); err != nil {
		return &Error{Path: d.dir, Problem: err.Error()}
	}
	return nil
}

func (d *pairs) pictured() bool                       { return d.Values == "" }
func (d *pairs) Name() string                         { return baseName(d.dir) }
func (d *pairs) Len() int                             { return d.Count }
func (d *pairs) Shape() (height, width, channels int) { return d.Height, d.Width, d.Channels }
func (d *pairs) Kind() Kind                           { return Floats }
func (d *pairs) Classes() []string                    { return d.Pairs.Classes }
func (d *pairs) Read(i int, e *Example) error         { return d.shards[i/d.Shard].Read(i%d.Shard, e) }

func (d *pairs) Close() error {
	var err error
	for _, s := range d.shards {
		err = errors.Join(err, s.Close())
	}
	return err
}

// Notes say of which model the pairs are.
func (d *pairs) Notes() []string {
	keys := make([]string, 0, len(d.Made))
	for _, k := range []string{"model", "checkpoint", "sampler", "steps", "guidance"} {
		if v := d.Made[k]; v != "" {
			keys = append(keys, k+" "+v)
		}
	}
	return []string{"pairs of noise and image, made with " + strings.Join(keys, ", ")}
}

// Fingerprint is made of PairsFile and of some images.
func (d *pairs) Fingerprint() Fingerprint {
	p := Fingerprint{Images: d.Count, Classes: d.Pairs.Classes, Counts: make([]int, len(d.Pairs.Classes))}
	for _, s := range d.shards {
		for _, l := range s.labels {
			if l >= 0 {
				p.Counts[l]++
			}
		}
	}
	p.Digest = digest(func(h hash.Hash) {
		text, _ := json.Marshal(d.Pairs) // plain values always encode
		h.Write(text)
		for _, i := range spread(len(d.shards), 16) {
			fmt.Fprintln(h, d.shards[i].Fingerprint().Digest)
		}
		if d.numbers != nil {
			d.numbers.hash(h)
		}
	})
	return p
}
