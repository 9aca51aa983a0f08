package model

import (
	"slices"
	"strings"
	"testing"

	"fluxion/nets"
	"fluxion/nets/unet"
)

// TestLabelsTold: numbers are told from 0 to 1 over their ranges, one as a time, several until
// they fill a vector, and none as −1.
func TestLabelsTold(t *testing.T) {
	age := &Labels{Names: []string{"age"}, From: []float32{20}, To: []float32{60}}
	both := &Labels{Names: []string{"x", "still"}, From: []float32{-1, 7}, To: []float32{3, 7}}
	number, vector := nets.Spec{Condition: nets.Timestep}, nets.Spec{Condition: nets.Identity, Embedding: 5}
	for name, c := range map[string]struct {
		labels      *Labels
		spec        nets.Spec
		label, want []float32
	}{
		"least":             {age, number, []float32{20}, []float32{0}},
		"between":           {age, number, []float32{30}, []float32{250}},
		"beyond":            {age, number, []float32{80}, []float32{1500}},
		"none":              {age, number, nil, []float32{-1000}},
		"several":           {both, vector, []float32{0, 7}, []float32{0.25, 0, 0.25, 0, 0.25}},
		"several, none":     {both, vector, nil, []float32{-1, -1, -1, -1, -1}},
		"one as a vector":   {age, vector, []float32{60}, []float32{1, 1, 1, 1, 1}},
		"one without range": {both, vector, []float32{3, 9}, []float32{1, 2, 1, 2, 1}},
	} {
		if got := c.labels.Told(c.spec, c.label); !slices.Equal(got, c.want) {
			t.Errorf("%s: told %v, want %v", name, got, c.want)
		}
	}
}

// TestLabelsRefused: a network that cannot be told as many numbers is refused, and what is no
// file of them.
func TestLabelsRefused(t *testing.T) {
	both := &Labels{Names: []string{"x", "y"}, From: []float32{0, 0}, To: []float32{1, 1}}
	for want, s := range map[string]nets.Spec{
		"told no numbers": {}, "takes 1 at most": {Condition: nets.Timestep},
	} {
		if err := both.Check(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
	for _, text := range []string{"", "[]", `{"names": 3}`, `{"names": ["a"], "from": [0], "to": [1], "examples": [[1, 2]]}`} {
		if _, err := ParseLabels("labels.json", []byte(text)); err == nil || !strings.Contains(err.Error(), "labels.json") {
			t.Errorf("%q: %v", text, err)
		}
	}
	text, err := both.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := ParseLabels("labels.json", text); err != nil || !slices.Equal(back.Names, both.Names) || !slices.Equal(back.To, both.To) {
		t.Errorf("read again: %+v, %v", back, err)
	}
}

// TestDigestOfLabels: models that are told numbers over other ranges make other images.
func TestDigestOfLabels(t *testing.T) {
	m := Model{Network: unet.Default(), Weights: []float32{1}}
	plain := m.Digest()
	m.parts = map[string][]byte{LabelsFile: []byte(`{"names":["age"],"from":[0],"to":[90]}`)}
	young := m.Digest()
	m.parts[LabelsFile] = []byte(`{"names":["age"],"from":[0],"to":[30]}`)
	if old := m.Digest(); plain == young || young == old {
		t.Errorf("digests are %s, %s and %s", plain, young, old)
	}
}
