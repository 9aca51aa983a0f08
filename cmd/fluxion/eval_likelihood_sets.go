package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/engine/likelihood"
	"fluxion/engine/metric"
	"fluxion/engine/model"
)

// open reads the model and opens the data, and says why they do not fit.
func (l *likelihoodRun) open() (err error) {
	if l.model, err = model.Read(l.path, l.sampleOptions.weights, l.ignore...); err != nil {
		return modelError{l.path, err}
	}
	m := l.model
	switch few := m.Few; {
	case m.Jumps != "":
		return modelError{l.path, fmt.Errorf("its scheduler is %s: the network jumps along trajectories and is no velocity, which has a likelihood", m.Jumps)}
	case few != nil && !few.Any:
		return modelError{l.path, fmt.Errorf("it was trained by %s for %v alone: the network is no velocity, which has a likelihood", few.Objective, few)}
	}
	if m.Network.Spec().Concat > 0 {
		return modelError{l.path, errors.New("its network is given a second image, of which a likelihood would be; images alone have none under it")}
	}
	for _, n := range m.Notes {
		l.note(l.path + ": " + n)
	}
	if step, buckets := data.Fit(l.fit).Buckets(); buckets && step == 0 {
		l.fit = fmt.Sprintf("%s:%d", data.AspectBuckets, data.BucketStep(max(1, l.side.Height), max(1, m.Network.Spec().Multiple)))
	}
	if l.set, err = l.openData(l.of, l.channels); err != nil {
		return err
	}
	if err := l.suits(); err != nil {
		return errors.Join(err, l.set.Close())
	}
	return nil
}

// suits says why data and model do not fit, and settles how they are judged.
func (l *likelihoodRun) suits() error {
	m, spec := l.model, l.model.Network.Spec()
	height, width, channels := l.set.Shape()
	if floats := l.set.Kind() == data.Floats; floats != m.Floats {
		kinds := map[bool]string{false: "pictures", true: "numbers"}
		return fault.Usagef("%s holds %s, and %s was trained on %s", l.of, kinds[floats], l.path, kinds[m.Floats])
	}
	if given := l.sources.Meant("bpd_draws", "channels"); len(given) > 0 && m.Floats {
		return fault.Usagef("%s: of pictures, and %s holds numbers", strings.Join(given, ", "), l.of)
	}
	if channels != spec.Channels {
		hint := ""
		if n := spec.Channels; !m.Floats && (n == 1 || n == 3) {
			hint = fmt.Sprintf("; --channels %d brings them to it, as train does", n)
		}
		return fault.Usagef("%s has images of %d channels, and %s is for %d%s", l.of, channels, l.path, spec.Channels, hint)
	}
	if data.BucketsOf(l.set) == nil && !l.sources.Has("size") && spec.Height != 0 && (height != spec.Height || width != spec.Width) {
		hint := ""
		if !m.Floats {
			hint = fmt.Sprintf("; --size %v brings them to it, as train does", data.Size{Height: spec.Height, Width: spec.Width})
		}
		return fault.Usagef("%s has images of %d×%d, and %s is for %d×%d%s", l.of, height, width, l.path, spec.Height, spec.Width, hint)
	}
	for _, s := range l.sizes() {
		if err := spec.CheckSize(l.path, s.Height, s.Width); err != nil {
			return fault.Usagef("%s has images of %d×%d (width×height): %w", l.of, s.Width, s.Height, err)
		}
	}
	for _, n := range data.Notes(l.set) {
		l.note(l.of + ": " + n)
	}
	if l.n = l.set.Len(); l.realCount > 0 && l.realCount < l.n {
		l.n = l.realCount
		l.note(fmt.Sprintf("%s: %s of %s images, evenly spread", l.of, console.Thousands(int64(l.n)), console.Thousands(int64(l.set.Len()))))
	}
	if l.n < 2 {
		return fault.Usage(&metric.CountError{Metric: l.names[0], Have: l.n, Min: 2})
	}
	l.wanted = l.n
	var err error
	if l.classOf, err = l.classes(); err != nil {
		return err
	}
	if l.options, err = l.request.Options(m.Process, height*width*channels); err != nil {
		return fault.Usage(err)
	}
	l.options.NetworkOptions = likelihood.NetworkOptions{Network: m.Network, Weights: m.Weights, Batch: l.batch}
	l.options.Seed = l.seed
	return nil
}

