package paper

import (
	"image/color"

	"fluxion/engine/figures"
)

// Sizes of text, and what is between a chart and what stands around it, in points.
const (
	titleSize, panelTitleSize, labelSize, legendSize, tickSize = 13, 11, 11, 10, 9

	tickLength, gap = 3, 3.5
	capHeight       = 0.72 // of digits and capitals, by the size of text
	lineWidth       = 1.4
	threadWidth     = 0.6
	dotRadius       = 2.2
	cloudRadius     = 1.1
)

var (
	ink   = color.NRGBA{0x4a, 0x52, 0x5e, 255} // of axes
	rules = color.NRGBA{0xe0, 0xe4, 0xea, 255} // behind a chart
	grey  = color.NRGBA{0x8a, 0x93, 0xa0, 255} // of threads
)

// drawn is a series on a chart, in parts that can be drawn without a break.
type drawn struct {
	kind   figures.Kind
	colour color.NRGBA
	runs   [][]point // in the data's numbers
}

// chart is axes and what is drawn between them.
type chart struct {
	title  string
	x, y   axis
	plane  bool                // both axes have one unit of length
	inner  struct{ x, y bool } // a chart beside or below has the label, too: its room stays empty
	series []drawn
}

// draw fills a part of the paper.
func (c *chart) draw(on canvas, l *letters, part box) {
	x, y := c.x.settled(), c.y.settled()
	across, up := x.ticks(), y.ticks()
	inner := box{part.left + tickLength + gap, part.top + tickSize, part.right - tickSize, part.bottom - tickLength - gap - capHeight*tickSize}
	widest := 0.0
	for _, t := range up {
		widest = max(widest, l.width(t.label, tickSize))
	}
	inner.left += widest
	if y.label != "" {
		inner.left += labelSize + 2*gap
	}
	if x.label != "" {
		inner.bottom -= labelSize + gap
	}
	if c.title != "" {
		inner.top = part.top + panelTitleSize + gap
	}
	if c.plane {
		inner = inner.shaped((x.high - x.low) / (y.high - y.low))
	}
	place := func(p point) point {
		return point{inner.left + x.part(p.x)*inner.width(), inner.bottom - y.part(p.y)*inner.height()}
	}

	on.clip(part)
	middle := point{(inner.left + inner.right) / 2, (inner.top + inner.bottom) / 2}
	on.write(point{middle.x, inner.top - gap}, words{text: c.title, size: panelTitleSize, align: 0.5})
	below := inner.bottom + tickLength + gap + capHeight*tickSize
	if !c.inner.x {
		on.write(point{middle.x, below + gap + capHeight*labelSize}, words{text: x.label, size: labelSize, align: 0.5})
	}
	beside := inner.left - tickLength - gap
	if !c.inner.y {
		on.write(point{beside - widest - 2*gap, middle.y}, words{text: y.label, size: labelSize, align: 0.5, upright: true})
	}
	for _, t := range across {
		at := place(point{t.value, y.low})
		on.line([]point{{at.x, inner.top}, {at.x, inner.bottom}}, pen{colour: rules, width: 0.5})
		on.line([]point{at, {at.x, at.y + tickLength}}, pen{colour: ink, width: 0.5})
		on.write(point{at.x, below}, words{text: t.label, size: tickSize, align: 0.5})
	}
	for _, t := range up {
		at := place(point{x.low, t.value})
		on.line([]point{{inner.left, at.y}, {inner.right, at.y}}, pen{colour: rules, width: 0.5})
		on.line([]point{at, {at.x - tickLength, at.y}}, pen{colour: ink, width: 0.5})
		on.write(point{beside, at.y + capHeight*tickSize/2}, words{text: t.label, size: tickSize, align: 1})
	}
	on.line([]point{{inner.left, inner.top}, {inner.left, inner.bottom}, {inner.right, inner.bottom}}, pen{colour: ink, width: 0.7})

	on.clip(inner.grown(dotRadius))
	for _, s := range c.series {
		for _, run := range s.runs {
			onPaper := make([]point, len(run))
			for i, p := range run {
				onPaper[i] = place(p)
			}
			mark(on, s.kind, s.colour, onPaper, inner.grown(lineWidth))
		}
	}
}

// shaped is the largest box in the middle of b of so many times its height in width.
func (b box) shaped(ratio float64) box {
	w, h := b.width(), b.height()
	if w > h*ratio {
		spare := (w - h*ratio) / 2
		return box{b.left + spare, b.top, b.right - spare, b.bottom}
	}
	spare := (h - w/ratio) / 2
	return box{b.left, b.top + spare, b.right, b.bottom - spare}
}

// mark draws points as their kind is drawn.
func mark(on canvas, kind figures.Kind, c color.NRGBA, points []point, within box) {
	p := pen{colour: c, width: lineWidth}
	switch kind {
	case figures.Dashed:
		p.dashed = true
	case figures.Threads:
		p.colour, p.width = faint(c), threadWidth
	}
	radius := 0.0
	switch kind {
	case figures.Points, figures.Marked:
		radius = dotRadius
	case figures.Cloud:
		radius, c = cloudRadius, faint(c)
	}
	if kind != figures.Points && kind != figures.Cloud {
		for _, piece := range inside(points, within) {
			on.line(piece, p)
		}
	}
	if radius == 0 {
		return
	}
	for _, at := range points {
		if within.holds(at) {
			on.dot(at, radius, c)
		}
	}
}

// faint is a colour of which many lie over each other.
func faint(c color.NRGBA) color.NRGBA {
	c.A = 150
	return c
}
