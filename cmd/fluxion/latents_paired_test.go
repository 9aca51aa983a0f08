package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/nets/autoencoder/autoencodertest"
)

// latentPairs encodes pairs of pictures, six of 16×16, of which one input is broken.
func latentPairs(t *testing.T, in func(string) string) {
	t.Helper()
	a, b := pictureFolder(t, in("a"), 8, 1, 4, 0, "cat", "dog"), pictureFolder(t, in("b"), 16, 3, 4, 9, "cat", "dog")
	if err := os.WriteFile(filepath.Join(a, "dog", "p1.png"), []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	said, code, err := fluxion(t, "latents", "paired:"+a+","+b, in("pairs"), "--vae", autoencodertest.Write(t, "sd"), "--flip", "--shard", "4", "--device", "cpu", "--skip-broken")
	next := "train --data paired:latents:" + in("pairs/inputs") + ",latents:" + in("pairs/images")
	if err != nil || strings.Count(said, "latents of 7 images") != 2 || !strings.Contains(said, "p1.png cannot be read and is left out") || !strings.Contains(said, next) {
		t.Fatalf("%d, %v\n%s", code, err, said)
	}
}

// TestPairedLatents: latents of pairs are trained on in both ways of image to image; samples of
// pictures are decoded, and those of the latents of these are the same; a run goes on to the bit.
func TestPairedLatents(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	latentPairs(t, in)
	small := []string{"train", "--preset", "micro", "--batch", "4", "--sample-count", "0", "--threads", "1"}
	pairs := "paired:latents:" + in("pairs/inputs") + ",latents:" + in("pairs/images")
	good := func(args ...string) string {
		t.Helper()
		out, code, err := fluxion(t, args...)
		if err != nil {
			t.Fatalf("%v: %d, %v", args, code, err)
		}
		return out
	}
	for way, flags := range map[string][]string{
		"concat": {"--sample-count", "2", "--sample-every", "8", "--sample-steps", "2"},
		"bridge": {"--sample-count", "2", "--sample-every", "8", "--source", "data", "--schedule", "i2sb", "--output-kind", "i2sb", "--bridge", "brownian:sigma=0.376"},
	} {
		run := in(way)
		train := with(with(small, "--data", pairs, "--flip"), flags...)
		train = with(train, "--out", run)
		good(with(train, "--images", "8")...)
		if p, err := data.InspectPNG(filepath.Join(run, "samples", "000000008.png")); err != nil || p.Channels != 3 || p.Height != 6*(16+4) || p.Width != 6*(6*(16+2)+2) { // a pixel is a square of six
			t.Errorf("%s: a grid of %+v, %v; want two inputs, samples and images side by side", way, p, err)
		}
		sample := []string{"sample", "--model", run, "--steps", "2", "--precision", "fp32", "--device", "cpu"}
		good(with(sample, "--input", in("b"), "--seeds", "0-3", "--out", in(way+"-of-b"))...)
		good(with(sample, "--input", "latents:"+in("pairs/images"), "--seeds", "0-3", "--out", in(way+"-of-latents"))...)
		off := 0
		for name, file := range tree(t, in(way+"-of-latents")) {
			one, _, _, _, err1 := data.ReadPNG(filepath.Join(in(way+"-of-latents"), name))
			two, height, width, channels, err2 := data.ReadPNG(filepath.Join(in(way+"-of-b"), name))
			if err1 != nil || err2 != nil || file == "" || height != 16 || width != 16 || channels != 3 {
				t.Fatalf("%s: %s: %v, %v", way, name, err1, err2)
			}
			for k, x := range one {
				off = max(off, int(x)-int(two[k]), int(two[k])-int(x))
			}
		}
		if off > 1 {
			t.Errorf("%s: pictures of latents are off by %d from those of the pictures", way, off)
		}
		good(with(sample, "--input", in("b"), "--latent", "--count", "3", "--out", in(way+".npz"))...)
		if z := floatsOf(t, in(way+".npz"), "images"); len(z) != 3*8*8*4 {
			t.Errorf("%s: %d values of latents", way, len(z))
		}
		good("eval", run, "paired:"+in("b")+","+in("b"), "--count", "4", "--metrics", "fd", "--network", "glyph", "--steps", "1", "--size", "16")
	}
	// A run that is stopped goes on to the bit.
	whole := in("bridge/checkpoints/8/unet/diffusion_pytorch_model.safetensors")
	want, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	settings := in("bridge/config.json")
	for _, images := range []string{"4", "8"} {
		good("train", "--config", settings, "--images", images, "--out", in("again"))
	}
	if got, err := os.ReadFile(strings.Replace(whole, "bridge", "again", 1)); err != nil || string(got) != string(want) {
		t.Errorf("weights of a run that went on are others: %v", err)
	}
	good("latents", in("b"), in("other"), "--vae", autoencodertest.Write(t, "flux"), "--device", "cpu")
	good("latents", in("b"), in("plain"), "--vae", autoencodertest.Write(t, "sd"), "--device", "cpu")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{with(small, "--data", "paired:"+in("a")+",latents:"+in("pairs/images"), "--out", in("x")), exitInput, "is of latents and of images; want latents of both"},
		{with(small, "--data", "paired:latents:"+in("other")+",latents:"+in("pairs/images"), "--out", in("x")), exitInput, "holds latents of another autoencoder than latents:"},
		{with(small, "--data", "paired:latents:"+in("plain")+",latents:"+in("pairs/images"), "--out", in("x")), exitInput, "has 1 image with no counterpart there: dog/p1.png"},
		{with(small, "--data", "unpaired:latents:"+in("plain")+",latents:"+in("pairs/images"), "--flip", "--source", "data", "--out", in("x")), exitUsage, "holds no latents of mirrored images"},
		{[]string{"sample", "--model", in("concat"), "--input", "latents:" + in("other"), "--out", in("x")}, exitUsage, "has images of 8×8×16, want 16×16×3"},
		{[]string{"sample", "--model", in("concat"), "--out", in("x")}, exitUsage, "either --count N or --seeds"},
		{[]string{"sample", "--model", in("concat"), "--count", "2", "--out", in("x")}, exitUsage, "want --input"},
		{[]string{"latents", "paired:" + in("a") + "," + in("b"), in("plain"), "--vae", in("plain/vae")}, exitUsage, "was not made by this command"},
	} {
		if _, code, err := fluxion(t, c.args...); code != c.code || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%v: %d, %v; want %d and %q", c.args, code, err, c.code, c.want)
		}
	}
}
