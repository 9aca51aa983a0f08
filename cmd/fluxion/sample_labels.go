package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/generate"
	"fluxion/engine/model"
)

// labelSetting declares what a model is told that is told numbers of an image.
func labelSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "label", Value: setting.Of(p), Own: true,
		Help: "for models of --labels numbers: what they are told of every image, as in 0.3 or 0.3,1, or FILE.csv, FILE.json with those of image 0, 1, …; none is without; by default those of images of the data, in turn",
	}
}

// labelling is what a model is told of images where that is numbers.
type labelling struct {
	of   func(seed int64) []float32 // nil: none
	text string                     // of all
	file *data.Numbers              // nil: there is no file
	note string
}

// isLabelFile says whether --label names a file.
func isLabelFile(label string) bool {
	return slices.Contains([]string{".csv", ".tsv", ".json", ".jsonl"}, strings.ToLower(filepath.Ext(label)))
}

// labels settles what a model is told; nil: it is told no numbers.
func (o *sampleOptions) labels(m, guide *model.Model) (*labelling, error) {
	if m.Labels == nil {
		if o.label != "" {
			return nil, fault.Usagef("--label %s: the model is told no numbers of an image; want --class, if it knows classes", o.label)
		}
		return nil, nil
	}
	names := strings.Join(m.Labels.Names[:min(len(m.Labels.Names), 8)], ", ")
	none := o.label == "none" || o.label == "" && o.class == "none"
	switch {
	case o.class != "all" && o.class != "none":
		return nil, fault.Usagef("--class %s: the model is told numbers, not classes: %s; want --label", o.class, m.Labels)
	case none && (!m.Guided || m.Untrained || guide != nil && guide.Untrained):
		return nil, fault.Usagef("--label none: in training no image went without its numbers (label_drop 0), so the model knows none without; train on with --label-drop 0.1")
	case none:
		return &labelling{of: func(int64) []float32 { return nil }, text: "none"}, nil
	case o.label == "" && len(m.Labels.Examples) == 0:
		return nil, fault.Usagef("the model is told %d numbers of each image (%s); want --label and as many, as in %s", len(m.Labels.Names), names, strings.Repeat("0.5,", min(len(m.Labels.Names), 3)-1)+"0.5")
	case o.label == "":
		examples := m.Labels.Examples
		return &labelling{
			of: func(seed int64) []float32 { return examples[seed%int64(len(examples))] }, text: "examples",
			note: fmt.Sprintf("labels are those of %d images of the model's data, in turn (%s); --label says others", len(examples), names),
		}, nil
	case isLabelFile(o.label):
		return readLabels(o.label, m.Labels)
	}
	var label []float32
	for _, text := range strings.Split(o.label, ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(text), 32)
		if err != nil {
			return nil, fault.Usagef("--label %s: %q is no number of float32; want %d of them (%s), none, or FILE.csv or FILE.json", o.label, text, len(m.Labels.Names), names)
		}
		label = append(label, float32(x))
	}
	if len(label) != len(m.Labels.Names) {
		return nil, fault.Usagef("--label %s: %d numbers, where the model is told %d: %s", o.label, len(label), len(m.Labels.Names), m.Labels)
	}
	l := &labelling{of: func(int64) []float32 { return label }, text: m.Labels.Text(label)}
	if outside := m.Labels.Outside(label); outside != "" {
		l.note = "labels outside of what the model was trained on: " + outside
	}
	return l, nil
}

// readLabels reads those of a file.
func readLabels(path string, of *model.Labels) (*labelling, error) {
	n, err := data.ReadNumbers(path)
	if err != nil {
		return nil, err
	}
	if len(n.Names) != len(of.Names) {
		return nil, fault.Usagef("--label %s: has %d numbers of each image, where the model is told %d: %s", path, len(n.Names), len(of.Names), of)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	return &labelling{of: func(seed int64) []float32 { return n.Of(int(seed)) }, text: hex.EncodeToString(sum[:8]), file: n}, nil
}

// numbers are those of the images to be made: those asked for, or all that a file has labels for.
func (l *labelling) numbers(asked []int64) ([]int64, error) {
	if l == nil || l.file == nil {
		return asked, nil
	}
	n := int64(l.file.Images())
	if asked == nil {
		for i := range n {
			asked = append(asked, i)
		}
	}
	if last := asked[len(asked)-1]; last >= n {
		return nil, fault.Usagef("the file of labels has %d, of images 0 to %d, and image %d is to be made; want as many or fewer", n, n-1, last)
	}
	return asked, nil
}

// all are the labels of images one behind the other, NaN for none.
func (l *labelling) all(seeds []int64, width int) (all []float32) {
	for _, seed := range seeds {
		label := l.of(seed)
		for k := range width {
			x := float32(math.NaN())
			if label != nil {
				x = label[k]
			}
			all = append(all, x)
		}
	}
	return all
}

// tell makes a request for samples say what the model is told.
func (l *labelling) tell(r *generate.Request, m *model.Model) {
	if l == nil {
		return
	}
	r.Untold = m.Untold()
	for _, seed := range r.Seeds {
		r.Told = append(r.Told, m.Labels.Told(m.Network.Spec(), l.of(seed)))
	}
}
