// Package resample brings pictures to another size by Catmull-Rom, with antialiasing, to the bit as
// draw.CatmullRom.Scale of golang.org/x/image does, several times faster: a pixel is made floats
// once, not for each of the pixels that it is part of, and sums of several pixels go on beside each
// other. Only the order of what is summed up to one pixel matters to its bits, and that is kept.
package resample

import (
	"image"
	"math"
	"sync"

	"golang.org/x/image/draw"
)

// wide is how many rows are summed up beside each other.
const wide = 8

// widest bounds what a call keeps: 256 bytes for each column.
const widest = 1 << 18

// Scale draws the part sr of a picture on the part dr of a canvas, over what is there. Canvases of
// 16 bits, and parts that do not lie within, are left to draw.CatmullRom.
func Scale(dst draw.Image, dr image.Rectangle, src image.Image, sr image.Rectangle) {
	canvas, ok := dst.(*image.RGBA)
	if !ok || !dr.In(dst.Bounds()) || !sr.In(src.Bounds()) || dr.Empty() || sr.Empty() || max(sr.Dx(), dr.Dx()) > widest {
		draw.CatmullRom.Scale(dst, dr, src, sr, draw.Over, nil)
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	across, down := weightsOf(dr.Dx(), sr.Dx()), weightsOf(dr.Dy(), sr.Dy())
	from := readerOf(src)
	row := s.across(from, sr, across)
	s.down(canvas, dr, from, across, down, row)
}

// scratch is memory of a call.
type scratch struct{ band, rows, sums, alpha []float64 }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// room returns n floats of a scratch.
func room(of *[]float64, n int) []float64 {
	if cap(*of) < n {
		*of = make([]float64, n)
	}
	return (*of)[:n]
}

// weights say what of a line of pixels becomes each pixel of another.
type weights struct {
	parts []part
	all   []float64
}

// part is the weights of a pixel: those of all from first on, for pixels from on.
type part struct {
	from, first, n int
	inverse        float64 // 1 / their sum
}

// weightsOf a line of some pixels that becomes one of n. A kernel that is broadened for what
// becomes smaller has weights of 0 at its ends alone, so that those of a pixel lie together.
func weightsOf(n, some int) weights {
	kernel := draw.CatmullRom
	scale := float64(some) / float64(n)
	reach, narrow := kernel.Support, 1.0
	if scale > 1 {
		reach, narrow = reach*scale, 1/scale
	}
	w := weights{parts: make([]part, n)}
	for x := range w.parts {
		center := float64((float64(x)+0.5)*scale) - 0.5
		p, sum := part{first: len(w.all)}, 0.0
		for at := max(0, int(math.Floor(center-reach))); at < min(some, int(math.Ceil(center+reach))); at++ {
			t := math.Abs((center - float64(at)) * narrow)
			weight := 0.0
			if t < kernel.Support {
				weight = kernel.At(t)
			}
			if weight == 0 && p.n == 0 {
				continue
			}
			if p.n == 0 {
				p.from = at
			}
			sum += weight
			w.all = append(w.all, weight)
			p.n++
		}
		p.inverse = 1 / sum
		w.parts[x] = p
	}
	return w
}

// of are the weights of a part.
func (w weights) of(p part) []float64 { return w.all[p.first:][:p.n] }

// across makes rows of the canvas' width of the picture's: floats from 0 to 1, row after row, each
// with as many channels as the reader has. It returns how long a row is.
func (s *scratch) across(from reader, sr image.Rectangle, across weights) (row int) {
	channels, columns := from.channels, sr.Dx()
	lane := wide * channels // of a column of the band: wide rows, channel by channel
	row = (len(across.parts)*channels + wide - 1) / wide * wide
	rows, band := room(&s.rows, sr.Dy()*row), room(&s.band, columns*lane)
	s.rows = rows
	s.sums = room(&s.sums, max(row, lane))
	sums := s.sums[:lane]
	for y := 0; y < sr.Dy(); y += wide {
		n := min(wide, sr.Dy()-y)
		for k := range n {
			from.read(sr.Min.X, sr.Min.Y+y+k, columns, band[k:], lane)
		}
		for x, p := range across.parts {
			inverse := p.inverse / 0xffff
			combine(sums, band[p.from*lane:], lane, across.of(p))
			for c := range channels {
				to, of := rows[y*row+x*channels+c:], sums[c*wide:][:n]
				for k, v := range of {
					to[k*row] = v * inverse
				}
			}
		}
	}
	return row
}

// combineGo sums up lanes, a multiple of wide, each of values that lie a stride apart, by their
// weights, from the first to the last.
func combineGo(out, in []float64, stride int, w []float64) {
	for at := 0; at < len(out); at += wide {
		var s0, s1, s2, s3, s4, s5, s6, s7 float64
		from := in[at:]
		for k, weight := range w {
			v := (*[wide]float64)(from[k*stride:])
			s0 += float64(v[0] * weight)
			s1 += float64(v[1] * weight)
			s2 += float64(v[2] * weight)
			s3 += float64(v[3] * weight)
			s4 += float64(v[4] * weight)
			s5 += float64(v[5] * weight)
			s6 += float64(v[6] * weight)
			s7 += float64(v[7] * weight)
		}
		*(*[wide]float64)(out[at:]) = [wide]float64{s0, s1, s2, s3, s4, s5, s6, s7}
	}
}

// down makes the canvas of rows.
func (s *scratch) down(dst *image.RGBA, dr image.Rectangle, from reader, across, down weights, row int) {
	s.alpha = room(&s.alpha, 2*row) // of a row, and of one of the canvas
	alpha, of, sums := s.alpha[:row], s.alpha[row:2*row], s.sums[:row]
	if from.alpha == full {
		for x, p := range across.parts {
			a := 0.0
			for _, weight := range across.of(p) {
				a += float64(0xffff * weight)
			}
			alpha[x] = a * (p.inverse / 0xffff)
		}
	}
	for y, p := range down.parts {
		w := down.of(p)
		combine(sums, s.rows[p.from*row:], row, w)
		one := 0.0
		for _, weight := range w {
			one += weight
		}
		if from.alpha == full {
			n := (len(across.parts) + wide - 1) / wide * wide
			combine(of[:n], alpha, 0, w)
		}
		to := dst.Pix[dst.PixOffset(dr.Min.X, dr.Min.Y+y):]
		for x := range across.parts {
			v := sums[x*from.channels:]
			r, g, b, a := v[0], v[0], v[0], one
			if from.channels > 1 {
				g, b = v[1], v[2]
			}
			switch from.alpha {
			case full:
				a = of[x]
			case kept:
				a = v[3]
			}
			put(to[4*x:4*x+4:4*x+4], level(min(r, a)*p.inverse), level(min(g, a)*p.inverse), level(min(b, a)*p.inverse), level(a*p.inverse), from.over)
		}
	}
}

// put draws a pixel, whose colours are premultiplied, on one.
func put(to []byte, r, g, b, a uint32, over bool) {
	if !over {
		to[0], to[1], to[2], to[3] = uint8(r>>8), uint8(g>>8), uint8(b>>8), uint8(a>>8)
		return
	}
	shown := (0xffff - a) * 0x101 // of what is there, which has 8 bits
	for i, v := range [4]uint32{r, g, b, a} {
		to[i] = uint8((uint32(to[i])*shown/0xffff + v) >> 8)
	}
}

// level is a value from 0 to 1 in 16 bits.
func level(f float64) uint32 { return uint32(min(max(int32(float64(0xffff*f)+0.5), 0), 0xffff)) }
