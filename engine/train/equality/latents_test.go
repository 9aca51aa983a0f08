package equality

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/engine/model"
	"fluxion/engine/train"
	"fluxion/nets/autoencoder/autoencodertest"
	"fluxion/nets/safetensors"
)

// latents are a folder of twelve, of images of twice their side, with the autoencoder.
func latents(t *testing.T) data.Dataset {
	t.Helper()
	return opened(t, "latents:"+latentsFolder(t, "abcd"))
}

// pairedLatents are such folders, one of inputs.
func pairedLatents(t *testing.T) data.Dataset {
	t.Helper()
	return opened(t, "paired:latents:"+latentsFolder(t, "efgh")+",latents:"+latentsFolder(t, "abcd"))
}

func opened(t *testing.T, spec string) data.Dataset {
	t.Helper()
	d, err := data.Open(spec, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// latentsFolder has moments of these names.
func latentsFolder(t *testing.T, names string) (dir string) {
	t.Helper()
	dir, m := t.TempDir(), autoencodertest.Read(t, "sd")
	l := data.Latents{
		Count: 12, Shard: 5, Height: size, Width: size, Channels: 4, Image: [3]int{2 * size, 2 * size, 3}, Type: "fp16", Flipped: true,
		Classes: []string{"a", "b", "c"}, Autoencoder: m.Digest(),
	}
	l.Shift, l.Scale = m.Scaling()
	vae := filepath.Join(dir, data.AutoencoderDir)
	err := os.Mkdir(vae, 0o777)
	if err == nil {
		err = m.Write(vae, safetensors.F32)
	}
	for shard := range l.Shards() {
		from, to := l.Range(shard)
		values, classes := make([][]float32, 4), []int64(nil)
		for i := range values {
			values[i] = autoencodertest.Numbers(names[i:i+1], l.Count*l.Values())[from*l.Values() : to*l.Values()]
			for k := range values[i] {
				values[i][k] *= 5 // so that a denoiser's are of deviation about 1
			}
		}
		for i := from; i < to; i++ {
			classes = append(classes, int64(i%3))
		}
		if err == nil {
			err = l.WriteShard(durable.Disk{}, dir, shard, values, nil, classes)
		}
	}
	if err == nil {
		err = l.Write(durable.Disk{}, dir, glyphs(t))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestPairedLatents: a GPU learns of latents of pairs what the CPU does, in both ways of image to
// image; means alone lie on the device.
func TestPairedLatents(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds on the simulator")
	}
	set := pairedLatents(t)
	for way, change := range map[string]func(*train.Settings){
		"concat": func(s *train.Settings) { s.Posterior, s.Flip = "mean", false },
		"bridge": func(s *train.Settings) {
			s.Source, s.Schedule, s.Output, s.Bridge = "data", "i2sb", "i2sb", "brownian:sigma=0.376"
		},
	} {
		s := settings("cuda:0", 4)
		s.Size = data.Size{}
		change(&s)
		want, start := runOn(t, t.TempDir(), s, set)
		if start.Resident != (way == "concat") {
			t.Errorf("%s: on the device is %v", way, start.Resident)
		}
		s.Device = "cpu"
		dir := t.TempDir()
		s.Images = 2
		before, _ := runOn(t, dir, s, set)
		s.Images = 4
		got, _ := runOn(t, dir, s, set)
		if off, moved := distance(got, want), distance(before, want); !(off <= 1e-3*moved) {
			t.Errorf("%s: weights differ by %.2g on the CPU where the steps moved them by %.2g", way, off, moved)
		}
	}
}

// TestLatentsResume: a run on latents goes on to the bit, on a GPU too, and the CPU learns the
// same; its latents are drawn, or are means; grids are pictures, and checkpoints have the autoencoder.
func TestLatentsResume(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds on the simulator")
	}
	set := latents(t)
	s := settings("cuda:0", 4)
	s.Size = data.Size{}
	want, start := runOn(t, t.TempDir(), s, set)
	if start.Resident {
		t.Error("latents that are drawn lie on the device")
	}
	dir := t.TempDir()
	s.Images = 2
	before, _ := runOn(t, dir, s, set)
	s.Images = 4
	if got, _ := runOn(t, dir, s, set); !slices.Equal(got, want) {
		t.Errorf("weights of a resumed run differ by %.2g", distance(got, want))
	}
	s.Device = "cpu"
	s.SampleCount, s.SampleEvery, s.SampleSteps = 3, 4, 2
	seen := t.TempDir()
	got, _ := runOn(t, seen, s, set)
	moved := distance(before, want)
	if off := distance(got, want); !(off <= 1e-3*moved) {
		t.Errorf("weights differ by %.2g on the CPU where the steps moved them by %.2g", off, moved)
	}
	grids, err := filepath.Glob(filepath.Join(seen, "samples", "*.png"))
	if err != nil || len(grids) == 0 {
		t.Fatalf("grids %v, %v", grids, err)
	}
	if p, err := data.InspectPNG(grids[0]); err != nil || p.Height != 96/(2*size)*(2*size+4) || p.Channels != 3 {
		t.Errorf("a grid of %+v, %v; want one row of pictures of side %d, between gaps of 2, drawn as 96 pixels", p, err, 2*size)
	}
	m, err := model.Read(seen, model.EMA)
	if err != nil || m.Autoencoder == "" || !m.Floats {
		t.Errorf("the model has autoencoder %q, floats %v, %v", m.Autoencoder, m.Floats, err)
	}
	s.Posterior, s.SampleCount = "mean", 0
	if mean, _ := runOn(t, t.TempDir(), s, set); distance(mean, want) < 1e-3*moved {
		t.Error("means are as samples of the posterior")
	}
}

// TestLatentsRefused: what does not go with latents is told by its key.
func TestLatentsRefused(t *testing.T) {
	set := latents(t)
	for key, change := range map[string]func(s *train.Settings){
		"augment":   func(s *train.Settings) { s.Augment = "edm:p=0.1" },
		"posterior": func(s *train.Settings) { s.Posterior = "mode" },
	} {
		s := settings("cpu", 4)
		s.Size = data.Size{}
		change(&s)
		refused(t, key, s, set)
	}
	s := settings("cpu", 4)
	s.Posterior = "mean"
	refused(t, "posterior", s, glyphs(t))
}

func refused(t *testing.T, key string, s train.Settings, set data.Dataset) {
	t.Helper()
	d, done := open(t, s.Device)
	defer done()
	var fault *train.SettingError
	if _, err := train.Run(context.Background(), train.Options{Settings: s, Dir: t.TempDir(), Data: set, Device: d, Observer: &silent{}}); !errors.As(err, &fault) || fault.Key != key {
		t.Errorf("%s: %v", key, err)
	}
}
