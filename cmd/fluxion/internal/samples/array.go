package samples

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/data/durable"
)

// Array is a .npz that samples go to as floats, all at once.
type Array struct {
	Path      string
	Disk      durable.Disk
	Overwrite bool // a file that is not the one that is asked for
}

// ArrayEnding is how the name of an Array ends.
const ArrayEnding = ".npz"

// IsArray says whether samples go to an Array of this path, and not to a folder.
func IsArray(path string) bool {
	info, err := os.Stat(path)
	return strings.EqualFold(filepath.Ext(path), ArrayEnding) && (err != nil || !info.IsDir())
}

// imagesArray is the array of the samples.
const imagesArray = "images"

// textArray is the array of a .npz that holds what the samples were made with.
const textArray = "fluxion"

// Lying is what lies where an Array is to be.
type Lying struct {
	There bool    // it, as it would be made
	Cut   bool    // it, but not whole, as a power loss, a copy or a disk leaves it
	Has   []int64 // an Array of the same settings with some of its samples, which grows: which
}

// Look finds out what is there. It is an *Error if it is something else, that is not to be overwritten.
// wanted's text is that of all samples, with their numbers as the seed.
func (a Array) Look(ctx context.Context, wanted Wanted) (found Lying, err error) {
	if is, err := IsFile(ctx, a.Path); err != nil || !is {
		return found, err
	}
	size := wanted.Size
	text := map[string]string{}
	stored, err := data.ReadNPZText(a.Path, textArray)
	if err != nil && data.CutNPZ(a.Path, imagesArray, data.Floats, wanted.shape()) {
		return Lying{Cut: true}, nil
	}
	if err != nil && !a.Overwrite {
		return found, notWhole(a.Path, err)
	}
	if err == nil && stored != "" {
		if err := json.Unmarshal([]byte(stored), &text); err != nil {
			text = nil // of another program
		}
	}
	refused := &Error{dir: a.Path, of: 1, file: true}
	if refused.compare(filepath.Base(a.Path), data.PNG{Height: size[0], Width: size[1], Channels: size[2], Text: text}, wanted, 0) {
		if data.CheckNPZ(a.Path) != nil {
			return Lying{Cut: true}, nil
		}
		return Lying{There: true}, nil
	}
	if found.Has = refused.grown(text["seed"], wanted.Seeds); found.Has != nil || a.Overwrite {
		return found, nil
	}
	return found, refused
}

// Taken is samples that were there before.
type Taken struct {
	Cut    bool // a file was there and not whole
	seeds  []int64
	values []float32
}

// Of are the values of a sample; nil: it was not there.
func (t Taken) Of(seed int64) []float32 {
	i, there := slices.BinarySearch(t.seeds, seed)
	if !there {
		return nil
	}
	size := len(t.values) / len(t.seeds)
	return t.values[i*size:][:size]
}

// Take reads the samples of a file that grows. Of one that is not whole there are none.
func (a Array) Take(wanted Wanted, found Lying) Taken {
	t := Taken{Cut: found.Cut, seeds: found.Has}
	if t.seeds == nil {
		return t
	}
	wanted.Seeds = t.seeds
	values, err := a.Read(wanted)
	if t.values = values; err != nil {
		return Taken{Cut: true}
	}
	return t
}

// notWhole refuses a .npz that cannot be read, so that nobody knows whose it is.
func notWhole(path string, err error) error {
	bad := (*data.Error)(nil)
	if !errors.As(err, &bad) {
		return err
	}
	return &data.Error{Path: bad.Path, Problem: bad.Problem + ", and does not begin as this command would write it; give another --out, or --overwrite to make it anew", Err: bad.Err}
}

// Write writes the samples and their labels, classes (−1 for none) or numbers (NaN), of no
// elements where the model is told neither, and returns the path of a picture of them beside the file, "" where they
// cannot be seen.
func (a Array) Write(ctx context.Context, wanted Wanted, values []float32, labels data.Array, columns int) (picture string, err error) {
	if err := MakeAbove(a.Disk, a.Path); err != nil {
		return "", fault.Output(err)
	}
	// The picture comes before the file, behind which nothing is made any more; but the samples are kept whatever becomes of it.
	picture, drawn := a.draw(ctx, len(wanted.Seeds), wanted.Size, values, columns)
	if err := a.Put(ctx, wanted, values, labels); err != nil {
		return "", err
	}
	return picture, drawn
}

// Put writes the samples and their labels, as Write does, without a picture.
func (a Array) Put(ctx context.Context, wanted Wanted, values []float32, labels data.Array) error {
	n, size := len(wanted.Seeds), wanted.Size
	text, err := json.Marshal(wanted.Text(0))
	if err != nil {
		return err
	}
	arrays := []data.Array{
		{Name: imagesArray, Shape: []int{n, size[0], size[1], size[2]}, Floats: values}, {Name: "seeds", Shape: []int{n}, Integers: wanted.Seeds}, {Name: textArray, Text: string(text)},
	}
	if labels.Integers != nil || labels.Floats != nil {
		arrays = append(arrays, labels)
	}
	return fault.Output(write(ctx, a.Disk, a.Path, func(w io.Writer) error { return data.WriteNPZ(w, arrays...) }))
}

// Read gives the samples of a file that Look has found.
func (a Array) Read(wanted Wanted) ([]float32, error) {
	want := len(wanted.Seeds) * Values(wanted.Size)
	_, values, _, err := data.ReadNPZFloats(a.Path, imagesArray, int64(want))
	if err == nil && len(values) != want {
		err = &data.Error{Path: a.Path, Problem: fmt.Sprintf("holds %d numbers; want those of %d samples", len(values), len(wanted.Seeds))}
	}
	return values, err
}

// Values of an image of a size.
func Values(size [3]int) int { return size[0] * size[1] * size[2] }

// draw writes the picture of samples that can be seen.
func (a Array) draw(ctx context.Context, n int, size [3]int, values []float32, columns int) (picture string, err error) {
	images, points := data.Showable(size[0], size[1], size[2])
	switch {
	case images:
		n = min(n, maxGrid)
	case !points:
		return "", nil
	}
	file, err := data.EncodeSheet(data.Pixels{Floats: values[:n*size[0]*size[1]*size[2]]}, n, size[0], size[1], size[2], columns)
	if err != nil {
		return "", fmt.Errorf("the picture of %s cannot be encoded: %w", a.Path, err)
	}
	picture = GridOf(a.Path)
	return picture, fault.Output(writeFile(ctx, a.Disk, picture, file))
}
