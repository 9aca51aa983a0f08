package samples

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
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

// textArray is the array of a .npz that holds what the samples were made with.
const textArray = "fluxion"

// Look says whether the file is there as it would be made. It is an *Error if it is
// another one that is not to be overwritten. wanted's text is that of all samples.
func (a Array) Look(ctx context.Context, wanted Wanted) (there bool, err error) {
	if is, err := IsFile(ctx, a.Path); err != nil || !is {
		return false, err
	}
	text := map[string]string{}
	if stored, err := data.ReadNPZText(a.Path, textArray); err == nil && stored != "" {
		if err := json.Unmarshal([]byte(stored), &text); err != nil {
			text = nil // of another program
		}
	}
	size := wanted.Size
	refused := &Error{dir: a.Path, of: 1, file: true}
	same := refused.compare(filepath.Base(a.Path), data.PNG{Height: size[0], Width: size[1], Channels: size[2], Text: text}, wanted, 0)
	if same || a.Overwrite {
		return same, nil
	}
	return false, refused
}

// Write writes the samples and their labels, classes (−1 for none) or numbers (NaN), of no
// elements where the model is told neither, and returns the path of a picture of them beside the file, "" where they
// cannot be seen.
func (a Array) Write(ctx context.Context, wanted Wanted, values []float32, labels data.Array, columns int) (picture string, err error) {
	if err := MakeAbove(a.Disk, a.Path); err != nil {
		return "", fault.Output(err)
	}
	if picture, err = a.draw(ctx, len(wanted.Seeds), wanted.Size, values, columns); err != nil { // before the file, behind which nothing is made any more
		return "", err
	}
	return picture, a.Put(ctx, wanted, values, labels)
}

// Put writes the samples and their labels, as Write does, without a picture.
func (a Array) Put(ctx context.Context, wanted Wanted, values []float32, labels data.Array) error {
	n, size := len(wanted.Seeds), wanted.Size
	text, err := json.Marshal(wanted.Text(0))
	if err != nil {
		return err
	}
	arrays := []data.Array{
		{Name: "images", Shape: []int{n, size[0], size[1], size[2]}, Floats: values}, {Name: "seeds", Shape: []int{n}, Integers: wanted.Seeds}, {Name: textArray, Text: string(text)},
	}
	if labels.Integers != nil || labels.Floats != nil {
		arrays = append(arrays, labels)
	}
	return fault.Output(write(ctx, a.Disk, a.Path, func(w io.Writer) error { return data.WriteNPZ(w, arrays...) }))
}

// Read gives the samples of a file that Look has found.
func (a Array) Read(wanted Wanted) ([]float32, error) {
	want := len(wanted.Seeds) * Values(wanted.Size)
	_, values, _, err := data.ReadNPZFloats(a.Path, "images", int64(want))
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
