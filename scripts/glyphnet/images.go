package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"fluxion/data"
	"fluxion/nets/feature"
)

const (
	side       = 32 // of an image as the network sees it
	characters = 36 // classes of glyphs:all, before those of handwritten digits
)

// part is images of a set, and what their classes are to the network.
type part struct {
	name  string
	set   data.Dataset
	n     int
	at    func(i int) int // number of image i in the set
	class int             // that the set's first class is
}

// images are what is trained on, and what is held out.
type images struct {
	trained []part
	held    []part
	seed    uint64
}

// open opens the sets. Glyphs of seed 0 are those that models are trained on; the
// classifier has others, and is judged by others still.
func open(digits string, seed uint64) (*images, error) {
	const trained, judged = 1, 2
	hand, err := data.Open(digits, data.Options{Channels: 1})
	if err != nil {
		return nil, err
	}
	if len(hand.Classes()) != feature.GlyphClasses-characters {
		return nil, fmt.Errorf("%s has %d classes, want ten digits", digits, len(hand.Classes()))
	}
	glyphs, err := data.NewGlyphs("all", trained)
	if err != nil {
		return nil, err
	}
	others, err := data.NewGlyphs("all", judged)
	if err != nil {
		return nil, err
	}
	numerals, err := data.NewGlyphs("", judged)
	if err != nil {
		return nil, err
	}
	whole := func(i int) int { return i }
	trainedOn, heldOut := split(hand.Len())
	for _, p := range []*part{&trainedOn, &heldOut} {
		p.name, p.set, p.class = digits, hand, characters
	}
	return &images{
		trained: []part{
			{"glyphs:all", glyphs, glyphs.Len(), whole, 0},
			trainedOn,
		},
		held: []part{
			{"glyphs", numerals, 5000, whole, 0},
			{"glyphs:all", others, 18000, whole, 0},
			heldOut,
		},
		seed: seed,
	}, nil
}

// split holds every fifth of n images out.
func split(n int) (trained, held part) {
	const fifth = 5
	held = part{n: n / fifth, at: func(i int) int { return i*fifth + fifth - 1 }}
	trained = part{n: held.n * (fifth - 1), at: func(i int) int { return i/(fifth-1)*fifth + i%(fifth-1) }}
	return trained, held
}

// read fills an image of the stream and returns its class. The sets take turns; each
// image is bent anew every time that it comes.
func (m *images) read(position int64, to []float32) (int, error) {
	p := m.trained[position%int64(len(m.trained))]
	i := position / int64(len(m.trained))
	pass := i / int64(p.n)
	e := data.NewExample(p.set)
	if err := p.set.Read(p.at(data.Order(m.seed, pass, p.n, int(i%int64(p.n)))), e); err != nil {
		return 0, err
	}
	h, w, c := p.set.Shape()
	bend(to, e.Bytes, h, w, c, newRandom(m.seed, position))
	return p.class + e.Class, nil
}

// newRandom is the random numbers of an image of the stream.
func newRandom(seed uint64, position int64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(position)))
}

// bend draws an image of h×w×c bytes turned, stretched and moved a little, in the range
// that networks see. What lies outside repeats the border.
func bend(to []float32, from []byte, h, w, c int, rng *rand.Rand) {
	within := func(low, high float64) float64 { return low + (high-low)*rng.Float64() }
	sin, cos := math.Sincos(within(-8, 8) * math.Pi / 180)
	stretchX, stretchY := within(0.87, 1.15)*float64(w)/side, within(0.87, 1.15)*float64(h)/side
	moveX, moveY := within(-2, 2), within(-2, 2)
	for y := range side {
		for x := range side {
			u, v := float64(x)+0.5-side/2+moveX, float64(y)+0.5-side/2+moveY
			at := [2]float64{(u*cos-v*sin)*stretchX + float64(w)/2 - 0.5, (u*sin+v*cos)*stretchY + float64(h)/2 - 0.5}
			for k := range 3 {
				to[(y*side+x)*3+k] = float32((between(from, h, w, c, at, min(k, c-1)) - 128) / 128)
			}
		}
	}
}

// between is the value between four pixels.
func between(from []byte, h, w, c int, at [2]float64, k int) float64 {
	left, top := math.Floor(at[0]), math.Floor(at[1])
	pixel := func(x, y int) float64 {
		x, y = max(0, min(w-1, x)), max(0, min(h-1, y))
		return float64(from[(y*w+x)*c+k])
	}
	x, y, a, b := int(left), int(top), at[0]-left, at[1]-top
	return (1-b)*((1-a)*pixel(x, y)+a*pixel(x+1, y)) + b*((1-a)*pixel(x, y+1)+a*pixel(x+1, y+1))
}
