// Package evaluate judges images by what networks say of them: it makes features of
// images and gives them to package metric.
package evaluate

import "fluxion/data/lookup"

// Convention is how an image is brought to the size and the range that a network of
// features was trained on. It changes a Fréchet distance by per cents: numbers of
// different conventions cannot be compared.
type Convention struct {
	Name    string
	Summary string

	filter filter
	clip   bool    // to 0 … 255, as the cubic filter leaves it
	centre float64 // the grey that becomes 0
	scale  float64 // (v − centre)/scale is what the network gets
}

// Conventions in the order in which help lists them.
var Conventions = []Convention{
	{"legacy-tf", "bilinear without half pixels, (v−128)/128: TTUR, EDM, ADM, torch-fidelity, torchmetrics", tensorFlow1, false, 128, 128},
	{"pytorch", "bilinear, (v−127.5)/127.5: pytorch-fid", torchBilinear, false, 127.5, 127.5},
	{"clean", "Pillow's bicubic with antialiasing, (v−128)/128: clean-fid", pillowBicubic, true, 128, 128},
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
	r.resize(small, from)
	for i := range plane {
		for k := range 3 {
			v := small[i*r.c+min(k, r.c-1)]
			if c.clip {
				v = min(max(v, 0), 255)
			}
			to[3*i+k] = float32((float64(v) - c.centre) / c.scale)
		}
	}
}
