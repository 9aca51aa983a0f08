package nets

import (
	"fmt"
	"slices"
	"strings"
)

// Adopted is a parameter of a network that begins with values of another's.
type Adopted struct {
	Param       // of the network that begins
	From  Param // of the other; of no size where there is none, and the parameter begins at zero
	// Make makes its values of the other's, as they lie in the flat buffers; nil: they are the same.
	Make func(from []float32) []float32
}

// Values are what the parameter begins with, of the other network's flat buffer.
func (a Adopted) Values(flat []float32) []float32 {
	from := flat[a.From.Offset:][:a.From.Size()]
	if a.Make == nil {
		return from
	}
	return a.Make(from)
}

// MeanRow stands for the mean of all rows of a table of classes.
const MeanRow = -1

// Adopt says how parameters of a network begin with those of another, which is for images of
// other channels, for other classes, or given less or more:
//
//   - Weights of the image, of a second one and of the network's own estimate are taken for each
//     by itself. Those of channels that are new begin at zero, so that the network begins as the
//     other one.
//   - Grey images are to a network of colours as three equal channels, and colours to one of
//     grey images as their mean.
//   - Rows says for each row of the table of classes which of the other's it begins with. A
//     table, or an embedding of numbers, where the other has none begins at zero.
//   - Weights of unit size (Param.Unit) are taken where their shape is the same: others would change
//     the size of what the rest of the network is given.
//
// Fresh are parameters that do not begin with anything of the other network. Notes say what is
// neither the same nor fresh.
func Adopt(to, from Network, params []Param, rows []int) (taken []Adopted, fresh, notes []string) {
	other := map[string]Param{}
	for _, q := range Params(from) {
		other[q.Name] = q
	}
	a, b := to.Spec(), from.Spec()
	in, out := a.mixIn(b), a.mixOut(b)
	for _, p := range params {
		q, there := other[p.Name]
		t := Adopted{Param: p, From: q}
		switch {
		case p.Name == ClassTable && there && len(rows) == p.Shape[0] && p.Shape[1] == q.Shape[1]:
			t.Make = func(from []float32) []float32 { return chosen(from, rows, p.Shape[1]) }
		case slices.Contains(inputWeights, p.Name) && there && p.Unit == 0 && !in.same() && in.fits(p, q, 1, a.pixels(b)):
			t.Make = func(from []float32) []float32 { return in.of(p, q, 1, from) }
		case slices.Contains(outputWeights, p.Name) && there && p.Unit == 0 && !out.same() && out.fits(p, q, 0, a.pixels(b)):
			t.Make = func(from []float32) []float32 { return out.of(p, q, 0, from) }
		case there && q.Shape.Eq(p.Shape):
		case !there && a.Conditional() && p.Unit == 0 && strings.HasPrefix(p.Name, classEmbedding) && !strings.Contains(p.Name, ".linear_1."):
			t.Make = func([]float32) []float32 { return make([]float32, p.Size()) }
			if p.Name == ClassTable || strings.HasSuffix(p.Name, ".weight") {
				notes = append(notes, p.Name+" begins at zero: what the network is told of an image changes nothing at first")
			}
		case there:
			fresh = append(fresh, fmt.Sprintf("%s (%s, there %s)", p.Name, shapeText(p.Shape), shapeText(q.Shape)))
			continue
		default:
			fresh = append(fresh, p.Name)
			continue
		}
		taken = append(taken, t)
	}
	if !slices.ContainsFunc(params, func(p Param) bool { return p.Unit > 0 && slices.Contains(inputWeights, p.Name) }) {
		notes = append(notes, a.adoptedChannels(b)...)
	}
	return taken, fresh, notes
}

// classEmbedding begins the names of what embeds classes, and numbers in their place.
const classEmbedding = "class_embedding."

// Weights of the layers that take what a network is given, and of those that give its output.
var (
	inputWeights  = []string{"conv_in.weight", "proj_in.weight", "enc.1.aux_residual.weight"}
	outputWeights = []string{"conv_out.weight", "conv_out.bias", "proj_out.weight", "proj_out.bias"}
)

func shapeText(shape []int) string {
	var parts []string
	for _, n := range shape {
		parts = append(parts, fmt.Sprint(n))
	}
	return strings.Join(parts, "×")
}

// chosen are rows of a table.
func chosen(table []float32, rows []int, width int) []float32 {
	out := make([]float32, 0, len(rows)*width)
	for _, r := range rows {
		if r != MeanRow {
			out = append(out, table[r*width:][:width]...)
			continue
		}
		for c := range width {
			sum := 0.
			for at := c; at < len(table); at += width {
				sum += float64(table[at])
			}
			out = append(out, float32(sum/float64(len(table)/width)))
		}
	}
	return out
}

// pixels of which a layer takes all channels at once, in a network for images of one size alone;
// 1 in others, and 0 where two networks do not agree on it.
func (s Spec) pixels(other Spec) int {
	of := func(s Spec) int {
		if s.Multiple == 0 {
			return s.Height * s.Width
		}
		return 1
	}
	if of(s) != of(other) {
		return 0
	}
	return of(s)
}

// mixture says of which channels of one network each channel of another is made.
type mixture struct {
	from     int // channels
	channels [][]share
}

type share struct {
	channel int
	of      float32
}

