package paper

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"fluxion/data/durable"
	"fluxion/engine/figures"
)

// ink of a mask, in square points.
func (p *pixels) ink() float64 {
	sum := 0.0
	for i := 0; i < len(p.img.Pix); i += 4 {
		sum += float64(255-p.img.Pix[i]) / 255
	}
	return sum / (pixelsPerPoint * pixelsPerPoint)
}

// TestLines: a line covers its length times its width and two half circles at its ends, a
// line there and back no more, and a dash so much for each.
func TestLines(t *testing.T) {
	black := color.NRGBA{A: 255}
	for _, angle := range []float64{0, 0.3, math.Pi / 4, 1.2, math.Pi / 2} {
		const length, width, radius = 60, 1.4, 2.2
		from := point{20.3, 20.7}
		to := point{from.x + length*math.Cos(angle), from.y + length*math.Sin(angle)}
		round := math.Pi * width * width / 4
		dashes := math.Ceil(length / (dashLength + dashGap))
		for name, c := range map[string]struct {
			points []point
			by     pen
			want   float64
		}{
			"line":           {[]point{from, to}, pen{black, width, false}, length*width + round},
			"there and back": {[]point{from, to, from}, pen{black, width, false}, length*width + round},
			"dashes":         {[]point{from, to}, pen{black, width, true}, dashes * (dashLength*width + round)},
		} {
			p := newPixels(100, 100)
			p.line(c.points, c.by)
			if got := p.ink(); math.Abs(got/c.want-1) > 0.03 {
				t.Errorf("%s at angle %.1f: %.2f square points, want %.2f", name, angle, got, c.want)
			}
		}
		p := newPixels(100, 100)
		p.dot(to, radius, black)
		if want := math.Pi * radius * radius; math.Abs(p.ink()/want-1) > 0.03 {
			t.Errorf("dot: %.2f square points, want %.2f", p.ink(), want)
		}
	}
	p := newPixels(100, 100)
	p.clip(box{0, 0, 50, 100})
	p.line([]point{{10, 50}, {90, 50}}, pen{black, 2, false})
	if want := 40*2 + math.Pi/2; math.Abs(p.ink()/want-1) > 0.03 {
		t.Errorf("clipped: %.2f square points, want %.2f", p.ink(), want)
	}
}

// TestLetters: a capital H of Go Regular covers about what its strokes do; upright text is
// the same turned, and aligned text ends where it should.
func TestLetters(t *testing.T) {
	p := newPixels(100, 100)
	p.write(point{50, 50}, words{text: "Hλ−", size: 20, align: 1})
	upright := newPixels(100, 100)
	upright.write(point{50, 50}, words{text: "Hλ−", size: 20, upright: true})
	if p.ink() < 40 || math.Abs(p.ink()/upright.ink()-1) > 0.01 {
		t.Errorf("%.1f square points, upright %.1f", p.ink(), upright.ink())
	}
	if b := inked(p.img); b.Max.X > 50*pixelsPerPoint || b.Min.X < int((50-p.letter.width("Hλ−", 20))*pixelsPerPoint)-1 {
		t.Errorf("aligned to the right, text covers %v", b)
	}
	if b := inked(upright.img); b.Max.Y > 50*pixelsPerPoint || b.Max.X > 56*pixelsPerPoint {
		t.Errorf("upright, text covers %v", b)
	}
	if hat, plain := p.letter.width("x\u0302", 20), p.letter.width("x", 20); hat != plain {
		t.Errorf("a combining circumflex is %g points wide", hat-plain)
	}
}

