package latent

import (
	"fmt"

	"fluxion/nets/autoencoder"
)

// tiling cuts images into tiles that overlap by a quarter, as AutoencoderKL's tiled_encode and
// tiled_decode do it: each tile is blended, over that quarter, with the one above and then with
// that to the left, which are blended themselves. Norms and attention see a tile alone: that is
// what makes the memory that of a tile, and the result another than that of the whole image.
type tiling struct {
	height, width int
	rows, columns []span // of what goes in
	up, down      int    // what comes out is up/down as large
	blend, keep   int    // of what comes out: how far tiles are blended, and how much of each stays
}

// span is from one pixel up to another.
type span struct{ from, to int }

func (s span) size() int { return s.to - s.from }

// overlap is the part of a tile that is blended, as 1/overlap.
const overlap = 4

func newTiling(o Options, which autoencoder.Half, height, width int) (tiling, error) {
	f := o.Model.Factor()
	t := tiling{height: height, width: width, up: f, down: 1}
	in, out := o.Tile/f, o.Tile
	pixels := f
	if which == autoencoder.Encoder {
		t.up, t.down, in, out, pixels = 1, f, o.Tile, o.Tile/f, 1
	}
	if err := o.Model.CheckSize(height*pixels, width*pixels); err != nil {
		return t, err
	}
	switch {
	case o.Tile == 0 || max(height, width) <= in:
		t.rows, t.columns = []span{{0, height}}, []span{{0, width}}
		return t, nil
	case o.Tile < overlap*f || o.Tile%(overlap*f) != 0:
		return t, fmt.Errorf("tiles of %d pixels; want a multiple of %d, which overlap by a quarter", o.Tile, overlap*f)
	}
	t.rows, t.columns = spans(height, in), spans(width, in)
	t.blend = out / overlap
	t.keep = out - t.blend
	return t, nil
}

// spans of tiles of a side that begin three quarters of it apart, the last ones shorter.
func spans(length, side int) (all []span) {
	for from := 0; from < length; from += side - side/overlap {
		all = append(all, span{from, min(from+side, length)})
	}
	return all
}

func (t tiling) outHeight() int { return t.height * t.up / t.down }
func (t tiling) outWidth() int  { return t.width * t.up / t.down }

// sizes of tiles that there are.
func (t tiling) sizes() (all [][2]int) {
	seen := map[[2]int]bool{}
	for _, y := range t.rows {
		for _, x := range t.columns {
			if s := [2]int{y.size(), x.size()}; !seen[s] {
				seen[s] = true
				all = append(all, s)
			}
		}
	}
	return all
}

// grid is what comes out of a tile: n images of height×width×channels.
type grid struct {
	values                     []float32
	n, height, width, channels int
}

func (g grid) at(i, y, x int) []float32 {
	return g.values[((i*g.height+y)*g.width+x)*g.channels:][:g.channels]
}

// tiled runs all tiles of n images and puts them together.
func (h *half) tiled(from []float32, n int, to []float32) error {
	var above []grid
	whole := grid{to, n, h.outHeight(), h.outWidth(), h.out}
	for r, y := range h.rows {
		var row []grid
		for c, x := range h.columns {
			g := grid{n: n, height: y.size() * h.up / h.down, width: x.size() * h.up / h.down, channels: h.out}
			g.values = make([]float32, n*g.height*g.width*g.channels)
			if err := h.tile(y, x, from, n, g.values); err != nil {
				return err
			}
			if r > 0 {
				g.blend(above[c], min(above[c].height, g.height, h.blend), true)
			}
			if c > 0 {
				g.blend(row[c-1], min(row[c-1].width, g.width, h.blend), false)
			}
			row = append(row, g)
			whole.put(g, r*h.keep, c*h.keep, h.keep)
		}
		above = row
	}
	return nil
}

// blend goes over some pixels from what another ends with to what this begins with: rows of
// one above, or columns of one to the left.
func (g grid) blend(other grid, extent int, rows bool) {
	height, width := g.height, extent
	if rows {
		height, width = extent, g.width
	}
	for i := range g.n {
		for y := range height {
			for x := range width {
				k, a := x, other
				oy, ox := y, a.width-extent+x
				if rows {
					k, oy, ox = y, a.height-extent+y, x
				}
				share := float32(k) / float32(extent)
				mine, theirs := g.at(i, y, x), a.at(i, oy, ox)
				for c := range mine {
					mine[c] = theirs[c]*(1-share) + mine[c]*share
				}
			}
		}
	}
}

// put copies what stays of a tile to its place.
func (whole grid) put(g grid, y, x, keep int) {
	height, width := min(g.height, keep, whole.height-y), min(g.width, keep, whole.width-x)
	for i := range g.n {
		for r := range height {
			copy(whole.values[((i*whole.height+y+r)*whole.width+x)*g.channels:][:width*g.channels], g.at(i, r, 0)[:width*g.channels:width*g.channels])
		}
	}
}
