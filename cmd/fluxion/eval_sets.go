package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/moments"
	"fluxion/engine/evaluate"
	"fluxion/engine/metric"
	"fluxion/nets/feature"
)

// judging is one evaluation.
type judging struct {
	*evalOptions
	face      console.Face
	metrics   []evaluate.Metric
	needs     [2]evaluate.Needs // of each set
	extractor evaluate.ExtractorOptions
	sides     []*side
	about     moments.About // what the features are; empty while nobody says
	notes     []string
}

// side is one of the sets that are compared: stored statistics, or images.
type side struct {
	path     string
	stored   *evaluate.Set // nil: images
	parts    []string      // files of which the statistics are joined; nil: none
	about    moments.About // what the file of stored statistics says
	source   source
	sampling map[string]string // of a model
	told     map[string]string // the same, as parts tell it
	kept     *remembered       // the images, for a sheet
}

// open reads what is stored and opens the rest, so that what cannot be is told before the
// first image is looked at.
func (j *judging) open(sides []*side) error {
	for i, s := range sides {
		if err := j.openSide(s, i == 0); err != nil {
			return err
		}
	}
	sampled := slices.ContainsFunc(j.sides, func(s *side) bool { return s.sampling != nil })
	if given := j.sources.Meant(j.ofSampling...); len(given) > 0 && !sampled {
		return fault.Usagef("%s: there is no model to sample", strings.Join(given, ", "))
	}
	return j.follow()
}

func (j *judging) openSide(s *side, samples bool) (err error) {
	j.sides = append(j.sides, s)
	switch {
	case s.parts != nil:
		err = s.joined()
		if s.told != nil {
			j.note(s.path + ": " + sampledText(s.told))
		}
		return err
	case moments.Is(s.path) || moments.IsPart(s.path):
		s.stored, s.about, err = moments.ReadWhole(s.path)
		return err
	}
	if s.source, err = j.source(s, samples); err == nil {
		s.source, err = j.partOf(s.source)
	}
	if err == nil && j.nearest != "" {
		s.kept = &remembered{source: s.source}
		s.source = s.kept
	}
	return err
}

// follow takes the network of stored statistics, where the user names none.
func (j *judging) follow() error {
	for _, s := range j.sides {
		if j.network != "" || s.stored == nil {
			continue
		}
		network := cmp.Or(s.about.Network, networkOf(len(s.stored.Statistics.Mean)))
		if _, err := feature.Find(network); err == nil {
			return j.settle(network, len(j.sides) == 2)
		}
	}
	return nil
}

// networkOf is the published network with so many numbers of an image, of which files of
// other programs may be; empty: none.
func networkOf(dim int) string {
	for _, n := range feature.Networks {
		if n.Embedded() == nil && n.Dim == dim {
			return n.Name
		}
	}
	return ""
}

// close gives back what is open.
func (j *judging) close() {
	j.closeImages()
	for _, s := range j.sides {
		if s.source != nil {
			s.source.close()
		}
	}
}

// aboutOf says what the features of a side are.
func (j *judging) aboutOf(s *side) moments.About {
	about := j.about
	if s.source != nil {
		about.Images = fmt.Sprintf("%s, %s", s.path, shapeText(s.source))
	}
	return about
}

