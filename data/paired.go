package data

import (
	"errors"
	"fmt"
	"hash"
	"path"
	"strings"
)

// Prefixes of a spec of two sets: paired:A,B, and unpaired:A,B.
const (
	pairedPrefix   = "paired:"
	unpairedPrefix = "un" + pairedPrefix
)

// paired is a set of images B, each with the image of a set A that it is to be made of:
// image to image. Whoever reads it without room for inputs sees B alone.
type paired struct {
	Dataset
	inputs Dataset
	of     []int // the number of its input, of each image; nil: any, another at each position in the stream
	notes  []string
}

// Parts are the sets that a spec is of: two of pairs, or the spec itself.
func Parts(spec string) []string {
	rest, free := strings.CutPrefix(spec, unpairedPrefix)
	rest, paired := strings.CutPrefix(rest, pairedPrefix)
	a, b, two := strings.Cut(rest, ",")
	if !paired && !free || !two {
		return []string{spec}
	}
	return []string{a, b}
}

func openPaired(spec string, o Options) (Dataset, error) {
	rest, free := strings.CutPrefix(spec, unpairedPrefix)
	rest, ok := strings.CutPrefix(rest, pairedPrefix)
	if !ok && !free {
		return nil, nil
	}
	a, b, _ := strings.Cut(rest, ",")
	if a == "" || b == "" || strings.Contains(b, ",") {
		return nil, &Error{Path: spec, Problem: "want two sets, the inputs and what is to be made of them, as in paired:A,B or unpaired:A,B; names with commas cannot be told"}
	}
	for _, set := range []string{a, b} {
		if strings.HasPrefix(set, pairedPrefix) || strings.HasPrefix(set, unpairedPrefix) || strings.HasPrefix(set, "pairs:") {
			return nil, &Error{Path: spec, Problem: set + " is itself of pairs; want two sets of images, or two of latents"}
		}
	}
	if strings.HasPrefix(a, latentsPrefix) != strings.HasPrefix(b, latentsPrefix) {
		return nil, &Error{Path: spec, Problem: "is of latents and of images; want latents of both, as fluxion latents paired:A,B makes them, or images of both"}
	}
	p := &paired{}
	var err error
	if p.Dataset, err = Open(b, o); err == nil {
		err = p.open(a, b, o, free)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// open opens the inputs, whose spec is a, at the size of the images.
func (p *paired) open(a, images string, o Options, free bool) (err error) {
	o.Labels, o.FitSaid = FolderLabels, false // those of the images count
	buckets, room := BucketsOf(p.Dataset), o.CacheBytes
	if buckets != nil { // which inputs are brought to, whatever is nearest to theirs
		o.Fit, o.AsStored, o.CacheBytes = o.Fit.Shaped(), true, 1
	}
	if p.inputs, err = Open(a, o); err != nil {
		return err
	}
	own, latents := AutoencoderOf(p.Dataset)
	size := func(d Dataset) Size { h, w, _ := d.Shape(); return Size{h, w} }
	_, pictures := stored(p.inputs).(*files)
	has, wants, several := size(p.inputs), size(p.Dataset), BucketsOf(p.inputs)
	other := has != wants || several != nil
	if buckets != nil { // of arrays shapeInputs tells
		other = pictures && o.Size == (Size{})
	}
	if other {
		switch floats := p.inputs.Kind() == Floats && (!pictures || buckets == nil); {
		case floats && several != nil:
			return &Error{Path: a, Problem: fmt.Sprintf("keeps %s in float32, and images of %s are of %d×%d alone; want these shapes in both, or pictures and --size, which brings both to one", count(len(several.Sizes), "shape"), images, wants.Width, wants.Height)}
		case floats:
			return &Error{Path: a, Problem: fmt.Sprintf("has images of %d×%d pixels, and %s of %d×%d; want equal sizes, or pictures and --size, which brings both to one", has.Width, has.Height, images, wants.Width, wants.Height)}
		}
		o.Size = wants
		if err := p.inputs.Close(); err != nil {
			return err
		}
		if p.inputs, err = Open(a, o); err != nil {
			return err
		}
	}
	if of, _ := AutoencoderOf(p.inputs); latents && of.Digest != own.Digest {
		return &Error{Path: a, Problem: fmt.Sprintf("holds latents of another autoencoder than %s does; want one for both", images)}
	}
	if !free {
		if p.of, err = match(p.inputs, p.Dataset, a, images); err != nil {
			return err
		}
	}
	if buckets != nil {
		if err := p.shapeInputs(a, images, buckets, room); err != nil {
			return err
		}
	}
	if free {
		return nil
	}
	return p.proportions()
}

// shapeInputs has inputs, whose spec is a, come in the shapes of the images, whose spec is b: pictures are
// cut out so, arrays must have them.
func (p *paired) shapeInputs(a, b string, images *Buckets, room int64) error {
	own := BucketsOf(p.inputs)
	_, pictures := stored(p.inputs).(*files)
	shapes := count(len(images.Sizes), "shape")
	bad := func(problem string, of ...any) error { return &Error{Path: a, Problem: fmt.Sprintf(problem, of...)} }
	switch {
	case own == nil && pictures && p.of == nil: // another one for an image each time
		return nil
	case own == nil && pictures:
		p.inputs = cached(&bucketed{p.inputs, images.inverse(p.of)}, room)
		return nil
	case own == nil:
		h, w, _ := p.inputs.Shape()
		return bad("has images of %d×%d alone, and %s keeps %s; want pictures, which are brought to these, or a file of these shapes", w, h, b, shapes)
	case p.of == nil:
		return bad("keeps %s, and an image of %s, of %s, may be given any of its images; want pictures, which are brought to the shape of the image", count(len(own.Sizes), "shape"), b, shapes)
	}
	for i, n := range p.of {
		if has, wants := own.SizeOf(n), images.SizeOf(i); has != wants {
			return bad("has %s in %d×%d, and its counterpart %s of %s is of %d×%d (width×height); want the same shape of both, as of pictures of the same proportions that are brought to the same buckets, or the pictures",
				NameOf(p.inputs, n), has.Width, has.Height, NameOf(p.Dataset, i), b, wants.Width, wants.Height)
		}
	}
	return nil
}

// match returns the number of the image of set a that has the name of each of set b. Of
// sets without names, images have the same number.
func match(inputs, images Dataset, a, b string) ([]int, error) {
	of := make([]int, images.Len())
	if !named(inputs) || !named(images) {
		if n, m := inputs.Len(), images.Len(); n != m {
			return nil, &Error{Path: a, Problem: fmt.Sprintf("holds %d images, and %s %d; want one for each", n, b, m)}
		}
		for i := range of {
			of[i] = i
		}
		return of, nil
	}
	for _, key := range []func(name string) string{withoutEnding, func(name string) string { return path.Base(withoutEnding(name)) }} {
		from, err := byName(inputs, key, a)
		if err != nil {
			return nil, err
		}
		to, err := byName(images, key, b)
		if err != nil {
			return nil, err
		}
		var alone []string
		for i := range of {
			k := key(NameOf(images, i))
			if at, ok := from[k]; ok {
				of[i] = at
			} else {
				alone = append(alone, NameOf(images, i))
			}
		}
		if len(alone) == len(of) { // perhaps one of the sets has folders, and the other none
			continue
		}
		var unused []string
		for i := range inputs.Len() {
			if _, ok := to[key(NameOf(inputs, i))]; !ok {
				unused = append(unused, NameOf(inputs, i))
			}
		}
		return of, unmatched(a, b, alone, unused)
	}
	return nil, &Error{Path: a, Problem: fmt.Sprintf("has no name in common with %s: %s here, %s there; want equal names in both, whatever their endings", b, NameOf(inputs, 0), NameOf(images, 0))}
}

// unmatched is an error that names images without a counterpart; nil: there are none.
func unmatched(a, b string, alone, unused []string) error {
	var parts []string
	if len(alone) > 0 {
		parts = append(parts, fmt.Sprintf("has nothing for %s of %s: %s", count(len(alone), "image"), b, some(alone)))
	}
	if len(unused) > 0 {
		parts = append(parts, fmt.Sprintf("has %s with no counterpart there: %s", count(len(unused), "image"), some(unused)))
	}
	if parts == nil {
		return nil
	}
	return &Error{Path: a, Problem: strings.Join(parts, ", and ") + "; want equal names in both"}
}

// named says whether images of a set have names.
func named(d Dataset) bool { return d.Len() > 0 && NameOf(d, 0) != unnamed(0) }

func withoutEnding(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }

// byName is the images of a set by what key makes of their names. Of two of one key it
// is an error.
func byName(d Dataset, key func(string) string, spec string) (map[string]int, error) {
	all := make(map[string]int, d.Len())
	for i := range d.Len() {
		k := key(NameOf(d, i))
		if other, twice := all[k]; twice {
			return nil, &Error{Path: spec, Problem: fmt.Sprintf("has two images of one name, %s and %s; want one for each name", NameOf(d, other), NameOf(d, i))}
		}
		all[k] = i
	}
	return all, nil
}

// mostProportions is of how many pairs the proportions are compared.
const mostProportions = 16

// proportions says why the two images of some pair do not show the same: a part cut out
// of them would not be the same part. It notes how inputs are resized.
func (p *paired) proportions() error {
	for _, i := range spread(p.Len(), mostProportions) {
		a, b := p.of[i], i
		wa, ha, there := storedSize(p.inputs, a)
		wb, hb, also := storedSize(p.Dataset, b)
		if !there || !also {
			continue
		}
		if off := wa*hb - wb*ha; max(off, -off) > max(wa, wb) { // a pixel of the smaller one
			if err := p.otherPart(i, Size{ha, wa}, Size{hb, wb}); err != nil {
				return err
			}
		}
		if s := SizeOf(p, i); p.notes == nil && (wa != s.Width || ha != s.Height) {
			p.notes = []string{fmt.Sprintf("inputs are resized to %d×%d, as the images are (Catmull-Rom, which is bicubic); the first has %d×%d", s.Width, s.Height, wa, ha)}
		}
	}
	return nil
}

// KeepsShapes says whether a set keeps several shapes, so that its images need not be brought to them.
func KeepsShapes(d Dataset) bool { return keptShapes(d) != nil }

// keptShapes are those that a set keeps itself, to which its images were brought before; nil: one.
func keptShapes(d Dataset) *Buckets {
	of := stored(d)
	if _, pictures := of.(*files); pictures {
		return nil
	}
	return BucketsOf(of)
}

// otherPart says why pair i, of stored images of these sizes and other proportions, does not show the
// same. Where one of the sets keeps shapes, a picture like the other may have been brought to that one.
func (p *paired) otherPart(i int, a, b Size) error {
	input, image := p.inputs.Name()+" "+NameOf(p.inputs, p.of[i]), p.Dataset.Name()+" "+NameOf(p.Dataset, i)
	inputs, images := keptShapes(p.inputs), keptShapes(p.Dataset)
	if (inputs == nil) == (images == nil) {
		return &Error{Path: input, Problem: fmt.Sprintf("has %d×%d pixels, and its counterpart %s %d×%d; want the same proportions", a.Width, a.Height, image, b.Width, b.Height)}
	}
	shapes, picture, kept := images, a, b
	if inputs != nil {
		shapes, picture, kept, input, image = inputs, b, a, image, input
	}
	near := shapes.Sizes[nearest(shapes.Sizes, picture.Width, picture.Height)]
	if near == kept {
		return nil
	}
	return &Error{Path: input, Problem: fmt.Sprintf("has %d×%d pixels (width×height), to which the shape %d×%d is nearest, and its counterpart %s is of %d×%d; want pictures of the proportions of those that were packed, in their order",
		picture.Width, picture.Height, near.Width, near.Height, image, kept.Width, kept.Height)}
}

// storedSize is that of an image as it is stored; false: it cannot be read.
func storedSize(d Dataset, i int) (width, height int, ok bool) {
	switch of := d.(type) {
	case *cache:
		return storedSize(of.Dataset, i)
	case *resize:
		return storedSize(of.Dataset, i)
	case *labelled:
		return storedSize(of.Dataset, i)
	case *bucketed:
		return storedSize(of.Dataset, i)
	case *block:
		return of.stored.width, of.stored.height, true
	case *files:
		p, err := of.picture(i)
		if err != nil {
			return 0, 0, false
		}
		width, height = p.size()
		return width, height, true
	}
	s := SizeOf(d, i)
	return s.Width, s.Height, true
}

// InputOf is the channels and the kind of the images that those of a set are to be made
// of; 0 where it has none. They have the size of the images.
func InputOf(d Dataset) (channels int, kind Kind) {
	inputs := Inputs(d)
	if inputs == nil {
		return 0, Bytes
	}
	_, _, channels = inputs.Shape()
	return channels, inputs.Kind()
}

// inputValues are those of an image's input.
func inputValues(d Dataset) int {
	h, w, _ := d.Shape()
	channels, _ := InputOf(d)
	return h * w * channels
}

// Inputs is the set that the images of a set are to be made of, image for image; nil: none.
// It is closed with the set.
func Inputs(d Dataset) Dataset {
	p, ok := d.(*paired)
	switch {
	case !ok:
		return nil
	case p.of == nil:
		return p.inputs
	}
	return inBuckets(ordered{p.inputs, p.of}, p.inputs, p.of)
}

// Unpaired says whether the inputs of a set are any, and not those of its images.
func Unpaired(d Dataset) bool {
	p, ok := d.(*paired)
	return ok && p.of == nil
}

// unpairedSeed is that of the order of inputs: another than that of images.
const unpairedSeed = 0x756e706169726564

// input is the number of the input of image i, read for a position in the stream.
func (p *paired) input(i int, at int64) int {
	if p.of != nil {
		return p.of[i]
	}
	n := int64(p.inputs.Len())
	return Order(unpairedSeed, at/n, int(n), int(at%n))
}

// ordered is a set in another order.
type ordered struct {
	Dataset
	of []int
}

func (o ordered) Len() int                     { return len(o.of) }
func (o ordered) Read(i int, e *Example) error { return o.Dataset.Read(o.of[i], e) }

func (p *paired) Name() string { return p.inputs.Name() + "-to-" + p.Dataset.Name() }

func (p *paired) Read(i int, e *Example) error {
	if e.Input.Len() > 0 {
		if e.input == nil {
			e.input = &Example{}
		}
		// Of a posterior it is the mean: sampling gives the network that, too.
		e.input.Pixels, e.input.Part, e.input.Mirror, e.input.Size = e.Input, e.Part, e.Mirror, e.Size
		if err := p.inputs.Read(p.input(i, e.At), e.input); err != nil {
			return err
		}
	}
	return p.Dataset.Read(i, e)
}

func (p *paired) Close() error {
	var err error
	for _, d := range []Dataset{p.Dataset, p.inputs} {
		if d != nil {
			err = errors.Join(err, d.Close())
		}
	}
	return err
}

// cheap says that what is stored is kept by each of the two sets.
func (p *paired) cheap() bool { return true }

// Notes are those of both sets, and how inputs are resized.
func (p *paired) Notes() []string {
	var notes []string
	for _, d := range []Dataset{p.inputs, p.Dataset} {
		for _, n := range Notes(d) {
			notes = append(notes, d.Name()+": "+n)
		}
	}
	return append(notes, p.notes...)
}

// Fingerprint is that of the images, with a digest of both sets and of who is paired with
// whom.
func (p *paired) Fingerprint() Fingerprint {
	f, of := p.Dataset.Fingerprint(), p.inputs.Fingerprint()
	both := func(a, b string) string {
		return digest(func(h hash.Hash) { fmt.Fprintln(h, a, b, p.of) })
	}
	f.Digest = both(of.Digest, f.Digest)
	if f.Sums != "" && of.Sums != "" {
		f.Sums = both(of.Sums, f.Sums)
	} else {
		f.Sums = ""
	}
	return f
}
