package data

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"strings"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// glyphs is the embedded data set: characters of the Go fonts in several
// weights, sizes, places, rotations and colours, bright on dark. Image i of a
// seed is a function of the two, so there are as many as one likes.
type glyphs struct {
	name     string
	seed     uint64
	classes  []string
	outlines [][]outline // by class and font
	shape    shape
}

const (
	glyphSide     = 32      // pixels of an image
	glyphsPerPass = 100_000 // what Len says; beyond it the same images come again
	glyphEm       = 1024    // size at which outlines are kept
)

var glyphFonts = [][]byte{goregular.TTF, gomedium.TTF, gobold.TTF, gomono.TTF, gomonobold.TTF}

var glyphKinds = map[string]string{
	"":        "0123456789",
	"letters": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
	"all":     "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
}

// outline is a character's curves, centred on the origin, of height 1.
type outline []sfnt.Segment

func openGlyphs(spec string, o Options) (Dataset, error) {
	kind, ok := strings.CutPrefix(spec, "glyphs")
	if !ok || kind != "" && kind[0] != ':' {
		return nil, nil
	}
	d, err := NewGlyphs(strings.TrimPrefix(kind, ":"), 0)
	if err != nil {
		return nil, err
	}
	return resized(d, o)
}

// NewGlyphs returns the images of a seed; kind is "" for digits, "letters" or
// "all". Training uses seed 0, judging others.
func NewGlyphs(kind string, seed uint64) (Dataset, error) {
	characters, ok := glyphKinds[kind]
	if !ok {
		return nil, &Error{Path: "glyphs:" + kind, Problem: "no such characters; want glyphs, glyphs:letters or glyphs:all"}
	}
	g := &glyphs{name: strings.TrimSuffix("glyphs-"+kind, "-"), seed: seed, shape: shape{glyphSide, glyphSide, 3}}
	g.classes = strings.Split(characters, "")
	g.outlines = make([][]outline, len(g.classes))
	for _, ttf := range glyphFonts {
		font, err := sfnt.Parse(ttf)
		if err != nil {
			return nil, fmt.Errorf("embedded font: %w", err)
		}
		for c, class := range g.classes {
			o, err := loadOutline(font, rune(class[0]))
			if err != nil {
				return nil, fmt.Errorf("embedded font, character %s: %w", class, err)
			}
			g.outlines[c] = append(g.outlines[c], o)
		}
	}
	return g, nil
}

// loadOutline reads a character and centres it.
func loadOutline(font *sfnt.Font, r rune) (outline, error) {
	var buffer sfnt.Buffer
	index, err := font.GlyphIndex(&buffer, r)
	if err != nil {
		return nil, err
	}
	segments, err := font.LoadGlyph(&buffer, index, fixed.I(glyphEm), nil)
	if err != nil {
		return nil, err
	}
	b := segments.Bounds()
	middle := fixed.Point26_6{X: (b.Min.X + b.Max.X) / 2, Y: (b.Min.Y + b.Max.Y) / 2}
	o := make(outline, len(segments))
	for i, s := range segments {
		o[i].Op = s.Op
		for j, p := range s.Args {
			o[i].Args[j] = p.Sub(middle)
		}
	}
	return o, nil
}

func (g *glyphs) Name() string { return g.name }
func (g *glyphs) Len() int     { return glyphsPerPass }
func (g *glyphs) Shape() (height, width, channels int) {
	return g.shape.height, g.shape.width, g.shape.channels
}
func (g *glyphs) Classes() []string { return g.classes }
func (g *glyphs) Kind() Kind        { return Bytes }
func (g *glyphs) Close() error      { return nil }
func (g *glyphs) cheap() bool       { return true }

// capital is the height of a digit in the Go fonts, in ems.
const capital = 0.72

func (g *glyphs) Read(i int, e *Example) error {
	e.Class = g.draw(i, e.Bytes)
	return nil
}

// draw draws character i and returns its class.
func (g *glyphs) draw(i int, dst []byte) int {
	rng := rand.New(rand.NewPCG(g.seed, uint64(i)))
	between := func(low, high float64) float64 { return low + (high-low)*rng.Float64() }
	class := i % len(g.classes)
	o := g.outlines[class][rng.IntN(len(glyphFonts))]

	scale := between(20, 24) / (glyphEm * 64 * capital)
	sin, cos := math.Sincos(between(-7, 7) * math.Pi / 180)
	dx, dy := glyphSide/2+between(-2, 2), glyphSide/2+between(-2, 2)
	place := func(p fixed.Point26_6) (x, y float32) {
		px, py := float64(p.X)*scale, float64(p.Y)*scale
		return float32(px*cos - py*sin + dx), float32(px*sin + py*cos + dy)
	}
	var r vector.Rasterizer
	r.Reset(glyphSide, glyphSide)
	o.draw(&r, place)
	mask := image.NewAlpha(image.Rect(0, 0, glyphSide, glyphSide))
	r.Draw(mask, mask.Rect, image.Opaque, image.Point{})

	ink := hue(rng.Float64(), between(0, 0.55), 1)
	paper := hue(rng.Float64(), between(0, 1), between(0.02, 0.2))
	for j, a := range mask.Pix {
		for c := range 3 {
			dst[3*j+c] = byte(math.Round(paper[c] + (ink[c]-paper[c])*float64(a)/255))
		}
	}
	return class
}

// draw adds the outline to a rasterizer.
func (o outline) draw(r *vector.Rasterizer, place func(fixed.Point26_6) (x, y float32)) {
	for i, s := range o {
		x, y := place(s.Args[0])
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			if i > 0 {
				r.ClosePath()
			}
			r.MoveTo(x, y)
		case sfnt.SegmentOpLineTo:
			r.LineTo(x, y)
		case sfnt.SegmentOpQuadTo:
			x2, y2 := place(s.Args[1])
			r.QuadTo(x, y, x2, y2)
		case sfnt.SegmentOpCubeTo:
			x2, y2 := place(s.Args[1])
			x3, y3 := place(s.Args[2])
			r.CubeTo(x, y, x2, y2, x3, y3)
		}
	}
	r.ClosePath()
}

// hue returns the colour of hue, saturation and value in [0, 1], as bytes' range.
func hue(h, s, v float64) (rgb [3]float64) {
	for c := range rgb {
		k := math.Mod(h*6+[3]float64{5, 3, 1}[c], 6)
		rgb[c] = 255 * (v - v*s*max(0, min(k, 4-k, 1)))
	}
	return rgb
}
