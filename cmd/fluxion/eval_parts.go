package main

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/moments"
	"fluxion/engine/evaluate"
)

// partSource is a part of the images of another.
type partSource struct {
	source
	whole int // images of that
}

func (p partSource) Of() int { return p.whole }

// checkPart says what does not go together with --part.
func (o *evalOptions) checkPart(sides []*side) error {
	if _, _, err := parsePart(o.part); err != nil || o.part == "" {
		return err
	}
	switch {
	case len(sides) != 1 || sides[0].parts != nil || moments.Is(sides[0].path):
		return fault.Usagef("--part %s: want one set of images, of which that part is looked at; the parts are compared when all are there", o.part)
	case o.save == "":
		return fault.Usagef("--part %s: want a file for it, --save FILE.npz", o.part)
	}
	return nil
}

// partOf cuts a source to the images of the part that is asked for.
func (j *judging) partOf(s source) (source, error) {
	i, n, err := parsePart(j.part)
	if err != nil || j.part == "" {
		return s, err
	}
	whole := s.Len()
	from, to := whole*(i-1)/n, whole*i/n
	if from == to {
		s.close()
		return nil, fault.Usagef("--part %s: of %d images this part has none; want fewer parts", j.part, whole)
	}
	switch of := s.(type) {
	case *modelSource:
		of.seeds = of.seeds[from:to]
	case dataSource:
		s = dataRange{of, from, to}
	}
	return partSource{s, whole}, nil
}

// dataRange is some images in a row of a source of data.
type dataRange struct {
	dataSource
	from, to int
}

func (d dataRange) Len() int { return d.to - d.from }

func (d dataRange) Each(_ context.Context, visit func(evaluate.Image) error) error {
	return d.each(d.from, d.to, visit)
}

// partAbout says of what the part is one: of nothing that does not show in its features.
func (j *judging) partAbout(s *side) moments.About {
	i, n, _ := parsePart(j.part)
	about := j.aboutOf(s)
	p := s.source.(partSource)
	about.Part = &moments.Part{I: i, N: n, Of: map[string]string{"images": strconv.Itoa(p.whole), "size": sizeText(s.source.size())}}
	if s.sampling != nil {
		about.Part.Sampled = true
		maps.Copy(about.Part.Of, s.sampling)
		delete(about.Part.Of, "model") // its name, and which build it was
		delete(about.Part.Of, "program")
		return about
	}
	of := p.source.(dataRange)
	about.Part.Of["data"] = of.set.Fingerprint().Digest[:16]
	about.Part.Of["of"] = strconv.Itoa(of.set.Len())
	return about
}

// joined reads the parts of a side.
func (s *side) joined() (err error) {
	if s.stored, s.about, err = moments.ReadParts(s.parts); err != nil {
		return err
	}
	s.path = s.stored.Name
	if s.about.Part.Sampled {
		s.told = s.about.Part.Of
	}
	s.about.Part = nil
	return nil
}

// sidesOf are the sets that arguments name: a set may be given by all its parts.
func sidesOf(args []string) (sides []*side) {
	for len(args) > 0 {
		s := &side{path: args[0]}
		if moments.IsPart(args[0]) {
			s.parts = args[:moments.Group(args)]
		}
		sides = append(sides, s)
		args = args[max(1, len(s.parts)):]
	}
	return sides
}

// checkSides says which sets there are if they are too many: a file that cannot be read
// is no part of the set that it stands in.
func checkSides(sides []*side) error {
	if n := len(sides); n == 1 || n == 2 {
		return nil
	}
	var names []string
	parts := false
	for _, s := range sides {
		name := s.path
		if more := len(s.parts) - 1; more > 0 {
			name += fmt.Sprintf(" with %d more parts of its set", more)
		}
		names, parts = append(names, name), parts || s.parts != nil
	}
	told := ""
	if parts {
		told = ": " + strings.Join(names[:min(len(names), 6)], ", ")
	}
	return fault.Usagef("eval takes SAMPLES and REAL, or SAMPLES alone; there are %d arguments%s", len(sides), told)
}

// whole is how many images the set of a source has, of which it may be a part.
func whole(s source) int64 {
	if p, ok := s.(evaluate.Part); ok {
		return int64(p.Of())
	}
	return int64(s.Len())
}
