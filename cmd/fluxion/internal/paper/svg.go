package paper

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/color"
	"math"
	"strconv"
	"strings"
)

// vectors is a canvas that becomes an SVG file.
type vectors struct {
	b     bytes.Buffer
	clips int
}

func newVectors(width, height float64) *vectors {
	v := &vectors{}
	fmt.Fprintf(&v.b, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]spt" height="%[2]spt" viewBox="0 0 %[1]s %[2]s"`+
		` font-family="Go,Liberation Sans,Arial,Helvetica,sans-serif" fill="none" stroke-linecap="round" stroke-linejoin="round">`+"\n"+
		`<rect width="100%%" height="100%%" fill="#ffffff"/>`+"\n<g>\n", short(width), short(height))
	return v
}

// clip opens a group, and closes the one before.
func (v *vectors) clip(b box) {
	v.clips++
	fmt.Fprintf(&v.b, `</g>`+"\n"+`<clipPath id="clip%[1]d"><rect x="%[2]s" y="%[3]s" width="%[4]s" height="%[5]s"/></clipPath>`+"\n"+`<g clip-path="url(#clip%[1]d)">`+"\n",
		v.clips, short(b.left), short(b.top), short(b.width()), short(b.height()))
}

func (v *vectors) line(points []point, p pen) {
	v.b.WriteString(`<polyline points="`)
	for i, at := range points {
		if i > 0 {
			v.b.WriteByte(' ')
		}
		v.b.WriteString(short(at.x) + "," + short(at.y))
	}
	fmt.Fprintf(&v.b, `" %s stroke-width="%s"`, paint("stroke", p.colour), short(p.width))
	if p.dashed {
		fmt.Fprintf(&v.b, ` stroke-dasharray="%s %s"`, short(dashLength), short(dashGap))
	}
	v.b.WriteString("/>\n")
}

func (v *vectors) dot(at point, radius float64, c color.NRGBA) {
	fmt.Fprintf(&v.b, `<circle cx="%s" cy="%s" r="%s" %s/>`+"\n", short(at.x), short(at.y), short(radius), paint("fill", c))
}

func (v *vectors) write(at point, w words) {
	anchor := map[float64]string{0: "start", 0.5: "middle", 1: "end"}[w.align]
	turn := ""
	if w.upright {
		turn = fmt.Sprintf(` transform="rotate(-90 %s %s)"`, short(at.x), short(at.y))
	}
	fmt.Fprintf(&v.b, `<text x="%s" y="%s" font-size="%s" text-anchor="%s" fill="#000000"%s>`, short(at.x), short(at.y), short(w.size), anchor, turn)
	_ = xml.EscapeText(&v.b, []byte(w.text)) // a buffer does not fail
	v.b.WriteString("</text>\n")
}

func (v *vectors) encode() ([]byte, error) {
	v.b.WriteString("</g>\n</svg>\n")
	return v.b.Bytes(), nil
}

func paint(what string, c color.NRGBA) string {
	s := fmt.Sprintf(`%s="#%02x%02x%02x"`, what, c.R, c.G, c.B)
	if c.A < 255 {
		s += fmt.Sprintf(` %s-opacity="%s"`, what, short(float64(c.A)/255))
	}
	return s
}

// short is a number with at most two digits behind the point.
func short(x float64) string {
	s := strings.TrimRight(strings.TrimRight(strconv.FormatFloat(math.Round(100*x)/100, 'f', 2, 64), "0"), ".")
	if s == "-0" {
		return "0"
	}
	return s
}
