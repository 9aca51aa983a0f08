package data

import (
	"image"
	"math"
	"slices"
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

// Strip is images of a size, one for each place of a sheet.
type Strip struct {
	Pixels   Pixels
	Channels int // 1 or 3
}

// SideBySide are n images of each strip as bytes: the first of each, the second of each, …;
// grey ones become RGB if any is.
func SideBySide(n, height, width int, strips ...Strip) (pixels []byte, channels int) {
	for _, s := range strips {
		channels = max(channels, s.Channels)
	}
	for i := range n {
		for _, s := range strips {
			size := height * width * s.Channels
			picture := make([]byte, size)
			s.Pixels.Slice(i*size, (i+1)*size).Picture(picture)
			if s.Channels == channels {
				pixels = append(pixels, picture...)
				continue
			}
			for _, grey := range picture {
				pixels = append(pixels, grey, grey, grey)
			}
		}
	}
	return pixels, channels
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
