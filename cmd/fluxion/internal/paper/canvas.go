package paper

import "image/color"

// point is a place on paper, in points (1/72 of an inch) from the left and from the top.
type point struct{ x, y float64 }

// box is a part of the paper.
type box struct{ left, top, right, bottom float64 }

func (b box) width() float64  { return b.right - b.left }
func (b box) height() float64 { return b.bottom - b.top }

// grown is a box with a margin around it.
func (b box) grown(by float64) box { return box{b.left - by, b.top - by, b.right + by, b.bottom + by} }

func (b box) holds(p point) bool {
	return p.x >= b.left && p.x <= b.right && p.y >= b.top && p.y <= b.bottom
}

// pen draws lines with round ends and joints.
type pen struct {
	colour color.NRGBA
	width  float64
	dashed bool
}

// Lengths of dashes and of what is between them, round ends not counted.
const dashLength, dashGap = 3.6, 4.4

// words are a line of text. Its baseline begins, for align 0, at a place, or ends there, for
// align 1; upright, it runs from the bottom to the top.
type words struct {
	text    string
	size    float64
	align   float64
	upright bool
}

// canvas is what figures are drawn on.
type canvas interface {
	// clip bounds the lines that follow.
	clip(box)
	line([]point, pen)
	dot(at point, radius float64, c color.NRGBA)
	write(at point, w words)
	encode() ([]byte, error)
}
