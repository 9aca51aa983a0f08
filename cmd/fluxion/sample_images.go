package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/engine/model"
)

// isPicture says whether a path names one picture, and not a set of images.
func isPicture(spec string) bool {
	ending := strings.ToLower(filepath.Ext(spec))
	info, err := os.Stat(spec)
	if err != nil {
		return slices.Contains([]string{".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}, ending)
	}
	return info.Mode().IsRegular() && !slices.Contains([]string{".zip", ".npz", ".npy", ".tar", ".parquet"}, ending)
}

// imageSet is images that samples are made of: number n is made of image n.
type imageSet struct {
	set     data.Dataset
	flag    string
	names   []string // of files to be made, without an ending
	example *data.Example
	holds   int64         // the image of example; −1: none
	latents bool          // they are latents themselves
	shapes  *data.Buckets // that images have; nil: one
	means   bool          // of the posteriors of encoder are wanted
	encoder *pictureEncoder
	pixels  []float32 // that it is given
	reading sync.Mutex
}

// openImages opens a set at the size and channels that a network wants, once. One that keeps several
// shapes stays in them, unless a size or a fit is asked for; in buckets, whose sides are multiples of a
// number, images have shapes of about this size.
func (o *pictureFlags) openImages(flag, spec string, size [3]int, multiple int) (*imageSet, error) {
	of := data.Options{CacheBytes: 1, Size: data.Size{Height: size[0], Width: size[1]}, Fit: data.Fit(o.fit), AsStored: o.fit == "" && o.sized == (data.Size{})}
	step, buckets := of.Fit.Buckets()
	if buckets && step == 0 {
		of.Fit = data.Fit(fmt.Sprintf("%s:%d", data.AspectBuckets, data.BucketStep(size[0], multiple)))
	}
	if err := of.Fit.Check(spec, of.Size); err != nil {
		return nil, fault.Usagef("--fit %w", err)
	}
	key := fmt.Sprint(flag, spec, size)
	if s := o.opened[key]; s != nil {
		return s, nil
	}
	s, err := openImages(flag, spec, size, of)
	if err == nil {
		o.opened[key] = s
	}
	return s, err
}

// openSeen opens images that a model sees: as they are, or as pictures of which its autoencoder
// makes latents, or as these.
func (o *pictureFlags) openSeen(j *job, flag, spec string, size [3]int) (*imageSet, error) {
	multiple := max(1, j.model.Network.Spec().Multiple)
	if j.encodes == nil {
		return o.openImages(flag, spec, size, multiple)
	}
	s, err := o.openImages(flag, spec, j.seen, multiple*j.encodes.Factor())
	if err == nil && (s.shapes == nil || data.Pictures(s.set)) {
		return s, nil
	}
	latents, as := o.openImages(flag, spec, size, multiple)
	if as != nil || data.Pictures(latents.set) {
		return nil, cmp.Or(err, as)
	}
	if of, ok := data.AutoencoderOf(latents.set); ok && of.Digest != j.encodes.Digest() {
		return nil, fault.Usagef("%s holds latents of another autoencoder than that of %s; want its own, or pictures", latents.flag, j.model.Path)
	}
	latents.latents = true
	return latents, nil
}

// closeImages closes all that were opened.
func (o *pictureFlags) closeImages() {
	for _, s := range o.opened {
		s.set.Close()
	}
}

func openImages(flag, spec string, size [3]int, o data.Options) (s *imageSet, err error) {
	if c := size[2]; c == 1 || c == 3 {
		o.Channels = c
	}
	set, err := openPictures(spec, o)
	if err != nil {
		return nil, err
	}
	if inputs := data.Inputs(set); inputs != nil {
		set = inputs
	}
	shapes := data.BucketsOf(set)
	got := shapeOf(set)
	if shapes != nil {
		got[0], got[1] = size[0], size[1] // each has its own
	}
	if got != size {
		return nil, errors.Join(fault.Usagef("%s %s has images of %s, want %s", flag, spec, sizeText(got), sizeText(size)), set.Close())
	}
	s = &imageSet{set: set, shapes: shapes, flag: flag + " " + spec, example: data.NewExample(set), holds: -1, names: make([]string, set.Len())}
	there := make(map[string]int, set.Len())
	for i := range s.names {
		s.names[i] = fmt.Sprintf("%06d", i)
		if name := data.NameOf(set, i); !strings.HasPrefix(name, "#") {
			s.names[i] = strings.TrimSuffix(name, path.Ext(name))
		}
		if other, twice := there[s.names[i]]; twice {
			return nil, errors.Join(fault.Usagef("%s: %s and %s would both become %s.png; want one image for each name", s.flag, data.NameOf(set, other), data.NameOf(set, i), s.names[i]), set.Close())
		}
		there[s.names[i]] = i
	}
	return s, nil
}

// openPictures opens a set; floats are taken as they are.
func openPictures(spec string, o data.Options) (data.Dataset, error) {
	set, err := data.Open(spec, o)
	if err == nil {
		return set, nil
	}
	if set, as := data.Open(spec, data.Options{CacheBytes: o.CacheBytes}); as == nil {
		if set.Kind() == data.Floats && (o.AsStored || data.BucketsOf(set) == nil) {
			return set, nil
		}
		set.Close()
	}
	return nil, err
}

// read is image n, until the next is read. It is for who is alone, or has locked reading: files
// of many pictures are written, with what they were made of, while others are made.
func (s *imageSet) read(n int64) (*data.Example, error) {
	if s.holds == n {
		return s.example, nil
	}
	s.holds = -1
	if _, err := s.example.ReadShaped(s.set, int(n)); err != nil {
		return nil, err
	}
	s.holds = n
	return s.example, nil
}

// values are those of image n as a network sees them.
func (s *imageSet) values(n int64, to []float32) error {
	if s.encoder == nil {
		return s.seen(n, to)
	}
	s.pixels = slices.Grow(s.pixels[:0], s.valuesOf(n))[:s.valuesOf(n)]
	if err := s.seen(n, s.pixels); err != nil {
		return err
	}
	return s.encoder.encode(n, s.means, s.pixels, to)
}

// valuesOf is how many image n has.
func (s *imageSet) valuesOf(n int64) int {
	of := data.SizeOf(s.set, int(n))
	return of.Height * of.Width * shapeOf(s.set)[2]
}

// seen are the values of image n as they are stored, brought to the range of networks.
func (s *imageSet) seen(n int64, to []float32) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	e, err := s.read(n)
	if err == nil {
		e.Values(to)
	}
	return err
}

// digest of image n; of one that cannot be read, which whoever samples tells, none.
func (s *imageSet) digest(n int64) string {
	values := make([]float32, s.valuesOf(n))
	if s.seen(n, values) != nil {
		return "unreadable"
	}
	return digest(values)
}

// strip is image n for a sheet.
func (s *imageSet) strip(n int64) (data.Strip, error) {
	e, err := s.read(n)
	return data.Strip{Pixels: e.Pixels, Channels: shapeOf(s.set)[2]}, err
}

// name of the picture that is made of image n.
func (s *imageSet) name(n int64) string { return s.names[n] }

// numbers are all images, or those that are asked for.
func (s *imageSet) numbers(asked []int64) ([]int64, error) {
	n := int64(s.set.Len())
	if asked == nil {
		for i := range n {
			asked = append(asked, i)
		}
	}
	if last := asked[len(asked)-1]; last >= n {
		return nil, fault.Usagef("%s has %d images, from 0 to %d, and image %d is to be made; want as many or fewer, and another --seed for others of the same", s.flag, n, n-1, last)
	}
	return asked, nil
}

// spread are some of the images, evenly spread.
func (s *imageSet) spread(count int) ([]int64, error) {
	n := s.set.Len()
	if count > n {
		return nil, fault.Usagef("%s has %d images, and %d samples are asked for; want as many or fewer", s.flag, n, count)
	}
	numbers := make([]int64, count)
	for i := range numbers {
		numbers[i] = int64(data.Spread(n, count, i))
	}
	return numbers, nil
}

// classes are what a model is told of the images: their own class, where it knows that,
// and else none.
func (s *imageSet) classes(m *model.Model) (func(n int64) int, error) {
	known, none := m.Classes, -1
	if m.Guided && !m.Untrained {
		none = m.Network.Spec().Classes - 1
	}
	to := make([]int, len(s.set.Classes()))
	for i, name := range s.set.Classes() {
		to[i] = slices.Index(known, name)
		if n, err := strconv.Atoi(name); to[i] < 0 && len(known) == 0 && err == nil && n < m.Network.Spec().Classes {
			to[i] = n
		}
		if to[i] < 0 {
			to[i] = none
		}
		if to[i] < 0 {
			return nil, fault.Usagef("%s has images of class %s, which %s does not know, nor images without; say which with --class", s.flag, name, m.Path)
		}
	}
	if len(to) == 0 && none < 0 {
		return nil, fault.Usagef("%s has no classes, and %s knows no image without; say which with --class", s.flag, m.Path)
	}
	return func(n int64) int {
		if len(to) > 0 {
			s.reading.Lock()
			defer s.reading.Unlock()
			if e, err := s.read(n); err == nil && e.Class >= 0 { // who samples tells of errors
				return to[e.Class]
			}
		}
		return max(none, 0)
	}, nil
}
