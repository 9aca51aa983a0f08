package cuda

import (
	"encoding/binary"
	"fmt"

	"fluxion/kernels/number"
)

const (
	blockThreads = 256
	tileWidth    = 32 // threads across: a warp reads 512 bytes of a row
)

// Tiles is how a kernel goes over a matrix: a block of Width×Height threads
// stands over Width·Vector columns and goes down the rows. The device's half is
// include/tiles.cuh.
type Tiles struct {
	Rows, Cols    int
	Vector        int // columns of a thread: 16 bytes of the widest operand, or one
	Width, Height int // threads of a block
	flat          bool
}

// Over returns the tiles of a kernel whose operands have the same rows and
// columns, with vectors if every operand's address and pitch allow them.
// Operands whose Address is 0 do not count, but for the rows and columns of the first.
func Over(operands ...Operand) Tiles {
	return NewTiles(operands[0].Rows, operands[0].Cols, vector(operands))
}

// OverElements is Over for a kernel that treats every element alone: operands
// without gaps are cut into rows of whatever length suits.
func OverElements(operands ...Operand) Tiles {
	operands = Flat(operands...)
	o, v := operands[0], vector(operands)
	if o.Rows > 1 {
		return NewTiles(o.Rows, o.Cols, v)
	}
	width := tileWidth
	for o.Cols/v%width != 0 {
		width--
	}
	t := NewTiles(o.Cols/(v*width), v*width, v)
	t.flat = true
	return t
}

// Elements launches a kernel that treats every element alone, a thread so many rows of
// them. Its arguments are the operands, the output first, the numbers of rows and columns,
// and more.
func Elements(m *Module, function string, rows int, operands []Operand, more ...any) []Call {
	t := OverElements(operands...)
	var args []any
	for _, o := range operands {
		args = append(args, t.View(o))
	}
	args = append(append(args, t.Rows, t.Cols), more...)
	return []Call{{Module: m, Function: t.Function(function, operands[0].Type), Grid: t.Grid(rows), Block: t.Block(), Args: Args(args...)}}
}

// NewTiles covers rows×cols with threads of vector columns each.
func NewTiles(rows, cols, vector int) Tiles {
	width := cols / vector
	if width > tileWidth { // equal tiles, of whole sectors of 32 bytes
		n := ceil(width, tileWidth)
		width = min(tileWidth, 2*ceil(width, 2*n))
	}
	return Tiles{Rows: rows, Cols: cols, Vector: vector, Width: width, Height: blockThreads / width}
}

// vector returns how many columns a thread takes.
func vector(operands []Operand) int {
	v := 16 / operands[0].Type.Size()
	for _, o := range operands {
		if o.Address != 0 {
			v = min(v, 16/o.Type.Size())
		}
	}
	if operands[0].Cols%v == 0 && Vectors(v, operands...) {
		return v
	}
	return 1
}

// Pitch of an operand as the tiles see it.
func (t Tiles) Pitch(o Operand) int {
	if t.flat {
		return t.Cols
	}
	return o.Pitch
}

// View is a kernel's argument for an operand.
func (t Tiles) View(o Operand) []byte { return Args(o.Address, int64(t.Pitch(o))) }

// Columns is the number of tiles side by side, the grid's second number.
func (t Tiles) Columns() int { return ceil(t.Cols, t.Width*t.Vector) }

// Block is the threads of a block.
func (t Tiles) Block() [3]int { return [3]int{t.Width, t.Height, 1} }

// Grid has a block for so many rows of each of its threads.
func (t Tiles) Grid(rows int) [3]int { return [3]int{ceil(t.Rows, rows*t.Height), t.Columns(), 1} }

// Function names the variant of a kernel for operands of a type.
func (t Tiles) Function(name string, of number.Type) string {
	suffix := "f32"
	if of == number.BFloat16 {
		suffix = "bf16"
	}
	if t.Vector == 1 {
		return fmt.Sprintf("%s_%s_scalar", name, suffix)
	}
	return fmt.Sprintf("%s_%s", name, suffix)
}

// Spans is the grid of a kernel with a block for each span of so many values of each
// image: struct Span of group.cuh. Images are as many as one likes, so it has one row.
func Spans(images, values, span int) [3]int { return [3]int{images * ceil(values, span), 1, 1} }

func ceil(a, b int) int { return (a + b - 1) / b }

// Images cuts the rows of a tensor (N,H,W,C) into blocks for kernels with values
// of their own for each image: parts of one image, or several whole ones where
// they are small. Images of one shape are always cut alike, whatever their number.
type Images struct {
	Images, Pixels int
	Group          int // images of a block
	Parts          int // blocks of an image; 1 if Group > 1
	Length         int // rows of a part
}

// sharedOfImages is the shared memory that a block may fill with values of its
// images. With as much again for other purposes three blocks still share an sm_86.
const sharedOfImages = 16 << 10

// CutImages aims at blocks of so many rows. Each image of a block takes so many
// bytes of shared memory.
func CutImages(images, pixels, rows, shared int) Images {
	if pixels >= rows {
		parts := ceil(pixels, rows)
		return Images{images, pixels, 1, parts, ceil(pixels, parts)}
	}
	group := rows / pixels
	if shared > 0 {
		group = max(1, min(group, sharedOfImages/shared))
	}
	return Images{images, pixels, group, 1, pixels}
}

// Blocks is the grid's first number.
func (i Images) Blocks() int { return ceil(i.Images, i.Group) * i.Parts }

// Argument is a kernel's argument for the cut; it stands at a multiple of 8.
func (i Images) Argument() []byte {
	var b []byte
	for _, n := range []int{i.Images, i.Pixels, i.Group, i.Parts, i.Length} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return b
}