// inked is the box of what is not white.
func inked(img *image.RGBA) image.Rectangle {
	b := image.Rectangle{}
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			if img.RGBAAt(x, y).R < 128 {
				b = b.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return b
}

// TestInside: what is left of a line are the points of it that lie in the box.
func TestInside(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	b := box{-1, -1, 2, 1}
	for range 2000 {
		from, to := point{rng.NormFloat64() * 2, rng.NormFloat64() * 2}, point{rng.NormFloat64() * 2, rng.NormFloat64() * 2}
		pieces := inside([]point{from, to}, b)
		const n = 1000
		held, length := 0, 0.0
		for i := range n {
			at := (float64(i) + 0.5) / n
			if b.holds(point{from.x + at*(to.x-from.x), from.y + at*(to.y-from.y)}) {
				held++
			}
		}
		for _, p := range pieces {
			length += math.Hypot(p[1].x-p[0].x, p[1].y-p[0].y)
		}
		whole := math.Hypot(to.x-from.x, to.y-from.y)
		if want := whole * float64(held) / n; math.Abs(length-want) > 2*whole/n {
			t.Fatalf("from %v to %v: %.4f inside, want %.4f", from, to, length, want)
		}
	}
	if got := inside([]point{{0, 0}, {1, 0}, {1, 5}, {5, 5}, {0, 0.5}}, b); len(got) != 2 || len(got[0]) != 3 {
		t.Errorf("a line that leaves and comes back: %v", got)
	}
}

// TestTicks: round numbers within the range, and not too many, whatever it is.
func TestTicks(t *testing.T) {
	for _, a := range []axis{
		{low: 0, high: 1}, {low: -3, high: 3}, {low: 1, high: 1}, {low: 1, high: math.Nextafter(1, 2)}, {low: 1e300, high: 1e300}, {low: -1e-300, high: 1e-300}, emptyAxis("", false), emptyAxis("", true),
		{low: 1e-4, high: 1, log: true}, {low: 2, high: 128, log: true}, {low: 3, high: 3, log: true}, {low: 1e-300, high: 1e300, log: true},
	} {
		s := a.settled()
		ticks := s.ticks()
		if len(ticks) < 2 || len(ticks) > 13 {
			t.Errorf("%v: %d ticks", a, len(ticks))
		}
		for _, tick := range ticks {
			if at := s.part(tick.value); at < -1e-6 || at > 1+1e-6 {
				t.Errorf("%v: a tick %s at %g of the axis", a, tick.label, at)
			}
		}
	}
}

// TestDraw: what is drawn can be read, holds every text, and is the same each time.
func TestDraw(t *testing.T) {
	nan := math.NaN()
	list := []figures.Figure{
		{Name: "plain", Title: `loss & "<rates>"`, X: "images", Y: "λ²", LogY: true, Frames: []figures.Frame{{Series: []figures.Series{
			{Name: "a\x00<b>", Kind: figures.Line, X: []float64{1, 2, 3, 4}, Y: []float64{1, nan, -1, 1e300}},
			{Name: "dots", Kind: figures.Points, X: []float64{1, 2}, Y: []float64{1, 2}},
			{Name: "few", Kind: figures.Marked, X: []float64{1, 4}, Y: []float64{3, 2}},
		}}}},
		{Name: "panels", Title: "panels", X: "x", Y: "y", Plane: true, Across: 2, XRange: [2]float64{-1, 1}, YRange: [2]float64{-1, 1}, Frames: []figures.Frame{{Panels: []figures.Panel{
			{Title: "one", Series: []figures.Series{{Name: "cloud", Kind: figures.Cloud, X: []float64{0, 1e308}, Y: []float64{0, -1e308}}}},
			{Title: "none"},
			{Title: "three", Series: []figures.Series{{Name: "threads", Kind: figures.Threads, X: []float64{-1e308, 1e308, nan, 0, 1}, Y: []float64{-1e308, 1e308, nan, 0, 1}}, {Name: "dashed", Kind: figures.Dashed, X: []float64{0, 1}, Y: []float64{0, 1}}}},
		}}}},
		{Name: "empty", Title: "nothing", X: "x", Y: "y", Frames: []figures.Frame{{Series: []figures.Series{{Name: "nothing", Kind: figures.Line}}}}},
	}
	for _, f := range list {
		var before [][]byte
		for i := range 2 {
			paths, err := DrawPlots(durable.Disk{}, t.TempDir(), f)
			if err != nil {
				t.Fatal(err)
			}
			var contents [][]byte
			for _, path := range paths {
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				contents = append(contents, content)
			}
			if i == 1 && (!bytes.Equal(contents[0], before[0]) || !bytes.Equal(contents[1], before[1])) {
				t.Errorf("%s: drawn twice, it differs", f.Name)
			}
			before = contents
		}
		if _, err := png.Decode(bytes.NewReader(before[0])); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		text := textOf(t, before[1])
		for _, want := range []string{f.Title, f.X, f.Y} {
			if !strings.Contains(text, want+"\n") {
				t.Errorf("%s: no text %q in\n%s", f.Name, want, text)
			}
		}
		if bytes.Contains(before[1], []byte("NaN")) || bytes.Contains(before[1], []byte("Inf")) {
			t.Errorf("%s: a place is not finite", f.Name)
		}
	}
}

// textOf is the lines of text of an SVG file.
func textOf(t *testing.T, svg []byte) string {
	t.Helper()
	var b strings.Builder
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			b.WriteString(string(text) + "\n")
		}
	}
}
