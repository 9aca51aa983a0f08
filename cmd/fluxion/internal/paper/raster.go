package paper

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
)

// pixelsPerPoint is the resolution of PNG files: 144 pixels an inch.
const pixelsPerPoint = 2

// pixels is a canvas that becomes a PNG file.
type pixels struct {
	img    *image.RGBA
	within image.Rectangle // of lines and dots
	letter *letters
}

func newPixels(width, height float64) *pixels {
	img := image.NewRGBA(image.Rect(0, 0, int(math.Ceil(width*pixelsPerPoint)), int(math.Ceil(height*pixelsPerPoint))))
	draw.Draw(img, img.Rect, image.White, image.Point{}, draw.Src)
	return &pixels{img: img, within: img.Rect, letter: sans()}
}

func (p *pixels) clip(b box) { p.within = pixelsOf(b).Intersect(p.img.Rect) }

// pixelsOf is the pixels that a box covers, in part or whole.
func pixelsOf(b box) image.Rectangle {
	const s = pixelsPerPoint
	return image.Rect(int(math.Floor(b.left*s)), int(math.Floor(b.top*s)), int(math.Ceil(b.right*s)), int(math.Ceil(b.bottom*s)))
}

// line covers a pixel as far as it is within half a width of the line: ends and joints are
// round, and a line that crosses itself is no darker there.
func (p *pixels) line(points []point, by pen) {
	pieces := [][]point{points}
	if by.dashed {
		pieces = dashes(points)
	}
	around := box{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	for _, at := range points {
		around = box{min(around.left, at.x), min(around.top, at.y), max(around.right, at.x), max(around.bottom, at.y)}
	}
	mask := image.NewAlpha(pixelsOf(around.grown(by.width)).Intersect(p.within))
	for _, piece := range pieces {
		for i := range piece[:max(len(piece)-1, 1)] {
			cover(mask, piece[i], piece[min(i+1, len(piece)-1)], by.width/2)
		}
	}
	p.blend(mask, by.colour)
}

func (p *pixels) dot(at point, radius float64, c color.NRGBA) {
	mask := image.NewAlpha(pixelsOf(box{at.x, at.y, at.x, at.y}.grown(radius + 1)).Intersect(p.within))
	cover(mask, at, at, radius)
	p.blend(mask, c)
}

// cover raises a mask to what lies within a distance of the way from a to b.
func cover(mask *image.Alpha, a, b point, distance float64) {
	const s = pixelsPerPoint
	ends := box{min(a.x, b.x), min(a.y, b.y), max(a.x, b.x), max(a.y, b.y)}
	part := pixelsOf(ends.grown(distance + 1)).Intersect(mask.Rect)
	dx, dy := b.x-a.x, b.y-a.y
	length := dx*dx + dy*dy
	for y := part.Min.Y; y < part.Max.Y; y++ {
		row := mask.Pix[mask.PixOffset(part.Min.X, y):][:part.Dx()]
		py := (float64(y)+0.5)/s - a.y
		for i := range row {
			px := (float64(part.Min.X+i)+0.5)/s - a.x
			t := 0.0 // of the nearest point of the way
			if length > 0 {
				t = min(1, max(0, (px*dx+py*dy)/length))
			}
			inside := (distance-math.Hypot(px-t*dx, py-t*dy))*s + 0.5
			row[i] = max(row[i], uint8(255*min(1, max(0, inside))+0.5))
		}
	}
}

// dashes cuts a line.
func dashes(points []point) (pieces [][]point) {
	left, down := dashLength, true // what is left of a dash, or of what is between two
	piece := []point{points[0]}
	for i := 1; i < len(points); i++ {
		from, to := points[i-1], points[i]
		for {
			length := math.Hypot(to.x-from.x, to.y-from.y)
			if length < left {
				left -= length
				piece = append(piece, to)
				break
			}
			from = point{from.x + (to.x-from.x)*left/length, from.y + (to.y-from.y)*left/length}
			if down {
				pieces = append(pieces, append(piece, from))
			}
			piece, down, left = []point{from}, !down, dashLength
			if !down {
				left = dashGap
			}
		}
	}
	if down {
		pieces = append(pieces, piece)
	}
	return pieces
}

func (p *pixels) write(at point, w words) {
	p.blend(p.letter.mask(at, w, p.img.Rect), color.NRGBA{A: 255})
}

func (p *pixels) blend(mask *image.Alpha, c color.NRGBA) {
	draw.DrawMask(p.img, mask.Rect, image.NewUniform(c), image.Point{}, mask, mask.Rect.Min, draw.Over)
}

func (p *pixels) encode() ([]byte, error) {
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err := encoder.Encode(&b, p.img)
	return b.Bytes(), err
}
