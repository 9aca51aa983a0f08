// Package couple pairs the images of a training step with noise: otherwise than by
// chance, paths from one to the other are straighter.
package couple

import (
	"fmt"
	"strconv"
	"strings"

	"fluxion/data/lookup"
	"fluxion/data/setting"
)

// Step is the images of a whole step, whoever computes which part of them.
type Step struct {
	Images  [][]float32 // as the network sees them
	Classes []int32     // −1: none
	Noise   []int64     // addresses, which a coupling changes
	// Draw fills a slice of an image's size with the noise of an address.
	Draw func(address int64, to []float32)
}

// Coupling pairs images and noise.
type Coupling interface {
	// Pair changes the addresses of a step's noise. What it makes of a step follows from
	// the step alone.
	Pair(s Step)
	String() string
}

// Kind is a coupling's place in the list.
type Kind struct {
	Name, About string
	make        func(parameter string) (Coupling, error) // nil: images have the noise of their own address
}

// Independent is the coupling by chance.
const Independent = "independent"

// Adding a coupling is a line here, and a file.
var kinds = []Kind{
	{Independent, "by chance", nil},
	{"ot", "a permutation of the step's noise that brings it nearest to its images (batch optimal transport), among images of a class", newTransport(true)},
	{"ot-across", "the same whatever their classes: for data whose labels are not given to the network", newTransport(false)},
	{"nearest", "the nearest of so many for each image, as nearest:4 (immiscible diffusion); its noise is no longer standard normal", newNearest},
}

// Names are those of all couplings.
func Names() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.Name)
	}
	return names
}

// MostImages of a step whose noise is permuted: the time of an assignment goes with the
// cube of the images, and at this many it is about a second.
const MostImages = 1024

// Get reads a name, and perhaps a number: nearest:4. It is nil where images have the noise
// of their own address.
func Get(text string) (Coupling, error) {
	name, parameter, _ := strings.Cut(text, ":")
	i, err := lookup.Find("coupling", name, Names())
	if err != nil {
		return nil, err
	}
	if parameter != "" && name != "nearest" {
		return nil, fmt.Errorf("coupling %s takes no number, got %q", name, parameter)
	}
	if kinds[i].make == nil {
		return nil, nil
	}
	return kinds[i].make(parameter)
}

// Setting declares which coupling a run has.
func Setting(p *string) setting.Setting {
	var all []string
	for _, k := range kinds {
		all = append(all, k.Name+" ("+k.About+")")
	}
	return setting.Setting{
		Key: "coupling", Value: setting.Of(p), Breaks: setting.Always, Since: "2026-11-29", Before: Independent,
		Help: "of images and noise: " + strings.Join(all, ", "),
	}
}

// most is the largest number of nearest.
const most = 64

// nearest gives each image the nearest of some noises: Y. Li et al., "Immiscible
// Diffusion" (2024), in its later form, without an assignment.
type nearest struct{ of int }

func newNearest(parameter string) (Coupling, error) {
	n, err := strconv.Atoi(parameter)
	if parameter == "" {
		n, err = 4, nil
	}
	if err != nil || n < 2 || n > most {
		return nil, fmt.Errorf("coupling nearest:%s: want a number from 2 to %d, as in nearest:4", parameter, most)
	}
	return nearest{n}, nil
}

func (n nearest) String() string { return fmt.Sprintf("nearest:%d", n.of) }

// Pair gives image i the best of the noises at its address and beyond the stream's end.
func (n nearest) Pair(s Step) {
	noise := make([]float32, len(s.Images[0]))
	for i, x := range s.Images {
		best, at := 0.0, s.Noise[i]
		for k := range int64(n.of) {
			address := s.Noise[i] + k<<56
			s.Draw(address, noise)
			if d := distance(noise, x); k == 0 || d < best {
				best, at = d, address
			}
		}
		s.Noise[i] = at
	}
}