// sizes are those of the images: one, or those of buckets.
func (l *likelihoodRun) sizes() []data.Size {
	if b := data.BucketsOf(l.set); b != nil {
		return b.Sizes
	}
	height, width, _ := l.set.Shape()
	return []data.Size{{Height: height, Width: width}}
}

// each judges the images of each size by its own options, and returns what they came to, of those that
// could be read, in the order of the set.
func each[T any](l *likelihoodRun, judge func(o likelihood.Options, images likelihood.Images) ([]T, error)) (all []T, err error) {
	of := map[int]T{}
	for _, s := range l.sizes() {
		var numbers, read []int
		for k := range l.wanted {
			if i := data.Spread(l.set.Len(), l.wanted, k); data.SizeOf(l.set, i) == s {
				numbers = append(numbers, i)
			}
		}
		if numbers == nil {
			continue
		}
		o := l.options
		o.Height, o.Width, o.Images = s.Height, s.Width, len(numbers)
		values, err := judge(o, l.images(numbers, &read))
		if err != nil {
			return nil, err
		}
		for k, v := range values {
			of[read[k]] = v
		}
		l.judged += len(numbers)
	}
	l.judged = 0
	for _, i := range slices.Sorted(maps.Keys(of)) {
		all = append(all, of[i])
	}
	return all, nil
}

// classes returns what the network is told of an image of a class of the data; -1 is
// none.
func (l *likelihoodRun) classes() (func(class int) (int, error), error) {
	m, spec, of := l.model, l.model.Network.Spec(), l.set.Classes()
	if !spec.Conditional() {
		return func(int) (int, error) { return 0, nil }, nil
	}
	if spec.Classes == 0 {
		return nil, modelError{l.path, errors.New("the network is told numbers of each image, of which likelihoods are not taken; want a model of classes, or of none")}
	}
	none := -1
	if m.Guided && !m.Untrained {
		none = spec.Classes - 1
	}
	if len(of) == 0 {
		if none < 0 {
			return nil, fault.Usagef("%s has no classes, and %s knows no image without; want a folder for each class", l.of, l.path)
		}
		l.note(fmt.Sprintf("%s has no classes: the model is told none", l.of))
		return func(int) (int, error) { return none, nil }, nil
	}
	known, total := m.Classes, spec.Classes
	if m.Guided {
		total--
	}
	to := make([]int, len(of))
	for i, name := range of {
		if to[i] = i; len(known) > 0 {
			to[i] = slices.Index(known, name)
		}
		if to[i] < 0 || to[i] >= total {
			return nil, fault.Usagef("%s has a class %s, which %s does not know; it knows %d: %s", l.of, name, l.path, total, console.Abridged(known, 50))
		}
	}
	return func(class int) (int, error) {
		switch {
		case class >= 0:
			return to[class], nil
		case none >= 0:
			return none, nil
		}
		return 0, &data.Error{Path: l.of, Problem: "an image has no class, and the model knows none without"}
	}, nil
}

// images reads some of the data in order, and tells which it could.
func (l *likelihoodRun) images(numbers []int, read *[]int) likelihood.Images {
	return func(yield func(likelihood.Image, error) bool) {
		example := data.NewExample(l.set)
		for _, i := range numbers {
			_, err := example.ReadShaped(l.set, i)
			if bad := (*data.Error)(nil); l.skipBroken && errors.As(err, &bad) {
				l.note(bad.Path + " cannot be read and is left out")
				continue
			}
			image := likelihood.Image{Number: int64(i), Bytes: example.Bytes, Values: example.Floats}
			if err == nil {
				image.Class, err = l.classOf(example.Class)
			}
			if *read = append(*read, i); !yield(image, err) || err != nil {
				return
			}
		}
	}
}
