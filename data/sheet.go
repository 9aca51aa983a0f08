package data

import (
	"bytes"
	"image"
	"maps"
	"math"
	"slices"
	"strconv"
)

// Showable says whether samples of a shape can be seen in one picture, and how: as a
// grid of images or as points.
func Showable(height, width, channels int) (images, points bool) {
	return channels == 1 || channels == 3, channels == 2 && height*width == 1
}

// EncodeSheet is the file of one picture of n samples, NHWC: a grid, floats clipped to ±1,
// or the density of points in the plane. They must be Showable.
func EncodeSheet(p Pixels, n, height, width, channels, columns int) ([]byte, error) {
	if _, points := Showable(height, width, channels); points {
		return encode(density(p.Floats), nil)
	}
	pixels := make([]byte, p.Len())
	p.Picture(pixels)
	return EncodeGrid(pixels, n, height, width, channels, columns, nil)
}

// Tile is an image of a sheet of several shapes.
type Tile struct {
	Pixels
	Size     Size
	Channels int // 1 or 3
}

// EncodeTiles is the file of images in rows of so many columns, each in the middle of its cell: a row
// is as high as its highest, a column as wide as the widest of all. Grey ones become RGB if any is.
func EncodeTiles(tiles []Tile, columns int, text map[string]string) ([]byte, error) {
	var cell Size
	channels := 1
	for _, t := range tiles {
		channels, cell.Width = max(channels, t.Channels), max(cell.Width, t.Size.Width)
	}
	var heights []int
	columns = min(columns, len(tiles))
	for row := range slices.Chunk(tiles, columns) {
		high := 0
		for _, t := range row {
			high = max(high, t.Size.Height)
		}
		heights, cell.Height = append(heights, high), max(cell.Height, high)
	}
	canvas := newCanvas(heights, cell.Width, columns, channels)
	for i, t := range tiles {
		canvas.put(i/columns, i%columns, t)
	}
	return canvas.encode(cell.most(), text)
}

// canvas is a sheet as it is drawn: cells between gaps.
type canvas struct {
	pixels                  []byte
	tops                    []int // of rows, and the end of the last
	wide                    int   // a cell
	height, width, channels int
}

func newCanvas(heights []int, wide, columns, channels int) *canvas {
	c := &canvas{wide: wide, width: columns*(wide+gridGap) + gridGap, channels: channels, tops: []int{gridGap}}
	for row, h := range heights {
		c.tops = append(c.tops, c.tops[row]+h+gridGap)
	}
	c.height = c.tops[len(heights)]
	c.pixels = bytes.Repeat([]byte{255}, c.height*c.width*channels)
	return c
}

// put draws an image into a cell.
func (c *canvas) put(row, column int, t Tile) {
	bytes := make([]byte, t.Len())
	t.Picture(bytes)
	top := c.tops[row] + (c.tops[row+1]-gridGap-c.tops[row]-t.Size.Height)/2
	left := column*(c.wide+gridGap) + gridGap + (c.wide-t.Size.Width)/2
	for y := range t.Size.Height {
		line := bytes[y*t.Size.Width*t.Channels:][:t.Size.Width*t.Channels]
		to := c.pixels[((top+y)*c.width+left)*c.channels:]
		for x, v := range line {
			if t.Channels == c.channels {
				to[x] = v
				continue
			}
			to[3*x], to[3*x+1], to[3*x+2] = v, v, v
		}
	}
}

// encode is the file; side is the largest of an image.
func (c *canvas) encode(side int, text map[string]string) ([]byte, error) {
	scale := min(tileSide/side, gridSide/max(c.height, c.width))
	if scale < 2 {
		return encode(picture(c.pixels, c.height, c.width, c.channels), text)
	}
	text = maps.Clone(text)
	if text == nil {
		text = map[string]string{}
	}
	text[ScaleText] = strconv.Itoa(scale)
	return encode(picture(larger(c.pixels, c.height, c.width, c.channels, scale), c.height*scale, c.width*scale, c.channels), text)
}

// Strip is an image that is shown beside another of its size.
type Strip struct {
	Pixels   Pixels
	Channels int // 1 or 3
}

const (
	plotSide = 256 // pixels of a density plot
	dot      = 1   // pixels around the middle of a point
)

// density draws how many points (x to the right, y up) lie where. The range is the
// same along both axes, around 0.
func density(points []float32) image.Image {
	extent := extentOf(points)
	counts := make([]float64, plotSide*plotSide)
	for i := 0; i+1 < len(points); i += 2 {
		column := int(math.Floor((float64(points[i])/extent + 1) / 2 * plotSide))
		row := int(math.Floor((1 - float64(points[i+1])/extent) / 2 * plotSide))
		for y := max(0, row-dot); y <= min(plotSide-1, row+dot); y++ {
			for x := max(0, column-dot); x <= min(plotSide-1, column+dot); x++ {
				counts[y*plotSide+x]++
			}
		}
	}
	img := image.NewGray(image.Rect(0, 0, plotSide, plotSide))
	most := max(1, slices.Max(counts))
	for i, c := range counts {
		// the square root shows thin parts beside dense ones
		img.Pix[i] = byte(255 - math.Round(215*math.Sqrt(c/most)+40*min(c, 1)))
	}
	return img
}

// extentOf is a round number that all coordinates but one in a hundred are well within.
func extentOf(points []float32) float64 {
	sizes := make([]float64, len(points))
	for i, x := range points {
		sizes[i] = math.Abs(float64(x))
	}
	slices.Sort(sizes)
	need := 1e-6
	if len(sizes) > 0 {
		need = max(need, 1.15*sizes[(len(sizes)-1)*99/100])
	}
	unit := math.Pow(10, math.Floor(math.Log10(need)))
	for _, m := range []float64{1, 1.5, 2, 3, 5} {
		if need <= m*unit {
			return m * unit
		}
	}
	return 10 * unit
}
