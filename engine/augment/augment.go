// Package augment draws what becomes of an image before it is trained on, and what the
// network is told of that, so that samples, of which it is told nothing, do not look
// transformed (Karras et al., "Elucidating the Design Space of Diffusion-Based Generative
// Models", arXiv 2206.00364, appendix F.2). All of an image follows from the seed and its
// position in the stream.
package augment

import (
	"fmt"
	"math"
	"strings"

	"fluxion/data/affine"
	"fluxion/data/lookup"
	"fluxion/data/setting"
	"fluxion/engine/process"
	"fluxion/kernels/philox"
	"fluxion/nets"
)

// Labels are what a network is told of an image: all 0 where nothing was done.
type Labels [nets.AugmentLabels]float64

// Augmentation is a way to transform images.
type Augmentation struct {
	text   string
	p      process.Parameters
	mirror bool
	seed   uint64
	side   int
}

// geometric is EDM's pipeline: each kind has the probability p times its parameter. Mirrors
// of half of all images are there where the data allow them (flip).
var geometric = process.Parameters{"p": 0.12, "yflip": 1, "turn": 0, "shift": 0, "scale": 1, "rotate": 1, "stretch": 1, "translate": 1}

const (
	name = "edm"
	// How far: standard deviations of log₂ of a scale and of a stretch, of a translation and
	// the most of a shift, as shares of the side.
	scales, stretches, translations = 0.2, 0.2, 0.125
)

// Setting declares how images are augmented.
func Setting(p *string) setting.Setting {
	return setting.Setting{
		Key: "augment", Value: setting.Of(p), Offers: []string{"edm"}, Breaks: setting.Always, Since: "2026-11-30",
		Help: "transform images, each kind with probability p, and tell the network, so that samples are not transformed: edm, perhaps with parameters, as in edm:p=0.12,rotate=0; " +
			"yflip, turn (quarters), shift (whole pixels), scale, rotate, stretch and translate are multiples of p",
	}
}

// Smallest is the side of the smallest images that can be transformed.
const Smallest = 4

// New reads a name with parameters; of "" it is nil. Mirrored images are a coin's toss for
// each, which the network is told, too.
func New(text string, mirror bool, seed uint64, side int) (*Augmentation, error) {
	if text == "" {
		return nil, nil
	}
	first, parameters, _ := strings.Cut(text, ":")
	if _, err := lookup.Find("augmentation", first, []string{name}); err != nil {
		return nil, err
	}
	p, err := process.ParseParameters("augmentation", name, parameters, geometric)
	if err != nil {
		return nil, err
	}
	for key, x := range p {
		if !(x >= 0) || key == "p" && x > 1 {
			return nil, fmt.Errorf("%s = %g, want 0 or more, and of p at most 1", key, x)
		}
	}
	if side < Smallest {
		return nil, fmt.Errorf("images of %d×%d pixels have nothing to transform, want %d×%d or more", side, side, Smallest, Smallest)
	}
	return &Augmentation{text: text, p: p, mirror: mirror, seed: seed, side: side}, nil
}

func (a *Augmentation) String() string { return a.text }

// Draw is what becomes of the image at a position of the stream. Every number has an
// address of its own: that one kind is left out changes none of the others.
func (a *Augmentation) Draw(at int64) (t affine.Transform, l Labels) {
	uniform := func(k uint32) float64 { return philox.Uniform64(a.seed, philox.Augment, uint64(at), k) }
	normal := func(k uint32) float64 { return math.Sqrt2 * math.Erfinv(2*uniform(k)-1) }
	applies := func(k uint32, kind string) bool { return uniform(k) < a.p["p"]*a.p[kind] }
	if a.mirror && uniform(0) < 0.5 {
		t.FlipX, l[0] = true, 1
	}
	if applies(1, "yflip") && uniform(2) < 0.5 {
		t.FlipY, l[1] = true, 1
	}
	if applies(3, "turn") {
		t.Turns = int(4 * uniform(4))
		sin, cos := [4]float64{0, 1, 0, -1}, [4]float64{1, 0, -1, 0}
		l[2], l[3] = cos[t.Turns]-1, sin[t.Turns]
	}
	if applies(5, "shift") {
		most := translations * float64(a.side)
		t.ShiftX, t.ShiftY = int(math.Round((2*uniform(6)-1)*most)), int(math.Round((2*uniform(7)-1)*most))
		l[4], l[5] = float64(t.ShiftX)/most, float64(t.ShiftY)/most
	}
	m, warped := matrix{1, 0, 0, 0, 1, 0}, false
	if applies(8, "scale") {
		w := normal(9)
		s := math.Exp2(-scales * w)
		m, warped, l[6] = m.times(matrix{s, 0, 0, 0, s, 0}), true, w
	}
	if applies(10, "rotate") {
		sin, cos := math.Sincos((2*uniform(11) - 1) * math.Pi)
		m, warped, l[7], l[8] = m.times(matrix{cos, -sin, 0, sin, cos, 0}), true, cos-1, sin
	}
	if applies(12, "stretch") {
		w := normal(13)
		sin, cos := math.Sincos((2*uniform(14) - 1) * math.Pi)
		s := math.Exp2(-stretches * w)
		along := matrix{cos, -sin, 0, sin, cos, 0}.times(matrix{s, 0, 0, 0, 1 / s, 0}).times(matrix{cos, sin, 0, -sin, cos, 0})
		m, warped, l[9], l[10] = m.times(along), true, w*cos, w*sin
	}
	if applies(15, "translate") {
		x, y := normal(16), normal(17)
		by := translations * float64(a.side)
		m, warped, l[11], l[12] = m.times(matrix{1, 0, -x * by, 0, 1, -y * by}), true, x, y
	}
	t.Warped, t.Warp = warped, m
	return t, l
}

// matrix is an affine map, row by row, as affine.Transform has it.
type matrix [6]float64

// times is the map that applies b first.
func (a matrix) times(b matrix) matrix {
	return matrix{
		a[0]*b[0] + a[1]*b[3], a[0]*b[1] + a[1]*b[4], a[0]*b[2] + a[1]*b[5] + a[2],
		a[3]*b[0] + a[4]*b[3], a[3]*b[1] + a[4]*b[4], a[3]*b[2] + a[4]*b[5] + a[5],
	}
}
