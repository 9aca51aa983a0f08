package data

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestDensity: points are where they should be, x to the right and y up, and where there
// are more it is darker.
func TestDensity(t *testing.T) {
	points := []float32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, 1, -1, -1}
	file, err := EncodeSheet(Pixels{Floats: points}, 7, 1, 1, 2, 10)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	side := img.Bounds().Dx()
	at := func(x, y float64) uint32 { // coordinates from −1.5 to 1.5
		r, _, _, _ := img.At(int((x/1.5+1)/2*float64(side)), int((1-y/1.5)/2*float64(side))).RGBA()
		return r >> 8
	}
	if often, once, never := at(1, 1), at(-1, 1), at(1, -1); often > 10 || once <= often || once > 200 || never != 255 || at(-1, -1) != once || at(0, 0) != 255 {
		t.Errorf("grey %d where there are 5 points, %d where there is one, %d where there is none", often, once, never)
	}
	for _, empty := range [][]float32{nil, {0, 0}} {
		if _, err := EncodeSheet(Pixels{Floats: append([]float32{}, empty...)}, len(empty)/2, 1, 1, 2, 10); err != nil {
			t.Error(err)
		}
	}
}

// TestSheetOfFloats: floats are clipped to ±1 and rounded, as samples are.
func TestSheetOfFloats(t *testing.T) {
	file, err := EncodeSheet(Pixels{Floats: []float32{-7, -1, 0, 0.5, 1, 7}}, 6, 1, 1, 1, 6)
	if err != nil {
		t.Fatal(err)
	}
	want, err := EncodeGrid([]byte{0, 0, 128, 191, 255, 255}, 6, 1, 1, 1, 6, nil)
	if err != nil || !bytes.Equal(file, want) {
		t.Errorf("another picture (%v)", err)
	}
}

// TestLargerGrids: a grid of small images is drawn larger by a whole factor, which it says, up
// to a bound; of large ones it is as they are.
func TestLargerGrids(t *testing.T) {
	for _, c := range []struct{ side, n, columns, scale int }{{16, 20, 10, 6}, {28, 20, 10, 3}, {48, 4, 2, 2}, {64, 4, 2, 1}, {8, 400, 40, 5}, {8, 40000, 200, 1}} {
		pixels := make([]byte, c.n*c.side*c.side*3)
		for i := range pixels {
			pixels[i] = byte(i * 7)
		}
		path := filepath.Join(t.TempDir(), "grid.png")
		file, err := EncodeGrid(pixels, c.n, c.side, c.side, 3, c.columns, map[string]string{"seed": "1"})
		if err == nil {
			err = os.WriteFile(path, file, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		grid, _, width, _, err := ReadPNG(path)
		text, failed := ReadText(path)
		if err != nil || failed != nil || width != (c.columns*(c.side+2)+2)*c.scale || text["seed"] != "1" || text[ScaleText] != map[bool]string{true: strconv.Itoa(c.scale)}[c.scale > 1] {
			t.Fatalf("%+v: %d pixels wide, texts %v, %v, %v", c, width, text, err, failed)
		}
		for y := range c.side * c.scale { // of the first image
			for x := range c.side * c.scale {
				got, want := grid[((2*c.scale+y)*width+2*c.scale+x)*3:][:3], pixels[(y/c.scale*c.side+x/c.scale)*3:][:3]
				if !bytes.Equal(got, want) {
					t.Fatalf("%+v: pixel %d, %d is %v, want %v", c, y, x, got, want)
				}
			}
		}
	}
}

// TestTiles: images of several shapes lie in the middle of their cells; a row is as high as its
// highest, and of one shape the sheet is the grid.
func TestTiles(t *testing.T) {
	tile := func(height, width, channels int, value byte) Tile {
		return Tile{Pixels{Bytes: bytes.Repeat([]byte{value}, height*width*channels)}, Size{height, width}, channels}
	}
	file, err := EncodeTiles([]Tile{tile(100, 40, 3, 10), tile(60, 100, 1, 20), tile(50, 100, 3, 30)}, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if s := img.Bounds().Size(); s.X != 2+102+102 || s.Y != 2+102+52 {
		t.Errorf("the sheet has %v pixels", s)
	}
	for _, c := range []struct{ x, y, want int }{
		{2 + 29, 50, 255}, {2 + 30, 50, 10}, {2 + 69, 101, 10}, {2 + 70, 50, 255}, {104, 2 + 19, 255}, {104, 2 + 20, 20}, {203, 2 + 79, 20}, {104, 2 + 80, 255}, {2, 104, 30}, {101, 153, 30}, {50, 154, 255}, {104, 120, 255},
	} {
		if r, g, b, _ := img.At(c.x, c.y).RGBA(); int(r>>8) != c.want || g != r || b != r {
			t.Errorf("pixel %d, %d is %d, want %d", c.x, c.y, r>>8, c.want)
		}
	}
	pixels := bytes.Repeat([]byte{1, 2, 3, 4, 5, 6}, 4)
	grid, err := EncodeGrid(pixels, 4, 2, 3, 1, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	var tiles []Tile
	for i := range 4 {
		tiles = append(tiles, Tile{Pixels{Bytes: pixels[6*i:][:6]}, Size{2, 3}, 1})
	}
	if file, err := EncodeTiles(tiles, 3, nil); err != nil || !bytes.Equal(file, grid) {
		t.Errorf("of one shape it is another file than the grid: %v", err)
	}
}