// check says what does not go together.
func (j *judging) check() error {
	dim, counts := 0, make([]int64, len(j.sides))
	sizes := map[string]bool{}
	images := false
	for i, s := range j.sides {
		if s.stored == nil {
			images = true
			counts[i] = whole(s.source)
			sizes[sizesOf(s.source)] = true
			continue
		}
		counts[i] = s.stored.N
		for _, m := range j.metrics {
			if err := s.stored.Has(m, i == 1); err != nil {
				return fault.Usage(err)
			}
		}
		d := len(s.stored.Statistics.Mean)
		if dim != 0 && d != dim {
			return fault.Usage(&metric.DimError{A: dim, B: d})
		}
		dim = d
	}
	if len(sizes) > 1 {
		j.note("the images are of different sizes, which shows in every distance; --size N brings data to one")
	}
	if j.nearest != "" {
		for _, s := range j.sides {
			if s.source == nil {
				return fault.Usagef("--nearest %s: want images on both sides, and %s is statistics", j.nearest, s.path)
			}
		}
		if len(sizes) > 1 {
			return fault.Usagef("--nearest %s: the images are of different sizes; want one, by --size", j.nearest)
		}
	}
	if images {
		of := j.extractor.Network
		if dim != 0 && dim != of.Dim {
			return fault.Usage(&metric.DimError{A: of.Dim, B: dim})
		}
		if err := j.readNetwork(); err != nil {
			return err
		}
		dim = of.Dim
	}
	if err := j.agree(dim); err != nil {
		return err
	}
	if err := evaluate.CheckCount(j.metrics, counts, dim, j.take); err != nil {
		return fault.Usage(err)
	}
	for i, n := range counts {
		if n > 0 && n < int64(dim) && (j.save != "" && i == 0 || slices.ContainsFunc(j.metrics, func(m evaluate.Metric) bool { return m.Needs.Statistics })) {
			j.note(fewText(j.sides[i].path, n, dim))
		}
	}
	return nil
}

// sizesOf is equal for sources whose images have the same shape, or the same shapes.
func sizesOf(s source) string {
	text := sizeText(s.size())
	if b := s.shapes(); b != nil {
		text = fmt.Sprint(b.Sizes, s.size()[2])
	}
	return text
}

// fewText is a note on a covariance that is singular.
func fewText(what string, n int64, dim int) string {
	return fmt.Sprintf("%s: %d images are fewer than the %d features of each: the Fréchet distance is far too large, and only compares with those of as many images", what, n, dim)
}

// collect makes what is known of a set.
func (j *judging) collect(ctx context.Context, s *side, needs evaluate.Needs) (*evaluate.Set, error) {
	if s.stored != nil {
		return s.stored, nil
	}
	progress := newImageProgress(j.face, s.path, s.source.Len())
	set, err := evaluate.Collect(ctx, s.source, j.extractor, needs, func(done int) error {
		progress.show(done)
		return nil
	})
	j.face.End()
	return set, err
}

// note tells something once.
func (j *judging) note(text string) {
	if !slices.Contains(j.notes, text) {
		j.notes = append(j.notes, text)
	}
}

// readNetwork reads the weights of the network of features.
func (j *judging) readNetwork() error {
	weights, hash, note, err := readFeatures(j.extractor.Network, j.features, "", j.metrics)
	if err != nil {
		return err
	}
	if note != "" {
		j.note(note)
	}
	if j.network == "" && j.extractor.Network.Embedded() != nil {
		j.note(embeddedNote(j.extractor.Network, ""))
	}
	j.extractor.Weights = weights
	j.about = moments.About{Network: j.extractor.Network.Name, Weights: hash, Convention: j.extractor.Convention.Name, Precision: j.extractor.Precision.String()}
	return nil
}

// agree says whether features of different origin may be compared.
func (j *judging) agree(dim int) error {
	for _, s := range j.sides {
		switch {
		case s.stored == nil:
		case s.about == (moments.About{}):
			j.note(fmt.Sprintf("%s does not say of which network and convention it is", s.path))
		case j.about == (moments.About{}):
			j.about = s.about
		case !s.about.Same(j.about):
			return fault.Usagef("%s is of %s, weights %s, convention %s; want %s", s.path, s.about.Network, s.about.Weights, s.about.Convention, j.how())
		case s.about.Precision != j.about.Precision:
			j.note(fmt.Sprintf("%s was made in %s, and the other in %s", s.path, s.about.Precision, j.about.Precision))
		}
	}
	j.take.Network = cmp.Or(j.about.Network, networkOf(dim))
	if err := evaluate.Check(j.metrics, cmp.Or(j.take.Network, "another network"), len(j.sides) == 2 || j.part != ""); err != nil {
		return fault.Usage(err)
	}
	return nil
}

// how the features were made.
func (j *judging) how() string {
	if j.about == (moments.About{}) {
		return "features that the files do not name"
	}
	return featuresText(j.about)
}

// sizeText is a size as arrays have it.
func sizeText(size [3]int) string { return fmt.Sprintf("%d×%d×%d", size[0], size[1], size[2]) }
