// Package couple pairs the images of a training step with noise: otherwise than by
// chance, paths from one to the other are straighter.
package couple

import (
	"fmt"
	"strings"

	"fluxion/data/lookup"
	"fluxion/data/setting"
	"fluxion/kernels/gram"
)

// Step is the images of a whole step, whoever computes which part of them.
type Step struct {
	Classes []int32 // of images; −1: none
	Noise   []int64 // addresses, which a coupling changes
	Seed    uint64  // of what is drawn besides, for each image
	At      []int64 // by an address of its own

	// A coupling that Multiplies is given the products of images and noise as they were;
	// another looks at images, as the network sees them, and fills a slice of an image's
	// size with the noise of an address.
	Products gram.Table
	Images   [][]float32
	Draw     func(address int64, to []float32)
}

// Coupling pairs images and noise, one step after the other.
type Coupling interface {
	// Pair changes the addresses of a step's noise. What it makes of a step follows from
	// the step alone. The error says in what pairs fall short that are made all the same.
	Pair(s Step) error
	String() string
}

// Multiplies says whether a coupling is to be given the products of a step.
func Multiplies(c Coupling) bool {
	m, ok := c.(interface{ Multiplies() bool })
	return ok && m.Multiplies()
}

// Kind is a coupling's place in the list.
type Kind struct {
	Name, About string
	More        string                                   // what may follow the name, if something may
	make        func(parameter string) (Coupling, error) // nil: images have the noise of their own address
}

// Independent is the coupling by chance.
const Independent = "independent"

// Adding a coupling is a line here, and a file.
var kinds = []Kind{
	{Independent, "by chance", "", nil},
	{"ot", "a permutation of the step's noise that brings it nearest to its images (batch optimal transport), among images of a class", "", newTransport(true)},
	{"ot-across", "the same whatever their classes: for data whose labels are not given to the network", "", newTransport(false)},
	{"sinkhorn", "drawn for each image from the plan of entropic transport, among images of a class, as sinkhorn:reg=0.05, times the mean cost |ε − x|², or sinkhorn:absolute=0.5; noise may come twice or not at all", ":reg=R|:absolute=R", newSinkhorn},
	{"nearest", "the nearest of so many for each image, as nearest:4 (immiscible diffusion); its noise is no longer standard normal", ":N", newNearest},
}

// Names are those of all couplings.
func Names() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.Name)
	}
	return names
}

// MostImages of a step for a coupling that Multiplies: the time of an assignment goes
// with the cube of the images, and at this many it is about a second.
const MostImages = 1024

// Get reads a name, and perhaps what follows it: nearest:4. It is nil where images have the noise
// of their own address.
func Get(text string) (Coupling, error) {
	name, parameter, _ := strings.Cut(text, ":")
	i, err := lookup.Find("coupling", name, Names())
	if err != nil {
		return nil, err
	}
	if parameter != "" && kinds[i].More == "" {
		return nil, fmt.Errorf("coupling %s takes no number, got %q", name, parameter)
	}
	if kinds[i].make == nil {
		return nil, nil
	}
	return kinds[i].make(parameter)
}

// Setting declares which coupling a run has.
func Setting(p *string) setting.Setting {
	var all, names []string
	for _, k := range kinds {
		names = append(names, k.Name)
		all = append(all, k.Name+" ("+k.About+")")
	}
	return setting.Setting{
		Key: "coupling", Value: setting.Of(p), Breaks: setting.Always, Since: "2026-11-29", Before: Independent,
		Offers: names,
		Help:   "of images and noise: " + strings.Join(all, ", "),
	}
}
