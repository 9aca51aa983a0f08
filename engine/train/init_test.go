package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/model"
	"fluxion/engine/process"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// TestInit: a run begins with another's averaged weights, but for tensors of other
// shapes; so do its own averages. It goes on from its checkpoints without them.
func TestInit(t *testing.T) {
	s := points()
	s.SampleCount, s.CheckpointEvery = 0, 0
	first, second := t.TempDir(), t.TempDir()
	run := func(s Settings, dir string) *recorder {
		t.Helper()
		o, r := options(t, s, dir)
		if _, err := Run(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		return r
	}
	run(s, first)
	s.Init, s.Images, s.LR = first, 16, 1e-30
	told := run(s, second)
	if !slices.ContainsFunc(told.start.Notes, func(n string) bool { return strings.HasPrefix(n, "the weights are those of ") }) {
		t.Errorf("notes %q", told.start.Notes)
	}
	read := func(dir, weights string) *model.Model {
		t.Helper()
		m, err := model.Read(dir, weights)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	want := read(first, model.EMA).Weights
	for _, weights := range []string{model.Raw, model.EMA} {
		if !slices.Equal(read(second, weights).Weights, want) {
			t.Errorf("%s: other weights", weights)
		}
	}
	s.Data = "toy:checkerboard" // without classes
	third := t.TempDir()
	run(s, third)
	m := read(third, model.Raw)
	of := func(m *model.Model, name string) []float32 {
		for _, p := range nets.Params(m.Network) {
			if p.Name == name {
				return m.Weights[p.Offset:][:p.Size()]
			}
		}
		return nil
	}
	taught := read(first, model.EMA)
	for _, p := range nets.Params(m.Network) {
		want := slices.Clone(of(taught, p.Name))
		if p.Name == nets.TimeEmbedding+".linear_2.bias" { // it begins as the model is without a class, the last of three
			for i, x := range of(taught, nets.ClassTable)[2*len(want):] {
				want[i] += x
			}
		}
		if !slices.Equal(of(m, p.Name), want) {
			t.Errorf("%s is not that of the model", p.Name)
		}
	}
	unet, err := Network("micro", nets.Spec{Height: 8, Width: 8, Channels: 3})
	if err != nil {
		t.Fatal(err)
	}
	trains, err := process.Get("fm", process.ScheduleOptions{TimeScale: 16}, "u")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readBeginning(s, unet, m.Process, nets.Params(unet), nil, nil); err == nil || !strings.Contains(err.Error(), "less than half") {
		t.Errorf("another network: %v", err)
	}
	b, err := readBeginning(s, m.Network, trains, nets.Params(m.Network), nil, nil)
	if err != nil || !strings.Contains(strings.Join(b.told, ""), "told 16 t where it was told 1000 t") {
		t.Errorf("another time: %v, %q", err, b.told)
	}
}

// classFolders is a set of grey images of 8×8 in folders of these names.
func classFolders(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i, name := range names {
		file, err := data.EncodePNG(slices.Repeat([]byte{byte(40 * i)}, 64), 8, 8, 1, nil)
		err = errors.Join(err, os.MkdirAll(filepath.Join(dir, name), 0o777))
		if err = errors.Join(err, os.WriteFile(filepath.Join(dir, name, "0.png"), file, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestInitClasses: classes of a run begin as those of the model by their names, and new ones as
// the one that stands for none, or as the mean.
func TestInitClasses(t *testing.T) {
	run := func(init, set string, drop float64) (m *model.Model, notes string) {
		s := Default()
		s.Data, s.Preset, s.Size, s.Channels, s.Flip, s.LabelDrop, s.Init = set, "micro", data.Square(8), 0, false, drop, init
		s.Images, s.Batch, s.Warmup, s.Decay, s.CheckpointEvery, s.SampleEvery, s.SampleCount = 24, 2, 0, 0, 0, 0, 0
		if init != "" {
			s.Preset, s.LR, s.Images = init, 1e-30, 2
		}
		dir := t.TempDir()
		o, told := options(t, s, dir)
		if _, err := Run(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		m, err := model.Read(dir, model.EMA)
		if err != nil {
			t.Fatal(err)
		}
		return m, strings.Join(told.start.Notes, "\n")
	}
	rows := func(m *model.Model) [][]float32 {
		for _, p := range nets.Params(m.Network) {
			if p.Name == nets.ClassTable {
				return slices.Collect(slices.Chunk(m.Weights[p.Offset:][:p.Size()], p.Shape[1]))
			}
		}
		return nil
	}
	mean := func(of [][]float32) (row []float32) {
		for k := range of[0] {
			sum := 0.
			for _, r := range of {
				sum += float64(r[k])
			}
			row = append(row, float32(sum/float64(len(of))))
		}
		return row
	}
	taught, _ := run("", classFolders(t, "ant", "bee", "cat"), 0.5)
	blind, _ := run("", classFolders(t, "ant", "bee", "cat"), 0)
	plain, _ := run("", classFolders(t, ""), 0)
	a, b := rows(taught), rows(blind)
	for _, c := range []struct {
		init *model.Model
		set  []string
		want [][]float32
		note string
	}{
		{taught, []string{"ant", "bee", "cat"}, a, "the weights are those of"},
		{taught, []string{"bee", "cat", "dog", "elk"}, [][]float32{a[1], a[2], a[3], a[3], a[3]}, "of 4 classes, 2 are the model's by name; dog, elk begin as the model's class that stands for none; 1 of the model's are left out"},
		{taught, []string{"bat", "bee", "cat"}, [][]float32{a[3], a[1], a[2], a[3]}, "of 3 classes, 2 are the model's by name; bat begin as"},
		{taught, []string{"x", "y", "z"}, a, "taken over in their order, x as ant and so on"},
		{taught, []string{"x", "y"}, [][]float32{a[3], a[3], a[3]}, "of 2 classes, 0 are the model's by name; x, y begin as"},
		{blind, []string{"cat", "dog"}, [][]float32{b[2], mean(b), b[3]}, "dog begin as the mean of the model's"},
		{plain, []string{"cat", "dog"}, make([][]float32, 3), "class_embedding.weight begins at zero"},
		{taught, []string{""}, nil, "it begins as the model is without one"},
		{blind, []string{""}, nil, "the model never met an image without its label"},
	} {
		m, notes := run(c.init.Root, classFolders(t, c.set...), 0.5)
		got := rows(m)
		if len(got) != len(c.want) || !strings.Contains(notes, c.note) {
			t.Fatalf("%q: %d rows, notes %s, want %q", c.set, len(got), notes, c.note)
		}
		for i, want := range c.want {
			for k, x := range got[i] {
				if want == nil && (x > 1e-20 || x < -1e-20) || want != nil && x != want[k] {
					t.Fatalf("%q: row %d has %g, want %v", c.set, i, x, want)
				}
			}
		}
	}
}

// TestInitGiven: a run on pairs begins as the model of the images alone, whose weights of the
// noisy image it has, and those of the input are zeros.
func TestInitGiven(t *testing.T) {
	s := Default()
	set := pairedFolders(t, 1)
	s.Data, s.Preset, s.Size, s.Channels, s.Flip = strings.Split(set, ",")[1], "micro", data.Square(8), 0, false
	s.Images, s.Batch, s.Warmup, s.Decay, s.CheckpointEvery, s.SampleEvery, s.SampleCount = 4, 2, 0, 0, 0, 0, 0
	first, second := t.TempDir(), t.TempDir()
	for _, dir := range []string{first, second} {
		o, told := options(t, s, dir)
		if _, err := Run(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		if notes := strings.Join(told.start.Notes, "\n"); dir == second && !strings.Contains(notes, "weights of a second image (channels: 1), which the model is not given, begin at zero") {
			t.Error(notes)
		}
		s.Data, s.Init, s.Preset, s.LR, s.Images = set, first, first, 1e-30, 2
	}
	of := func(dir string) []float32 {
		m, err := model.Read(dir, model.EMA)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range nets.Params(m.Network) {
			if p.Name == "conv_in.weight" {
				stored := make([]float32, p.Size()) // out, in, 3×3
				nets.ToStored(p, m.Weights, stored)
				return stored
			}
		}
		return nil
	}
	was, is := of(first), of(second)
	for out := range len(was) / 27 {
		if !slices.Equal(is[out*36:][:27], was[out*27:][:27]) || slices.ContainsFunc(is[out*36+27:][:9], func(x float32) bool { return x > 1e-20 || x < -1e-20 }) {
			t.Fatalf("output %d is of other weights", out)
		}
	}
}

// TestOutputOfScores: a network that divides by its time is trained for no output that is told
// the logarithm of σ.
func TestOutputOfScores(t *testing.T) {
	n, err := catalog.Parse([]byte(`{"_class_name": "UNet2DModel", "block_out_channels": [8, 8], "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"], "norm_num_groups": 4, "layers_per_block": 1, "attention_head_dim": 4, "sample_size": 8, "time_embedding_type": "fourier"}`))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "fourier")
	params := nets.Params(n)
	flat := make([]float32, nets.FlatSize(params))
	if err := errors.Join(os.MkdirAll(dir, 0o777), nets.WriteModel(dir, n, params, flat)); err != nil {
		t.Fatal(err)
	}
	for output, want := range map[string]string{"edm": "output_kind: output edm is scaled", "eps": ""} {
		s := Default()
		s.Data, s.Preset, s.Size, s.Channels, s.Schedule, s.Output = classFolders(t, ""), dir, data.Square(8), 0, "ve", output
		s.Images, s.Batch, s.SampleCount = 2, 2, 0
		o, _ := options(t, s, t.TempDir())
		if _, err := Run(context.Background(), o); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", output, err)
		}
	}
}
