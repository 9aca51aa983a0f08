package train

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/data"
	"fluxion/data/stable"
	"fluxion/engine/generate"
	"fluxion/engine/model"
	"fluxion/engine/objective"
	"fluxion/nets"
)

// labels are the numbers that a network is told of each image in the place of a class.
type labels struct {
	*model.Labels
	of   *data.Numbers // of the images of the data
	none []float32     // what the network is told of an image without
}

// labelled is how a network is told the labels of data that are numbers; "": they are not.
func labelled(d data.Dataset) string {
	if n := data.NumbersOf(d); n != nil {
		return model.Condition(len(n.Names))
	}
	return ""
}

// newLabels are those of data for a network; nil: there are none.
func newLabels(d data.Dataset, n nets.Network, drop float64) (*labels, error) {
	of := data.NumbersOf(d)
	if of == nil {
		return nil, nil
	}
	l := &labels{Labels: &model.Labels{Names: of.Names, From: of.From, To: of.To, None: drop > 0}, of: of}
	if err := l.Check(n.Spec()); err != nil {
		return nil, &SettingError{"labels", err.Error()}
	}
	most := max(1, min(mostExamples, exampleValues/len(of.Names), of.Images()))
	l.Examples = slices.DeleteFunc(l.spread(most), func(label []float32) bool { return label == nil })
	if len(l.Examples) == 0 { // few images have any: the first
		for i := 0; i < of.Images() && len(l.Examples) < most; i++ {
			if label := of.Of(i); label != nil {
				l.Examples = append(l.Examples, label)
			}
		}
	}
	if len(l.Examples) == 0 {
		return nil, &SettingError{"labels", "no image of " + d.Name() + " has any; want none"}
	}
	l.none = l.Told(n.Spec(), nil)
	return l, nil
}

// Examples are of so many images at most, and of so many numbers.
const mostExamples, exampleValues = 256, 1 << 14

// spread are labels of n images of the data, evenly spread, as ReadGiven takes them; nil of
// those that have none.
func (l *labels) spread(n int) (all [][]float32) {
	for i := range n {
		all = append(all, l.of.Of(data.Spread(l.of.Images(), n, i)))
	}
	return all
}

// put writes what the network is told of image i of a batch.
func (l *labels) put(s nets.Spec, b *data.Batch, i int, dropped bool, to []float32) {
	n := len(l.Names)
	if label := b.Numbers[i*n:][:n]; !dropped && label[0] == label[0] { // NaN: it has none
		l.Tell(s, label, to)
		return
	}
	copy(to, l.none)
}

// Label gives a request for samples their labels, where the network is told numbers: of as many
// images of the data, evenly spread, or, of columns of a grid, some examples in order.
func (s *Step) Label(r *generate.Request, examples bool) {
	if s.Labels == nil {
		return
	}
	var from [][]float32
	if examples {
		for i := range gridColumns {
			from = append(from, s.Labels.Examples[i*len(s.Labels.Examples)/gridColumns])
		}
		stable.Sort(from, slices.Compare)
	} else {
		from = s.Labels.spread(len(r.Seeds))
	}
	spec := s.Network.Spec()
	r.Untold = s.Labels.none
	for i := range r.Seeds {
		r.Told = append(r.Told, s.Labels.Told(spec, from[i%len(from)]))
	}
}

// about is what a user is told of them; "": there are none.
func (l *labels) about(s nets.Spec) string {
	if l == nil {
		return ""
	}
	none := "label_drop 0 leaves out none"
	if l.None {
		none = fmt.Sprintf("none is %g", l.none[0])
	}
	how := "told as a time, from 0 to 1000 over its range"
	if s.Condition == nets.Identity {
		how = fmt.Sprintf("told from 0 to 1 over their ranges, repeated to a vector of %d", s.Embedding)
	}
	return fmt.Sprintf("%s; %s (class_embed_type %s); %s", l, how, s.Condition, none)
}

// labelsHook keeps with each checkpoint which numbers the network is told, and over which ranges.
// A run that goes on keeps the ranges, though the data may have grown.
func (r *run) labelsHook() Hook {
	h := Hook{Name: "labels"}
	if r.labels == nil {
		return h
	}
	h.Keep = &Keep{
		File:  model.LabelsFile,
		Store: r.labels.JSON,
		Load: func(text []byte) (func() error, error) {
			was, err := model.ParseLabels(model.LabelsFile, text)
			if err != nil {
				return nil, err
			}
			if !slices.Equal(was.Names, r.labels.Names) {
				return nil, fmt.Errorf("the run was told %s of each image, and the data have %s; give --labels as it was", strings.Join(was.Names, ", "), strings.Join(r.labels.Names, ", "))
			}
			return func() error { r.labels.keep(was); return nil }, nil
		},
	}
	return h
}

// resume takes the ranges that a run has which goes on, so that its start tells of them; what is
// wrong with them restore says.
func (l *labels) resume(c *model.Checkpoint) {
	if l == nil || c == nil {
		return
	}
	path := filepath.Join(c.Path, model.TrainingDir, model.LabelsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	if was, err := model.ParseLabels(path, text); err == nil && slices.Equal(was.Names, l.Names) && was.Check(nets.Spec{Condition: nets.Identity, Embedding: len(l.Names)}) == nil {
		l.keep(was)
	}
}

// keep takes the ranges of labels of before.
func (l *labels) keep(was *model.Labels) { l.From, l.To, l.Examples = was.From, was.To, was.Examples }

// begin takes the ranges of the teacher, which is told what the network is, or else those of the
// model whose weights the run begins with.
func (l *labels) begin(b *beginning, by *objective.Teacher) {
	switch {
	case l == nil:
	case by != nil:
		l.From, l.To = by.From, by.To
	case b != nil && b.from.Labels != nil && slices.Equal(b.from.Labels.Names, l.Names):
		l.From, l.To = b.from.Labels.From, b.from.Labels.To
	}
}
