package samples

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/data/object"
)

// maxGrid is the most images of a grid.
const maxGrid = 400

// GridOf names the grid beside a folder or a file; a folder that has no name, as / and on some
// systems a drive, holds it.
func GridOf(out string) string {
	const ending = "-grid.png"
	if object.Is(out) {
		return strings.TrimRight(out, "/") + ending
	}
	out = filepath.Clean(out)
	if name := filepath.Base(out); name == "." || name == ".." {
		if abs, err := filepath.Abs(out); err == nil {
			out = abs
		}
	}
	if filepath.Dir(out) == out {
		return filepath.Join(out, strings.TrimPrefix(ending, "-"))
	}
	return out + ending
}

// Grid writes the first images as one picture beside the folder.
func (f Folder) Grid(ctx context.Context, want Wanted, columns int) (string, error) {
	path := GridOf(f.Path)
	return path, grid(ctx, f.Disk, path, want, columns, func(seed int64) (string, []byte, [3]int, error) {
		pixels, height, width, channels, err := data.ReadPNG(f.File(seed))
		return f.File(seed), pixels, [3]int{height, width, channels}, err
	})
}

// inGrid are the numbers of the images that a grid shows.
func inGrid(want Wanted) []int64 {
	most := maxGrid
	if want.Beside != nil {
		most /= 2
	}
	return want.Seeds[:min(len(want.Seeds), most)]
}

// grid writes the first images, which read gives with their names and sizes, as one picture.
func grid(ctx context.Context, disk durable.Disk, path string, want Wanted, columns int, read func(seed int64) (name string, pixels []byte, size [3]int, err error)) error {
	var tiles []data.Tile
	shown := false // what pictures are beside
	for _, seed := range inGrid(want) {
		name, pixels, found, err := read(seed)
		if err != nil {
			return err
		}
		if size := want.size(seed); found != size {
			return otherSize(name, found, size)
		}
		of := data.Size{Height: found[0], Width: found[1]}
		if want.Beside != nil {
			s, err := want.Beside(seed)
			if err != nil {
				return err
			}
			if shown, _ = data.Showable(found[0], found[1], s.Channels); shown {
				picture := data.NewPixels(data.Bytes, s.Pixels.Len())
				s.Pixels.Picture(picture.Bytes)
				tiles = append(tiles, data.Tile{Pixels: picture, Size: of, Channels: s.Channels})
			}
		}
		tiles = append(tiles, data.Tile{Pixels: data.Pixels{Bytes: pixels}, Size: of, Channels: found[2]})
	}
	if shown {
		columns += columns % 2
	}
	file, err := data.EncodeTiles(tiles, columns, nil)
	if err == nil {
		err = writeFile(ctx, disk, path, file)
	}
	return fault.Output(err)
}

// otherSize says that a picture is not as the model makes them.
func otherSize(name string, found, size [3]int) error {
	return &data.Error{Path: name, Problem: fmt.Sprintf("is %v where the model's images are %v: it was changed by another program", found, size)}
}
