// Package evaluate judges images by what networks say of them: it makes features of
// images and gives them to package metric.
package evaluate

import (
	"cmp"
	"fmt"
	"strings"

	"fluxion/data/lookup"
	"fluxion/nets/feature"
)

// Convention is how an image is brought to the size and the range that a network of
// features was trained on. It changes a Fréchet distance by per cents: numbers of
// different conventions cannot be compared.
type Convention struct {
	Name    string
	Summary string

	filter filter
	clip   bool       // to 0 … 255, as the cubic filter leaves it
	bytes  bool       // rows and then columns are rounded to whole greys, too
	centre [3]float64 // of each channel, the grey that becomes 0
	scale  [3]float64 // (v − centre)/scale is what the network gets
}

// Conventions in the order in which help lists them.
var Conventions = []Convention{
	{Name: "legacy-tf", Summary: "bilinear without half pixels, (v−128)/128: TTUR, EDM, ADM, torch-fidelity, torchmetrics", filter: tensorFlow1, centre: grey(128), scale: grey(128)},
	{Name: "pytorch", Summary: "bilinear, (v−127.5)/127.5: pytorch-fid", filter: torchBilinear, centre: grey(127.5), scale: grey(127.5)},
	{Name: "clean", Summary: "Pillow's bicubic with antialiasing, (v−128)/128: clean-fid", filter: pillowBicubic, clip: true, centre: grey(128), scale: grey(128)},
	{
		Name: "dgm", Summary: "Pillow's bicubic with antialiasing in whole greys, mean and deviation of ImageNet: dgm-eval, always that of dinov2", filter: pillowBytes, clip: true, bytes: true,
		centre: [3]float64{0.485 * 255, 0.456 * 255, 0.406 * 255}, scale: [3]float64{0.229 * 255, 0.224 * 255, 0.225 * 255},
	},
}

// grey is the same for all channels.
func grey(v float64) [3]float64 { return [3]float64{v, v, v} }

// ConventionOf returns the convention of a name for a network; empty: its own, or
// DefaultConvention.
func ConventionOf(n feature.Network, name string) (Convention, error) {
	c, err := FindConvention(cmp.Or(name, n.Convention, DefaultConvention))
	if err != nil {
		return Convention{}, err
	}
	var owners []string
	for _, other := range feature.Networks {
		if other.Convention == c.Name {
			owners = append(owners, other.Name)
		}
	}
	switch {
	case n.Convention != "" && n.Convention != c.Name:
		return Convention{}, fmt.Errorf("%s is not for the features of %s; want %s", c.Name, n.Name, n.Convention)
	case n.Convention == "" && owners != nil:
		return Convention{}, fmt.Errorf("%s is for the features of %s, not of %s", c.Name, strings.Join(owners, ", "), n.Name)
	}
	return c, nil
}

// FindConvention returns the convention of a name.
func FindConvention(name string) (Convention, error) {
	names := make([]string, len(Conventions))
	for i, c := range Conventions {
		names[i] = c.Name
	}
	i, err := lookup.Find("convention", name, names)
	if err != nil {
		return Convention{}, err
	}
	return Conventions[i], nil
}

// prepare makes what the network gets of one image of h×w pixels of c channels: three
// channels of side×side, a grey image thrice.
func (c Convention) prepare(to []float32, from []byte, r *resizer) {
	plane := r.side * r.side
	small := to[len(to)-plane*r.c:]
	r.resize(small, from, c.bytes)
	for i := range plane {
		for k := range 3 {
			v := small[i*r.c+min(k, r.c-1)]
			if c.clip {
				v = min(max(v, 0), 255)
			}
			to[3*i+k] = float32((float64(v) - c.centre[k]) / c.scale[k])
		}
	}
}
