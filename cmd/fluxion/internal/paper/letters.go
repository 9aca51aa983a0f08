package paper

import (
	"image"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// letters is the font of figures, Go Regular, at a size of em units.
type letters struct {
	font   *sfnt.Font
	buffer sfnt.Buffer
}

const em = 2048

// sans is the font; its buffer is not for several goroutines.
func sans() *letters {
	return &letters{font: parsed()}
}

var parsed = sync.OnceValue(func() *sfnt.Font {
	f, err := sfnt.Parse(goregular.TTF)
	if err != nil {
		panic("the embedded font: " + err.Error())
	}
	return f
})

// placed is a glyph and where it begins, in em units.
type placed struct {
	glyph sfnt.GlyphIndex
	x     float64
}

// lay places the glyphs of a text and returns its width, in em units.
func (l *letters) lay(text string) (glyphs []placed, width float64) {
	var before sfnt.GlyphIndex
	for i, r := range text {
		if r == '\u0302' { // the font has the circumflex, not the combining one
			r = 'ˆ'
		}
		g, err := l.font.GlyphIndex(&l.buffer, r)
		if err != nil {
			continue
		}
		advance, err := l.font.GlyphAdvance(&l.buffer, g, fixed.I(em), font.HintingNone)
		if err != nil {
			continue
		}
		if r == 'ˆ' && len(glyphs) > 0 { // above the one before, in the middle
			last := glyphs[len(glyphs)-1].x
			glyphs = append(glyphs, placed{g, (last + width - units(advance)) / 2})
			continue
		}
		if i > 0 {
			if kern, err := l.font.Kern(&l.buffer, before, g, fixed.I(em), font.HintingNone); err == nil {
				width += units(kern)
			}
		}
		glyphs = append(glyphs, placed{g, width})
		width += units(advance)
		before = g
	}
	return glyphs, width
}

func units(x fixed.Int26_6) float64 { return float64(x) / 64 }

// width of a text in points.
func (l *letters) width(text string, size float64) float64 {
	_, w := l.lay(text)
	return w * size / em
}

// mask is the pixels that a text covers.
func (l *letters) mask(at point, w words, within image.Rectangle) *image.Alpha {
	glyphs, width := l.lay(w.text)
	scale := w.size / em
	start := -w.align * width
	onPaper := func(x, y float64) point { // of em units from the beginning, y downwards
		x = (x + start) * scale
		y *= scale
		if w.upright {
			return point{at.x + y, at.y - x}
		}
		return point{at.x + x, at.y + y}
	}
	a, b := onPaper(0, -em), onPaper(width, em/2)
	mask := image.NewAlpha(pixelsOf(box{min(a.x, b.x), min(a.y, b.y), max(a.x, b.x), max(a.y, b.y)}.grown(w.size / 4)).Intersect(within))
	if mask.Rect.Empty() {
		return mask
	}
	r := vector.NewRasterizer(mask.Rect.Dx(), mask.Rect.Dy())
	for _, g := range glyphs {
		segments, err := l.font.LoadGlyph(&l.buffer, g.glyph, fixed.I(em), nil)
		if err != nil {
			continue
		}
		pixel := func(p fixed.Point26_6) (x, y float32) {
			q := onPaper(g.x+units(p.X), units(p.Y))
			return float32(q.x*pixelsPerPoint - float64(mask.Rect.Min.X)), float32(q.y*pixelsPerPoint - float64(mask.Rect.Min.Y))
		}
		outline(r, segments, pixel)
	}
	r.Draw(mask, mask.Rect, image.Opaque, image.Point{})
	return mask
}

// outline adds a glyph, whose font is of TrueType: its curves are quadratic.
func outline(r *vector.Rasterizer, segments sfnt.Segments, pixel func(fixed.Point26_6) (x, y float32)) {
	for _, s := range segments {
		x, y := pixel(s.Args[0])
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			r.ClosePath()
			r.MoveTo(x, y)
		case sfnt.SegmentOpLineTo:
			r.LineTo(x, y)
		default:
			x2, y2 := pixel(s.Args[1])
			r.QuadTo(x, y, x2, y2)
		}
	}
	r.ClosePath()
}
