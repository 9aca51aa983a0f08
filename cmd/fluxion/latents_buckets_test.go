package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
	"fluxion/nets/autoencoder/autoencodertest"
)

// TestLatentsInBuckets: pictures of several shapes are encoded in those that they are brought to, as
// each would be alone, mirrored ones, too; train takes them in buckets by itself, shows and judges
// samples in these shapes, and goes on to the bit; --decode makes pictures of these shapes.
func TestLatentsInBuckets(t *testing.T) {
	t.Chdir(t.TempDir())
	good := func(args ...string) string {
		t.Helper()
		out, code, err := fluxion(t, args...)
		if err != nil {
			t.Fatalf("%v: %d, %v\n%s", args, code, err, out)
		}
		return out
	}
	vae := autoencodertest.Write(t, "sd")
	sizes := []data.Size{{Height: 32, Width: 32}, {Height: 20, Width: 44}, {Height: 44, Width: 20}, {Height: 24, Width: 36}}
	for i := range 11 {
		s := sizes[i%4]
		pixels := make([]byte, 3*s.Height*s.Width)
		for k := range pixels {
			pixels[k] = byte(k*(i+3)/7 + 40*i)
		}
		if err := errors.Join(os.MkdirAll("pictures", 0o777), os.MkdirAll(filepath.Join("alone", fmt.Sprint(i)), 0o777)); err != nil {
			t.Fatal(err)
		}
		datatest.WritePNG(t, filepath.Join("pictures", fmt.Sprintf("%02d.png", i)), pixels, s.Height, s.Width, 3, nil)
		datatest.WritePNG(t, filepath.Join("alone", fmt.Sprint(i), "p.png"), pixels, s.Height, s.Width, 3, nil)
	}
	both := []string{"--vae", vae, "--flip", "--shard", "4", "--batch", "2", "--device", "cpu"}
	said := good(with([]string{"latents", "pictures", "latents", "--size", "32", "--fit", "buckets:8"}, both...)...)
	if !strings.Contains(said, "3 buckets") || !strings.Contains(said, "latents of 11 images in latents: 3 shapes of about 16×16×4") {
		t.Error(said)
	}
	d, err := data.Open("latents:latents", data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for i := range d.Len() {
		e := data.NewExample(d)
		size, err := e.ReadShaped(d, i)
		if err != nil {
			t.Fatal(err)
		}
		out := fmt.Sprint("latent", i)
		good(with([]string{"latents", filepath.Join("alone", fmt.Sprint(i)), out, "--size", data.Size{Height: 2 * size.Height, Width: 2 * size.Width}.String()}, both...)...)
		alone, err := data.Open("latents:"+out, data.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e.Mirror = range []bool{false, true} {
			one := data.NewExample(alone)
			one.Mirror = e.Mirror
			if err := alone.Read(0, one); err != nil {
				t.Fatal(err)
			}
			if err := d.Read(i, e); err != nil || !slices.Equal(e.Floats, one.Floats) {
				t.Errorf("latent %d of %v, mirrored %v, is another than alone: %v", i, size, e.Mirror, err)
			}
		}
		alone.Close()
	}

	run := func(out string, images int) string {
		return good("train", "--data", "latents:latents", "--preset", "micro", "--batch", "2", "--threads", "1", "--flip", "--sample-count", "5", "--sample-steps", "1", "--checkpoint-every", "8",
			"--eval-every", "8", "--eval-count", "4", "--eval-metrics", "fd", "--eval-steps", "1", "--images", fmt.Sprint(images), "--lr-schedule", "constant", "--decay", "0", "--out", out)
	}
	said = run("whole", 16)
	if !strings.Contains(said, "samples 0 to 3 by euler in 1 steps in ") || !strings.Contains(said, "decoded latents of latents:latents, of 3 shapes of about 32×32×3") {
		t.Error(said)
	}
	run("stopped", 8)
	run("stopped", 16)
	weights := func(run string) string {
		text, err := os.ReadFile(filepath.Join(run, "checkpoints", "16", "unet", "diffusion_pytorch_model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if weights("whole") != weights("stopped") {
		t.Error("a run that was stopped has other weights")
	}
	if p, err := data.InspectPNG(filepath.Join("whole", "samples", "000000016.png")); err != nil || p.Text[data.ScaleText] == "" {
		t.Errorf("the grid: %+v, %v", p, err)
	}

	good("latents", "latents:latents", "decoded", "--decode", "--device", "cpu")
	for i := range d.Len() {
		p, err := data.InspectPNG(filepath.Join("decoded", fmt.Sprintf("%06d.png", i)))
		if s := data.SizeOf(d, i); err != nil || p.Height != 2*s.Height || p.Width != 2*s.Width {
			t.Errorf("picture %d of a latent of %v: %+v, %v", i, s, p, err)
		}
	}
	// A sample is made of each latent, and of each picture of a bucket file, in its shape, as it is where all have that.
	good("data", "pack", "pictures", "pictures.npz", "--size", "32", "--fit", "buckets:8")
	sample := func(out, set string, args ...string) {
		good(with([]string{"sample", "--model", "whole", "--out", out, "--init", set, "--strength", "0.5", "--steps", "2", "--threads", "1"}, args...)...)
	}
	sample("oflatents", "latents:latents")
	sample("offile", "pictures.npz")
	for k, s := range data.BucketsOf(d).Sizes {
		image := data.Size{Height: 2 * s.Height, Width: 2 * s.Width}.String()
		one := fmt.Sprint("latents", image)
		good(with([]string{"latents", "pictures", one, "--size", image}, both...)...)
		sample("of"+one, "latents:"+one, "--size", image, "--batch", "3")
		sample("of"+image, "pictures.npz", "--size", image)
		if data.BucketsOf(d).Images(k) == 0 {
			t.Errorf("no image is of %v", s)
		}
		for i := range d.Len() {
			if name := fmt.Sprintf("%06d.png", i); data.SizeOf(d, i) == s {
				samePixels(t, "of a latent", filepath.Join("oflatents", fmt.Sprintf("%02d.png", i)), filepath.Join("of"+one, fmt.Sprintf("%02d.png", i)))
				sameFile(t, "of a picture", filepath.Join("offile", name), filepath.Join("of"+image, name))
			}
		}
	}

	good("latents", "pictures", "fine", "--vae", vae, "--fit", "buckets:4", "--size", "32")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"latents", "latents:latents", "decoded.npz", "--decode"}, exitUsage, "want a folder for OUT"},
		{[]string{"sample", "--model", "whole", "--init", "latents:latents", "--strength", "0.5", "--size", "32", "--out", "none"}, exitInput, "keeps 3 shapes in float32 of 4 channels, which are taken as they are; want no --size and --channels"},
		{[]string{"train", "--data", "latents:latents", "--size", "16", "--dry-run"}, exitInput, "keeps 3 shapes in float32"},
		{[]string{"train", "--data", "latents:latents", "--fit", "pad", "--dry-run"}, exitInput, "fit pad is how they are brought to one"},
		{[]string{"latents", "pictures", "other", "--vae", vae, "--fit", "buckets"}, exitUsage, "want --size"},
		{[]string{"latents", "pictures", "other", "--vae", vae, "--fit", "buckets:1", "--size", "32"}, exitUsage, "a multiple of 2, as in --fit buckets:4"},
		{[]string{"latents", "pictures", "latents", "--vae", vae, "--fit", "buckets:4", "--size", "32", "--flip", "--shard", "4"}, exitFolder, "made otherwise"},
		{[]string{"train", "--data", "latents:latent0", "--fit", "buckets", "--dry-run"}, exitInput, "fluxion latents --fit buckets makes those of several"},
		{[]string{"train", "--data", "latents:fine", "--preset", "tiny", "--batch", "2", "--images", "4", "--out", "none"}, exitUsage, "want it made anew with --fit buckets:"},
		{[]string{"train", "--data", "latents:latents", "--preset", "micro", "--coupling", "ot", "--batch", "2", "--images", "4", "--out", "none"}, exitUsage, "want independent"},
	} {
		if _, code, err := fluxion(t, c.args...); code != c.code || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%v: %d, %v; want %d, %q", c.args, code, err, c.code, c.want)
		}
	}
}