// How grey and colour become each other: a network is given three equal channels where it takes
// three, which is the sum of their weights, and gives the mean of them.
const (
	sum  = 1
	mean = 1. / 3
)

// mix makes channels of others, which begin somewhere among all. Colours are mixed where three
// become one, at one of sum and mean, and where one becomes three, at the other.
func mix(begin, channels, otherBegin, others int, grey float32) mixture {
	m := mixture{from: otherBegin + others, channels: make([][]share, begin+channels)}
	for i := range channels {
		var of []share
		switch {
		case channels == 1 && others == 3:
			for k := range others {
				of = append(of, share{otherBegin + k, grey})
			}
		case channels == 3 && others == 1:
			of = []share{{otherBegin, mean / grey}}
		case i < others:
			of = []share{{otherBegin + i, 1}}
		}
		m.channels[begin+i] = of
	}
	return m
}

// mixIn makes what a network is given of what another is.
func (s Spec) mixIn(other Spec) mixture {
	return mixParts(sum, [2]int{s.Channels, other.Channels}, [2]int{s.Concat, other.Concat}, [2]int{s.estimates(), other.estimates()})
}

// mixOut makes what a network gives of what another does.
func (s Spec) mixOut(other Spec) mixture {
	return mixParts(mean, [2]int{s.Channels, other.Channels}, [2]int{s.variances(), other.variances()})
}

func mixParts(grey float32, parts ...[2]int) (m mixture) {
	for _, part := range parts {
		next := mix(len(m.channels), part[0], m.from, part[1], grey)
		m.from, m.channels = next.from, append(m.channels, next.channels[len(m.channels):]...)
	}
	return m
}

// same says whether nothing is to be made.
func (m mixture) same() bool {
	for i, of := range m.channels {
		if len(of) != 1 || of[0] != (share{i, 1}) {
			return false
		}
	}
	return m.from == len(m.channels)
}

func (s Spec) estimates() int {
	if s.Estimate {
		return s.Channels
	}
	return 0
}

func (s Spec) variances() int {
	if s.Variance {
		return s.Channels
	}
	return 0
}

// fits says whether an axis of two parameters, 0 of outputs or 1 of inputs, is channels of so
// many pixels, and the other axes are the same.
func (m mixture) fits(p, q Param, axis, pixels int) bool {
	if pixels == 0 || len(p.Stored) != len(q.Stored) || p.Stored[axis] != pixels*len(m.channels) || q.Stored[axis] != pixels*m.from {
		return false
	}
	for k := range p.Stored {
		if k != axis && p.Stored[k] != q.Stored[k] {
			return false
		}
	}
	return true
}

// of makes the values of a parameter of another's, as they lie in the graph.
func (m mixture) of(p, q Param, axis int, from []float32) []float32 {
	to := make([]float32, p.Size())
	inner := 1 // numbers behind the axis, which the graph has in reverse
	if axis == 1 && len(p.Stored) > 1 {
		inner = p.Stored[0]
	}
	wide, was := p.Stored[axis]*inner, q.Stored[axis]*inner
	for block := range p.Size() / wide {
		for k := range p.Stored[axis] {
			pixel, channel := k/len(m.channels), k%len(m.channels)
			for _, s := range m.channels[channel] {
				source := from[block*was+(pixel*m.from+s.channel)*inner:][:inner]
				for i, x := range source {
					to[block*wide+k*inner+i] += s.of * x
				}
			}
		}
	}
	return to
}

// adoptedChannels says what becomes of channels.
func (s Spec) adoptedChannels(other Spec) (notes []string) {
	switch a, b := s.Channels, other.Channels; {
	case a == b:
	case a == 1 && b == 3:
		notes = append(notes, "the model's images have 3 channels and these 1: the first layer has the sum of its weights of them, the last the mean")
	case a == 3 && b == 1:
		notes = append(notes, "the model's images have 1 channel and these 3: the first layer has a third of its weights for each, the last the same for each")
	case a > b:
		notes = append(notes, fmt.Sprintf("the model's images have %d channels and these %d: the first are the model's, and weights of the others begin at zero", b, a))
	default:
		notes = append(notes, fmt.Sprintf("the model's images have %d channels and these %d: the first are the model's, and the rest of its is left out", b, a))
	}
	switch {
	case s.Variance && !other.Variance:
		notes = append(notes, "weights of the variance, which the model does not give, begin at zero: between the least and the largest")
	case !s.Variance && other.Variance:
		notes = append(notes, "weights of the variance, which the model gives and this network does not, are left out")
	}
	for _, part := range []struct {
		what string
		a, b int
	}{{"a second image", s.Concat, other.Concat}, {"the network's own estimate", s.estimates(), other.estimates()}} {
		switch {
		case part.a > 0 && part.b == 0:
			notes = append(notes, fmt.Sprintf("weights of %s (channels: %d), which the model is not given, begin at zero: it changes nothing at first", part.what, part.a))
		case part.a != part.b && part.b > 0 && part.a > 0 && s.Channels == other.Channels:
			notes = append(notes, fmt.Sprintf("weights of %s (channels: %d, and here %d) are taken over as those of images are", part.what, part.b, part.a))
		case part.a == 0 && part.b > 0:
			notes = append(notes, fmt.Sprintf("weights of %s, which the model is given and this network is not, are left out", part.what))
		}
	}
	return notes
}
