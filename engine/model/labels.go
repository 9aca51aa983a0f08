package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"fluxion/nets"
	"fluxion/nets/pyjson"
)

// LabelsFile is in TrainingDir: what a model is told of each image where that is numbers.
const LabelsFile = "labels.json"

// Labels are numbers that a model is told of each image, such as an age, instead of a class.
type Labels struct {
	Names []string  `json:"names"`
	From  []float32 `json:"from"` // of each, what the network is told as 0
	To    []float32 `json:"to"`   // and as 1
	// None says that the model was trained on images without theirs, too (label_drop), so that
	// it can be guided.
	None     bool        `json:"none"`
	Examples [][]float32 `json:"examples"` // of some images of its data
}

// timestepScale is what one number is told in units of: as large as times are.
const timestepScale = 1000

// untold is what stands for no label, where labels are told as 0 to 1.
const untold = -1

// LabelWidth is how many numbers a network takes that stand for the label of an image.
func LabelWidth(s nets.Spec) int { return max(1, s.Embedding) }

// Check says why a network cannot be told such labels.
func (l *Labels) Check(s nets.Spec) error {
	switch n := len(l.Names); {
	case n == 0 || len(l.From) != n || len(l.To) != n:
		return fmt.Errorf("%d names of numbers with %d and %d ends; want as many of each", n, len(l.From), len(l.To))
	case s.Condition == "":
		return fmt.Errorf("the network is told no numbers of an image; want one with class_embed_type %q or %q", nets.Timestep, nets.Identity)
	case n > LabelWidth(s):
		return fmt.Errorf("there are %d numbers of each image, and the network takes %d at most; want fewer, or a network with a wider time embedding", n, LabelWidth(s))
	}
	return nil
}

// Condition is how a network is told so many numbers.
func Condition(numbers int) string {
	switch numbers {
	case 0:
		return ""
	case 1:
		return nets.Timestep
	}
	return nets.Identity
}

// Tell writes what a network is told for a label; nil stands for none. Numbers are brought from
// 0 to 1 over their range, and none is −1. One number is multiplied by 1000, since the network
// is told it as a time. Several are repeated until they fill the vector that is added to the
// embedding of the time: each then meets many of its elements.
func (l *Labels) Tell(s nets.Spec, label, to []float32) {
	for k := range to {
		v := float64(untold)
		if label != nil {
			i := k % len(label)
			v = float64(label[i]) - float64(l.From[i])
			if width := float64(l.To[i]) - float64(l.From[i]); width != 0 {
				v /= width
			}
		}
		if s.Condition == nets.Timestep {
			v *= timestepScale
		}
		to[k] = float32(v)
	}
}

// Told is what Tell writes.
func (l *Labels) Told(s nets.Spec, label []float32) []float32 {
	to := make([]float32, LabelWidth(s))
	l.Tell(s, label, to)
	return to
}

// Outside names the numbers of a label that are not in the range of the model's data; "": none.
func (l *Labels) Outside(label []float32) string {
	var out []string
	for i, x := range label {
		if x < l.From[i] || x > l.To[i] {
			out = append(out, fmt.Sprintf("%s %.6g (%.6g to %.6g)", l.Names[i], x, l.From[i], l.To[i]))
		}
	}
	return strings.Join(out, ", ")
}

// Text is a label as people write it.
func (l *Labels) Text(label []float32) string {
	if label == nil {
		return "none"
	}
	var parts []string
	for _, x := range label {
		parts = append(parts, fmt.Sprint(x))
	}
	return strings.Join(parts, ",")
}

// String lists the numbers with their ranges.
func (l *Labels) String() string {
	var parts []string
	for i, name := range l.Names[:min(len(l.Names), mostListed)] {
		parts = append(parts, fmt.Sprintf("%s %.6g to %.6g", name, l.From[i], l.To[i]))
	}
	if more := len(l.Names) - mostListed; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}

// mostListed is how many numbers a line lists.
const mostListed = 8

// JSON is LabelsFile.
func (l *Labels) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(l, "", "  ")
	return append(text, '\n'), err
}

// ParseLabels reads LabelsFile.
func ParseLabels(path string, text []byte) (*Labels, error) {
	var l Labels
	if err := pyjson.In(path, pyjson.Decode(text, &l)); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(l.Examples, func(e []float32) bool { return len(e) != len(l.Names) }) {
		return nil, &pyjson.Error{File: path, Problem: fmt.Sprintf("key examples: want lists of %d numbers", len(l.Names))}
	}
	return &l, nil
}

// readLabels finds what numbers the network is told.
func (m *Model) readLabels(path string, text []byte) (err error) {
	if m.Labels, err = ParseLabels(path, text); err != nil {
		return err
	}
	if err := m.Labels.Check(m.Network.Spec()); err != nil {
		return &pyjson.Error{File: path, Problem: err.Error()}
	}
	m.Guided, m.Untrained = true, !m.Labels.None
	return nil
}

// assumeLabels are those of a network that is told numbers and whose folder does not say which:
// it is told them as they are.
func (m *Model) assumeLabels() {
	s := m.Network.Spec()
	if m.Labels != nil || s.Condition == "" {
		return
	}
	l := &Labels{Names: []string{"label"}, From: []float32{0}, To: []float32{1}}
	if s.Condition == nets.Timestep {
		l.To[0] = timestepScale
	}
	for k := 1; k < s.Embedding; k++ {
		l.Names, l.From, l.To = append(l.Names, "label"), append(l.From, 0), append(l.To, 1)
	}
	m.Labels = l
}
