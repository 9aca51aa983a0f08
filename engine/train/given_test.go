package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/couple"
	"fluxion/nets"
)

// pairedFolders is some images of 8×8 RGB with inputs of so many channels.
func pairedFolders(t *testing.T, channels int) string {
	t.Helper()
	dir := t.TempDir()
	for folder, channels := range map[string]int{"a": channels, "b": 3} {
		for i := range 6 {
			pixels := make([]byte, 64*channels)
			for k := range pixels {
				pixels[k] = byte(k*5 + i*31)
			}
			file, err := data.EncodePNG(pixels, 8, 8, channels, nil)
			err = errors.Join(err, os.MkdirAll(filepath.Join(dir, folder), 0o777))
			if err = errors.Join(err, os.WriteFile(filepath.Join(dir, folder, fmt.Sprint(i)+".png"), file, 0o666)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return "paired:" + filepath.Join(dir, "a") + "," + filepath.Join(dir, "b")
}

// pairedSet is some with grey inputs.
func pairedSet(t *testing.T) data.Dataset {
	t.Helper()
	d, err := data.Open(pairedFolders(t, 1), data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestInputsRefused: what would hide the inputs, or tell the noise by them, is refused.
func TestInputsRefused(t *testing.T) {
	set := pairedSet(t)
	for want, change := range map[string]func(*Settings){
		"want concat":              func(s *Settings) { s.Condition = "none" },
		"coupling: ot would let":   func(s *Settings) { s.Coupling = "ot" },
		"coupling: nearest:4 woul": func(s *Settings) { s.Coupling = "nearest:4" },
	} {
		s := Default()
		change(&s)
		_, err := NewObjective(s, set)
		if e := (*SettingError)(nil); !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if _, err := NewObjective(s, data.Inputs(set)); strings.HasPrefix(want, "want concat") && err != nil {
			t.Errorf("of data without inputs: %v", err)
		}
	}
	s := Default()
	if n := s.GivenChannels(set); n != 1 || s.GivenChannels(data.Inputs(set)) != 0 {
		t.Errorf("a second image of %d channels", n)
	}
	if _, err := Network("mlp", nets.Spec{Height: 8, Width: 8, Channels: 3, Concat: 1}); err == nil || !strings.Contains(err.Error(), "second image") {
		t.Errorf("a network that takes none: %v", err)
	}
	n, err := Network("micro", nets.Spec{Height: 8, Width: 8, Channels: 3, Concat: 1})
	if err != nil || n.Spec().Channels != 3 || n.Spec().Concat != 1 {
		t.Errorf("%+v, %v", n.Spec(), err)
	}
}

// TestReadGiven: samples are given the inputs of images evenly spread.
func TestReadGiven(t *testing.T) {
	set := pairedSet(t)
	g, err := ReadGiven(set, 3, false)
	if err != nil {
		t.Fatal(err)
	}
	inputs := data.Inputs(set)
	e, got, want := data.NewExample(inputs), make([]float32, 64), make([]float32, 64)
	for i := range 3 {
		if err := errors.Join(inputs.Read(data.Spread(6, 3, i), e), g.Input(i, got)); err != nil {
			t.Fatal(err)
		}
		e.Values(want)
		for k := range want {
			if got[k] != want[k] {
				t.Fatalf("input %d is another", i)
			}
		}
	}
	if told := g.ClassesOf(4); len(told) != 3 || told[0] != 4 || g.ClassesOf(0) != nil {
		t.Errorf("classes %v", told)
	}
}

// TestSourceOfInputs: a coupling of a source of images exchanges inputs within a step, and
// what a source of images needs is asked for.
func TestSourceOfInputs(t *testing.T) {
	c, err := couple.Get("ot")
	if err != nil {
		t.Fatal(err)
	}
	b := &data.Batch{Pixels: data.Pixels{Floats: []float32{0, 5, 9}}, Inputs: data.Pixels{Floats: []float32{8, 1, 4}}, Classes: []int32{-1, -1, -1}, Indices: []int64{7, 8, 9}, Noise: []int64{7, 8, 9}}
	s := &coupled{coupling: c, batches: 1, size: 1, inputs: true, next: []*data.Batch{b}}
	if err := s.pair(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(b.Inputs.Floats, []float32{1, 4, 8}) || !slices.Equal(b.Noise, []int64{7, 8, 9}) {
		t.Errorf("inputs %v of noise %v", b.Inputs.Floats, b.Noise)
	}
	open := func(spec string) data.Dataset {
		d, err := data.Open(spec, data.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		return d
	}
	for want, c := range map[string]struct {
		set    data.Dataset
		change func(*Settings)
	}{
		"want --data paired:A,B": {open("toy:moons"), func(s *Settings) { s.Source = "data" }},
		"want --source data":     {open("unpaired:toy:moons,toy:grid"), func(*Settings) {}},
		"more than with others":  {open("unpaired:toy:moons,toy:grid"), func(s *Settings) { s.Source, s.Coupling = "data", "nearest:4" }},
		"part the pairs":         {open("paired:toy:moons,toy:moons"), func(s *Settings) { s.Source, s.Coupling = "data", "ot" }},
		"want --channels":        {pairedSet(t), func(s *Settings) { s.Source = "data" }},
	} {
		s := Default()
		c.change(&s)
		if _, err := NewObjective(s, c.set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
