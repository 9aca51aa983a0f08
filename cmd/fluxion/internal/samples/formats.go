package samples

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"fluxion/data"
	"fluxion/data/object"
)

// Format is how many pictures lie in one file.
type Format interface {
	text(path string) (string, error) // what is noted of all; "" of other programs' files
	noted() bool                      // each picture says what it was made with, too
	whole(p *Pack) bool               // of a file with the text: that it is not cut
	cut(p *Pack) bool                 // of a file without: that it is the beginning of what would be written
	write(w io.Writer, p *Pack, text string) error
	each(p *Pack, visit func(seed int64, picture []byte, label string) error) error
}

// Tar is a shard of WebDataset: 000017.png, and 000017.cls or .json with its label.
type Tar struct{}

func (Tar) noted() bool { return true }

// whole says whether the tar has all pictures, and its end.
func (Tar) whole(p *Pack) bool {
	pictures := 0
	err := data.EachInTar(p.Path, func(name string, _ io.Reader) error {
		if filepath.Ext(name) == ".png" {
			pictures++
		}
		return nil
	})
	return err == nil && pictures == len(p.Whole.Seeds)
}

// cut says that not even the text is there, which is at the beginning.
func (Tar) cut(p *Pack) bool {
	text, err := json.Marshal(p.Text)
	if err != nil {
		return false
	}
	var whole bytes.Buffer
	if _, err := data.NewShard(&whole, string(text)); err != nil || object.Is(p.Path) {
		return false
	}
	if info, err := os.Stat(p.Path); err != nil || info.Size() > int64(whole.Len()) {
		return false
	}
	there, err := os.ReadFile(p.Path)
	return err == nil && bytes.HasPrefix(whole.Bytes(), there)
}

func (Tar) text(path string) (string, error) { return data.ReadTarText(path) }

func (Tar) write(w io.Writer, p *Pack, text string) error {
	s, err := data.NewShard(w, text)
	if err != nil {
		return err
	}
	for _, seed := range p.Whole.Seeds {
		picture, err := os.ReadFile(p.Work.File(seed))
		if err != nil {
			return err
		}
		if ending, label := p.labelText(seed); ending != "" {
			if err := s.Add(fmt.Sprintf("%06d%s", seed, ending), []byte(label)); err != nil {
				return err
			}
		}
		if err := s.Add(filepath.Base(p.Work.File(seed)), picture); err != nil {
			return err
		}
	}
	return s.Close()
}

func (Tar) each(p *Pack, visit func(seed int64, picture []byte, label string) error) error {
	label, next := "", 0
	err := data.EachInTar(p.Path, func(name string, content io.Reader) error {
		file, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		if ending := filepath.Ext(name); ending != ".png" {
			label = string(file)
			return nil
		}
		if next == len(p.Whole.Seeds) || name != filepath.Base(p.Work.File(p.Whole.Seeds[next])) {
			return &data.Error{Path: p.Path, Problem: fmt.Sprintf("holds %s, which sample did not put there", name)}
		}
		of := label
		label, next = "", next+1
		return visit(p.Whole.Seeds[next-1], file, of)
	})
	if err == nil && next < len(p.Whole.Seeds) {
		err = &data.Error{Path: p.Path, Problem: fmt.Sprintf("is not whole: %06d.png is not in it", p.Whole.Seeds[next])}
	}
	return err
}

// NPZ is pixels in uint8 as arr_0, and labels as arr_1, as the evaluator of guided-diffusion
// (Dhariwal and Nichol 2021) reads them.
type NPZ struct{}

// pixelsArray is the array of the pixels.
const pixelsArray = "arr_0"

func (NPZ) noted() bool { return false }

// whole: the list of arrays, from which text was read, is at the end.
func (NPZ) whole(*Pack) bool { return true }

func (NPZ) cut(p *Pack) bool { return data.CutNPZ(p.Path, pixelsArray, data.Bytes, p.Whole.shape()) }

func (NPZ) text(path string) (string, error) { return data.ReadNPZText(path, textArray) }

func (NPZ) write(w io.Writer, p *Pack, text string) error {
	n, size := len(p.Whole.Seeds), p.Whole.Size
	arrays := []data.Array{{Name: pixelsArray, Shape: []int{n, size[0], size[1], size[2]}, Bytes: func(w io.Writer) error {
		for _, seed := range p.Whole.Seeds {
			path := p.Work.File(seed)
			pixels, height, width, channels, err := data.ReadPNG(path)
			if err != nil {
				return err
			}
			if found := [3]int{height, width, channels}; found != size {
				return otherSize(path, found, size)
			}
			if _, err := w.Write(pixels); err != nil {
				return err
			}
		}
		return nil
	}}}
	if p.Label != nil {
		arrays = append(arrays, p.labels())
	}
	return data.WriteNPZ(w, append(arrays, data.Array{Name: "seeds", Shape: []int{n}, Integers: p.Whole.Seeds}, data.Array{Name: textArray, Text: text})...)
}

// labels of all pictures, classes (−1 for none) or numbers (NaN).
func (p *Pack) labels() data.Array {
	a, width := data.Array{Name: "arr_1", Shape: []int{len(p.Whole.Seeds)}}, 0
	for _, seed := range p.Whole.Seeds {
		width = max(width, len(p.Label(seed).Numbers))
	}
	for _, seed := range p.Whole.Seeds {
		switch l := p.Label(seed); {
		case width == 0:
			a.Integers = append(a.Integers, l.Class)
		case len(l.Numbers) == 0:
			a.Floats = append(a.Floats, slices.Repeat([]float32{float32(math.NaN())}, width)...)
		default:
			a.Floats = append(a.Floats, l.Numbers...)
		}
	}
	if width > 0 {
		a.Shape = append(a.Shape, width)
	}
	return a
}

func (NPZ) each(p *Pack, visit func(seed int64, picture []byte, label string) error) (err error) {
	if err := data.CheckNPZ(p.Path); err != nil {
		return err
	}
	labels := data.AutoLabels
	numbers := p.Label != nil && len(p.Label(p.Whole.Seeds[0]).Numbers) > 0
	if numbers {
		labels = data.NoLabels
	}
	set, err := data.Open(p.Path, data.Options{CacheBytes: 1, Labels: labels})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	height, width, channels := set.Shape()
	if set.Kind() != data.Bytes || set.Len() != len(p.Whole.Seeds) {
		return &data.Error{Path: p.Path, Problem: fmt.Sprintf("is not %d images of bytes: it was changed by another program", len(p.Whole.Seeds))}
	}
	for i, seed := range p.Whole.Seeds {
		e := data.NewExample(set)
		e.Class = -1
		if err := set.Read(i, e); err != nil {
			return err
		}
		label := ""
		switch {
		case numbers: // they are in the text of the file
			label = p.LabelText(seed)
		case e.Class >= 0:
			label = strconv.Itoa(int(e.Class))
		}
		picture, err := data.EncodePNG(bytes.Clone(e.Bytes), height, width, channels, nil)
		if err == nil {
			err = visit(seed, picture, label)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// IsTar says whether a path names a tar, or shards of one in a folder, tar:DIR.
func IsTar(path string) (dir string, shards, is bool) {
	if dir, shards := strings.CutPrefix(path, tarPrefix); shards {
		return dir, true, true
	}
	info, err := os.Stat(path)
	return path, false, strings.EqualFold(filepath.Ext(path), ".tar") && (err != nil || !info.IsDir())
}

const tarPrefix = "tar:"
