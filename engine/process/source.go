package process

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"fluxion/data/lookup"
)

// Source is what lies at the noise end of the paths, ε (MATHEMATICS.md, section 8). The
// zero value is white Gaussian noise.
type Source struct {
	text  string // as GetSource reads it; "" is gaussian
	kind  SourceKind
	power func(k, l, height, width int) float64 // by frequency; nil: 1
	norm  bool                                  // the mean power is to be 1
}

// SourceKind is what the values of a source are, apart from its spectrum.
type SourceKind int

// Kinds of values.
const (
	Normal SourceKind = iota
	Uniform
	Laplace
	Images
)

// SourceName is a source's place in the list.
type SourceName struct {
	Name, About string
	Takes       string // what stands behind the colon; "" is nothing
	make        func(parameter string) (Source, error)
}

// Gaussian is the source of diffusion.
const Gaussian = "gaussian"

// Adding a source is a line here.
var sources = []SourceName{
	{Gaussian, "white normal noise", "", func(string) (Source, error) { return Source{}, nil }},
	{"uniform", "independent values between ±√3, of variance 1", "", func(string) (Source, error) { return Source{kind: Uniform}, nil }},
	{"laplace", "independent values of a Laplace distribution, of variance 1", "", func(string) (Source, error) { return Source{kind: Laplace}, nil }},
	{"offset", "normal noise and an offset of variance C that the pixels of a channel share: K = I + C·11ᵀ", "C", offset},
	{"spectrum", "normal noise of power 1/f^ALPHA, of variance 1 on average: above 0 is red, below blue", "ALPHA", powerLaw},
	{"data", "images: the inputs of data paired:A,B or unpaired:A,B, which are given to sample by --input", "", func(string) (Source, error) { return Source{kind: Images}, nil }},
}

// Sources returns what GetSource reads.
func Sources() []string {
	return names(sources, SourceName.String)
}

func (n SourceName) String() string {
	if n.Takes == "" {
		return n.Name
	}
	return n.Name + ":" + n.Takes
}

// ListSources returns every source.
func ListSources() []SourceName { return sources }

// GetSource returns a source by name, and perhaps a parameter: offset:0.01.
func GetSource(text string) (Source, error) {
	name, parameter, _ := strings.Cut(text, ":")
	i, err := lookup.Find("source", name, names(sources, func(n SourceName) string { return n.Name }))
	if err != nil {
		return Source{}, err
	}
	n := sources[i]
	if (parameter == "") != (n.Takes == "") {
		return Source{}, fmt.Errorf("source %s: want %v", text, n)
	}
	s, err := n.make(parameter)
	if err != nil {
		return Source{}, fmt.Errorf("source %s: %w", text, err)
	}
	if s.text = text; name == Gaussian {
		s.text = ""
	}
	return s, nil
}

// offset is the offset noise of trainers, whose strength is √C. 11ᵀ has the eigenvalue of
// the number of pixels.
func offset(parameter string) (Source, error) {
	c, err := strconv.ParseFloat(parameter, 64)
	if err != nil || !(c >= 0 && c <= 100) {
		return Source{}, fmt.Errorf("%q is the variance of no offset; want a number from 0 to 100, such as 0.01", parameter)
	}
	return Source{power: func(k, l, height, width int) float64 {
		if k == 0 && l == 0 {
			return 1 + c*float64(height*width)
		}
		return 1
	}}, nil
}

// powerLaw has the power f^−α at f = √((k/H)² + (l/W)²), and at the constant that of the
// lowest frequency.
func powerLaw(parameter string) (Source, error) {
	alpha, err := strconv.ParseFloat(parameter, 64)
	if err != nil || !(math.Abs(alpha) <= 4) {
		return Source{}, fmt.Errorf("%q is no power of a frequency; want a number from -4 to 4, such as 1", parameter)
	}
	return Source{norm: true, power: func(k, l, height, width int) float64 {
		f := math.Hypot(float64(k)/float64(height), float64(l)/float64(width))
		return math.Pow(math.Max(f, 1/float64(max(height, width))), -alpha)
	}}, nil
}

func (s Source) String() string {
	if s.text == "" {
		return Gaussian
	}
	return s.text
}

// Kind of its values.
func (s Source) Kind() SourceKind { return s.kind }

// Gaussian says whether it is normal noise, white or not: only then do scores, noise that
// is added on the way, and likelihoods mean what they say.
func (s Source) Gaussian() bool { return s.kind == Normal }

// Standard says whether its values have variance 1.
func (s Source) Standard() bool { return s.kind != Images && (s.power == nil || s.norm) }

// White says whether it is independent normal noise.
func (s Source) White() bool { return s.kind == Normal && s.power == nil }

// Amplitudes are the square roots of the eigenvalues of its covariance on images of height
// × width, by frequency in the cosine transform, row by row; nil: all are 1.
func (s Source) Amplitudes(height, width int) []float64 {
	if s.power == nil {
		return nil
	}
	var all []float64
	mean := 0.0
	for k := range height {
		for l := range width {
			power := s.power(k, l, height, width)
			all, mean = append(all, power), mean+power/float64(height*width)
		}
	}
	for i, power := range all {
		if s.norm {
			power /= mean
		}
		all[i] = math.Sqrt(power)
	}
	return all
}

// From returns the process with another source, unless its output means nothing there.
func (p Process) From(s Source) (Process, error) {
	if p.Source = s; s.Gaussian() {
		return p, nil
	}
	switch p.Output.Name {
	case "u", "v", "velocity", "x", "i2sb":
		return p, nil
	}
	return p, fmt.Errorf("output %s on source %v: it is a score, or scaled for one, and there is none of noise that is not Gaussian; want u, v, velocity or x, which the flow follows from whatever the source is", p.Output.Name, s)
}
