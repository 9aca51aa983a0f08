package data

import (
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"fluxion/data/lookup"
)

// distribution is one of points in the plane, centred and of variance about 1, where a
// network and a sampler can be seen to be right or wrong. Its classes have points in turn.
type distribution struct {
	name    string
	classes int // 0: none
	about   string
	point   func(r *rand.Rand, class int) (x, y float64)
}

// distributions are what toy: takes. A new one is a line.
var distributions = []distribution{
	{"moons", 2, "two interleaved half circles", moon},
	{"rings", 2, "two rings around each other", ring},
	{"checkerboard", 0, "every other square of four by four", checker},
	{"swissroll", 0, "a spiral of one and a half turns", roll},
	{"gaussians", 8, "eight Gaussians on a circle", blob},
	{"grid", 0, "twenty-five Gaussians on a grid", gridPoint},
	{"spirals", 2, "two spirals in each other", spiral},
	{"pinwheel", 5, "five bent arms", arm},
}

// products are rounded before they are added (explicit float64()): the same points
// where a compiler would fuse the two.

func polar(radius, angle float64) (x, y float64) {
	sin, cos := math.Sincos(angle)
	return float64(radius * cos), float64(radius * sin)
}

// noisy adds Gaussian noise of a deviation, and scales the sum.
func noisy(r *rand.Rand, x, y, deviation, scale float64) (float64, float64) {
	return float64(scale * (x + float64(deviation*r.NormFloat64()))), float64(scale * (y + float64(deviation*r.NormFloat64())))
}

func moon(r *rand.Rand, class int) (x, y float64) {
	x, y = polar(1, math.Pi*r.Float64())
	if class == 1 {
		x, y = 1-x, 0.5-y
	}
	return noisy(r, x-0.5, y-0.25, 0.05, math.Sqrt2)
}

func ring(r *rand.Rand, class int) (x, y float64) {
	x, y = polar([]float64{1, 0.5}[class], 2*math.Pi*r.Float64())
	return noisy(r, x, y, 0.04, 1.8)
}

func checker(r *rand.Rand, _ int) (x, y float64) {
	column, row := r.IntN(4), r.IntN(2)
	x, y = float64(column)+r.Float64(), float64(2*row+column%2)+r.Float64()
	return float64((x - 2) * 0.85), float64((y - 2) * 0.85)
}

func roll(r *rand.Rand, _ int) (x, y float64) {
	t := float64(math.Pi * (1.5 + float64(3*r.Float64())))
	x, y = polar(t, t)
	return noisy(r, x, y, 0.3, 1./7)
}

func blob(r *rand.Rand, class int) (x, y float64) {
	x, y = polar(1, math.Pi/4*float64(class))
	return noisy(r, x, y, 0.07, 1.4)
}

func gridPoint(r *rand.Rand, _ int) (x, y float64) {
	return noisy(r, float64(r.IntN(5)-2), float64(r.IntN(5)-2), 0.07, math.Sqrt2/2)
}

func spiral(r *rand.Rand, class int) (x, y float64) {
	t := math.Sqrt(r.Float64()) // as dense everywhere
	x, y = polar(t, float64(math.Pi*(float64(3*t)+float64(class))))
	return noisy(r, x, y, 0.02, 2)
}

func arm(r *rand.Rand, class int) (x, y float64) {
	along, across := 1+float64(0.3*r.NormFloat64()), float64(0.1*r.NormFloat64())
	sin, cos := math.Sincos(float64(2*math.Pi/5*float64(class)) + float64(0.25*math.Exp(along)))
	x, y = float64(along*cos)-float64(across*sin), float64(along*sin)+float64(across*cos)
	return float64(1.35 * x), float64(1.35 * y)
}

// toy is a set of points of a distribution: images of one pixel with two channels.
// Point i is a function of i.
type toy struct {
	distribution
	classNames []string
}

func openToy(spec string, o Options) (Dataset, error) {
	name, ok := strings.CutPrefix(spec, "toy:")
	if !ok {
		return nil, nil
	}
	i, err := lookup.Find("points", name, toyNames())
	if err != nil {
		return nil, &Error{Path: spec, Problem: err.Error()}
	}
	return resized(&toy{distributions[i], numbers(distributions[i].classes)}, o)
}

func toyNames() (names []string) {
	for _, d := range distributions {
		names = append(names, d.name)
	}
	return names
}

// numbers are the names of classes that have none.
func numbers(n int) (names []string) {
	for i := range n {
		names = append(names, strconv.Itoa(i))
	}
	return names
}

const toyPoints = 100_000 // of one pass; beyond it the same come again

func (t *toy) Name() string                         { return t.name }
func (t *toy) Len() int                             { return toyPoints }
func (t *toy) Shape() (height, width, channels int) { return 1, 1, 2 }
func (t *toy) Kind() Kind                           { return Floats }
func (t *toy) Classes() []string                    { return t.classNames }
func (t *toy) Notes() []string                      { return []string{t.name + ": " + t.about} }
func (t *toy) Close() error                         { return nil }

func (t *toy) Read(i int, e *Example) error {
	class := 0
	if t.classes > 0 {
		class = i % t.classes
		e.Class = class
	}
	x, y := t.point(rand.New(rand.NewPCG(0, uint64(i))), class)
	e.Floats[0], e.Floats[1] = float32(x), float32(y)
	return nil
}

// Fingerprint is made of the first points: the others are drawn alike.
func (t *toy) Fingerprint() Fingerprint {
	p := Fingerprint{Images: t.Len(), Classes: t.classNames, Counts: slices.Repeat([]int{toyPoints / max(1, t.classes)}, t.classes)}
	p.Digest = digest(func(h hash.Hash) {
		fmt.Fprintln(h, t.name)
		e := NewExample(t)
		for i := range 64 {
			_ = t.Read(i, e) // drawing cannot fail
			_ = binary.Write(h, binary.LittleEndian, e.Floats)
		}
	})
	return p
}
