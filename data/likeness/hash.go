// Package likeness tells which pictures of a set are nearly the same: by perceptual
// hashes, of which a bit more or less is a little change of the picture.
package likeness

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Hash is the perceptual hash of a picture: 64 bits of its coarse structure.
type Hash uint64

func (h Hash) String() string { return fmt.Sprintf("%016x", uint64(h)) }

// Distance is in how many bits two hashes differ.
func (h Hash) Distance(other Hash) int { return bits.OnesCount64(uint64(h ^ other)) }

// side is that of the grey picture which is hashed, low that of its lowest frequencies,
// smallest that of the picture which is kept.
const side, low, smallest = 32, 8, 16

// Hasher hashes pictures of one size, one after the other.
type Hasher struct {
	height, width, channels int
	columns, rows           []taps
	grey                    []float64 // of the picture, then of its resized rows
	small                   []float64 // side × side
	cosines                 [low][side]float64
}

// NewHasher is for pictures of one or three channels.
func NewHasher(height, width, channels int) *Hasher {
	h := &Hasher{
		height: height, width: width, channels: channels, columns: lanczos(width, side), rows: lanczos(height, side),
		grey: make([]float64, height*width), small: make([]float64, side*side),
	}
	for k := range h.cosines {
		for i := range h.cosines[k] {
			h.cosines[k][i] = 2 * math.Cos(math.Pi*float64(k)*(float64(i)+0.5)/side)
		}
	}
	return h
}

// Mark is what is kept of a picture: its hash, and what tells whether another picture of
// a like hash is like it, too.
type Mark struct {
	Hash  Hash
	Small [smallest * smallest]byte // grey pixels
}

// Mark of a picture.
func (h *Hasher) Mark(pixels []byte) Mark {
	m := Mark{Hash: h.Hash(pixels)}
	const each = side / smallest
	for i := range m.Small {
		sum := 0.0
		for y := range each {
			for x := range each {
				sum += h.small[(i/smallest*each+y)*side+i%smallest*each+x]
			}
		}
		m.Small[i] = byte(pixel(sum / (each * each)))
	}
	return m
}

// Hash is the pHash of a picture: which of the 8 × 8 lowest frequencies of its cosine
// transform, as 32 × 32 grey pixels, lie above their median (Zauner, "Implementation and
// Benchmarking of Perceptual Image Hash Functions", 2010). Bits go from the mean, the
// highest, along rows.
func (h *Hasher) Hash(pixels []byte) Hash {
	h.shrink(pixels)
	var across [side][low]float64 // of each row
	for y := range across {
		for k := range across[y] {
			across[y][k] = dot(h.cosines[k][:], h.small[y*side:])
		}
	}
	var f [low * low]float64
	for k := range low {
		for l := range low {
			for y := range side {
				f[k*low+l] += h.cosines[k][y] * across[y][l]
			}
		}
	}
	// Rounding is nothing that is seen: without it, the bits of blank pictures are noise.
	const least = 1e-7 * 4 * 255 * side * side
	sorted := f
	slices.Sort(sorted[:])
	median := (sorted[len(f)/2-1]+sorted[len(f)/2])/2 + least
	var hash Hash
	for _, v := range f {
		hash <<= 1
		if v > median {
			hash |= 1
		}
	}
	return hash
}

// shrink makes side × side grey pixels of a picture, as Pillow does: luma of ITU-R
// 601-2, Lanczos' filter, rounded after each direction.
func (h *Hasher) shrink(pixels []byte) {
	for i := range h.grey {
		p := pixels[i*h.channels:][:h.channels]
		if h.channels == 1 {
			h.grey[i] = float64(p[0])
			continue
		}
		h.grey[i] = float64((uint32(p[0])*19595 + uint32(p[1])*38470 + uint32(p[2])*7471 + 1<<15) >> 16)
	}
	wide := h.grey
	if h.width != side {
		wide = make([]float64, h.height*side)
		for y := range h.height {
			for x, t := range h.columns {
				wide[y*side+x] = pixel(dot(t.weights, h.grey[y*h.width+t.first:]))
			}
		}
	}
	if h.height == side {
		copy(h.small, wide)
		return
	}
	for y, t := range h.rows {
		for x := range side {
			sum := 0.0
			for i, w := range t.weights {
				sum += w * wide[(t.first+i)*side+x]
			}
			h.small[y*side+x] = pixel(sum)
		}
	}
}

func pixel(v float64) float64 { return math.Round(min(max(v, 0), 255)) }

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

// taps are the pixels of a row that one pixel of the resized row is made of.
type taps struct {
	first   int
	weights []float64
}

// lanczos is the filter of three lobes from n pixels to m, as wide as the new pixels
// where the picture becomes smaller.
func lanczos(n, m int) []taps {
	sinc := func(x float64) float64 {
		if x == 0 {
			return 1
		}
		return math.Sin(math.Pi*x) / (math.Pi * x)
	}
	const lobes = 3
	scale := float64(n) / float64(m)
	wide := max(scale, 1)
	to := make([]taps, m)
	for i := range to {
		centre := (float64(i) + 0.5) * scale
		first, end := max(0, int(centre-lobes*wide+0.5)), min(n, int(centre+lobes*wide+0.5))
		w := make([]float64, end-first)
		sum := 0.0
		for k := range w {
			if x := (float64(first+k) - centre + 0.5) / wide; math.Abs(x) < lobes {
				w[k] = sinc(x) * sinc(x/lobes)
			}
			sum += w[k]
		}
		for k := range w {
			w[k] /= sum
		}
		to[i] = taps{first, w}
	}
	return to
}
