package cuda

import (
	"testing"

	"fluxion/kernels/number"
)

func TestTiles(t *testing.T) {
	for cols := 1; cols < 700; cols++ {
		for _, vector := range []int{1, 4, 8} {
			if cols%vector != 0 {
				continue
			}
			tiles := NewTiles(1000, cols, vector)
			threads, tile := tiles.Width*tiles.Height, tiles.Width*tiles.Vector
			if tiles.Width > 32 || threads > 256 || threads <= 256-32 {
				t.Fatalf("%d columns by %d: blocks of %d×%d", cols, vector, tiles.Width, tiles.Height)
			}
			if n := tiles.Columns(); n*tile < cols || (n-1)*tile >= cols {
				t.Fatalf("%d columns by %d: %d tiles of %d", cols, vector, n, tile)
			}
			if vector > 1 && tiles.Columns() > 1 && tiles.Width%2 != 0 {
				t.Fatalf("%d columns by %d: tiles of %d vectors share a sector", cols, vector, tiles.Width)
			}
			if g := tiles.Grid(4); g[0]*4*tiles.Height < 1000 || (g[0]-1)*4*tiles.Height >= 1000 {
				t.Fatalf("%d blocks of 4 times %d rows for 1000", g[0], tiles.Height)
			}
		}
	}
}

// An operand in memory, at an offset of so many elements.
func at(of number.Type, offset, rows, cols, pitch int) Operand {
	return Operand{Address: Address(1<<20 + offset*of.Size()), Type: of, Rows: rows, Cols: cols, Pitch: pitch}
}

func TestOver(t *testing.T) {
	const f, b = number.Float32, number.BFloat16
	for _, c := range []struct {
		name                 string
		operands             []Operand
		vector               int
		elements, rows, cols int // of OverElements: its vector, rows and columns
	}{
		{"dense", []Operand{at(f, 0, 6, 32, 32), at(f, 0, 6, 32, 32)}, 4, 4, 2, 96},
		{"bf16", []Operand{at(b, 0, 64, 32, 32)}, 8, 8, 8, 256},
		{"odd columns without gaps", []Operand{at(f, 0, 64, 3, 3)}, 1, 4, 2, 96},
		{"odd columns with gaps", []Operand{at(f, 0, 64, 3, 8)}, 1, 1, 64, 3},
		{"a range of channels", []Operand{at(b, 8, 64, 16, 40), at(b, 0, 64, 16, 16)}, 8, 8, 64, 16},
		{"an odd address", []Operand{at(b, 3, 64, 16, 40), at(b, 0, 64, 16, 16)}, 1, 1, 64, 16},
		{"a prime number", []Operand{at(f, 0, 1, 37, 37)}, 1, 1, 37, 1},
		{"an operand that is not there", []Operand{at(b, 0, 64, 32, 32), {}}, 8, 8, 8, 256},
	} {
		operands := c.operands
		if tiles := Over(operands...); tiles.Vector != c.vector || tiles.Rows != operands[0].Rows || tiles.Cols != operands[0].Cols {
			t.Errorf("%s: Over gives %+v", c.name, tiles)
		}
		if tiles := OverElements(operands...); tiles.Vector != c.elements || tiles.Rows != c.rows || tiles.Cols != c.cols {
			t.Errorf("%s: OverElements gives %+v", c.name, tiles)
		}
	}
}

func TestCutImages(t *testing.T) {
	for _, c := range []struct {
		images, pixels, rows, shared int
		want                         Images
	}{
		{3, 1024, 128, 0, Images{3, 1024, 1, 8, 128}},
		{3, 130, 128, 0, Images{3, 130, 1, 2, 65}},
		{7, 16, 128, 0, Images{7, 16, 8, 1, 16}},
		{7, 16, 128, 5 << 10, Images{7, 16, 3, 1, 16}},
		{7, 16, 128, 100 << 10, Images{7, 16, 1, 1, 16}},
	} {
		got := CutImages(c.images, c.pixels, c.rows, c.shared)
		if got != c.want {
			t.Errorf("%+v: %+v", c, got)
		}
		if rows := got.Parts * got.Length; rows < c.pixels || got.Blocks()*got.Group < c.images*got.Parts {
			t.Errorf("%+v: %+v does not cover", c, got)
		}
	}
}
