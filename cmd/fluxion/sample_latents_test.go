package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/model"
	"fluxion/kernels/philox"
	"fluxion/nets/autoencoder/autoencodertest"
)

// maskAtLatents is torch.nn.functional.interpolate of a mask of 20×28 pixels to latents of
// 10×14, as diffusers' inpainting calls it: the mask is (7y+3x) mod 11 / 10, 1 from 0.5 on.
var maskAtLatents = []string{
	"01010101011010", "01011010101010", "10101010110101", "10110101010101", "01010101101010",
	"01101010101011", "10101011010101", "11010101010110", "01010110101010", "10101010101101",
}

// TestPictureEncoder: a picture that is given to a model of latents is a sample of the posterior
// that diffusers finds, as a denoiser has it, and the mask is that of diffusers.
func TestPictureEncoder(t *testing.T) {
	m, want := autoencodertest.Read(t, "sd"), autoencodertest.Recorded(t, "sd")
	j := job{encodes: m, model: &model.Model{}, size: [3]int{10, 14, 4}, seen: [3]int{20, 28, 3}}
	j.picture = &generate.Picture{Values: autoencodertest.Numbers("image", 2*20*28*3)[20*28*3:], Mask: make([]float32, 20*28*3)}
	for i := range j.picture.Mask {
		y, x := i/3/28, i/3%28
		j.picture.Mask[i] = float32((y*7+x*3)%11) / 10
	}
	dev, err := device.Open("cpu", 1)
	if err != nil {
		t.Fatal(err)
	}
	o := &sampleOptions{seed: 5}
	encoder, err := o.pictureEncoder(dev, j)
	if err != nil {
		t.Fatal(err)
	}
	got, err := encoder.picture(j)
	if err != nil || encoder.close() != nil {
		t.Fatal(err)
	}
	n := len(got.Values)
	xi := make([]float32, n)
	philox.Normal(xi, 5, philox.Posterior, 0, 0)
	var off, largest float64
	for k, x := range got.Values {
		z := (float64(want["mean"].Values[n+k]) + math.Exp(float64(want["logvar"].Values[n+k])/2)*float64(xi[k])) * 0.18215
		off, largest = max(off, math.Abs(float64(x)-z)), max(largest, math.Abs(z))
		if bit := maskAtLatents[k/4/14][k/4%14]; got.Mask[k] != float32(bit-'0') {
			t.Fatalf("the mask is %g at value %d, want %c", got.Mask[k], k, bit)
		}
	}
	if !(off <= 1e-5*largest) {
		t.Errorf("the latent is off by %g of %g", off, largest)
	}
}

// TestSampleFromPictures: pictures are encoded for models of latents; what a mask keeps is the
// picture's own latent; sets may be of pictures or of latents.
func TestSampleFromPictures(t *testing.T) {
	latents, run := latentRun(t)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, value := range map[string]byte{"white.png": 255, "black.png": 0} {
		pixels := make([]byte, 16*16)
		for i := range pixels {
			pixels[i] = value
		}
		datatest.WritePNG(t, in(name), pixels, 16, 16, 1, nil)
	}
	pixels := make([]byte, 16*16*3)
	for i := range pixels {
		pixels[i] = byte(i * 7)
	}
	if err := os.MkdirAll(in("set"), 0o777); err != nil {
		t.Fatal(err)
	}
	datatest.WritePNG(t, in("set/one.png"), pixels, 16, 16, 3, nil)
	sample := []string{"sample", "--model", run, "--steps", "4", "--precision", "fp32", "--device", "cpu"}
	z := func(name string, flags ...string) []float32 {
		t.Helper()
		done(t, with(with(sample, "--latent", "--out", in(name)), flags...)...)
		return floatsOf(t, in(name), "images")
	}
	kept := z("kept.npz", "--count", "1", "--init", in("set/one.png"), "--mask", in("black.png"))
	// The same latent, as fluxion latents has it: mean + deviation ξ.
	done(t, "latents", in("set"), in("encoded"), "--vae", latents, "--device", "cpu")
	d, err := data.Open("latents:"+in("encoded"), data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	e := data.NewExample(d)
	e.Draw = func(_ int64, to []float32) { philox.Normal(to, 0, philox.Posterior, 0, 0) }
	if err := d.Read(0, e); err != nil {
		t.Fatal(err)
	}
	if off, largest := apart(kept, e.Floats); !(off <= 1e-6*largest) {
		t.Errorf("what is kept is off by %g of %g from the picture's latent", off, largest)
	}
	free := z("free.npz", "--count", "1", "--init", in("set/one.png"), "--mask", in("white.png"))
	if off, _ := apart(free, kept); off < 0.1 {
		t.Error("what is made anew is the picture")
	}
	// A picture, a set of it, and a set of latents: the last without the sample of the posterior.
	one := z("one.npz", "--count", "1", "--init", in("set/one.png"), "--strength", "0.5")
	set := z("set.npz", "--init", in("set"), "--strength", "0.5")
	if off, largest := apart(one, set); !(off <= 1e-5*largest) {
		t.Errorf("image to image of a set is off by %g of %g from that of its picture", off, largest)
	}
	mean := z("mean.npz", "--init", "latents:"+in("encoded"), "--strength", "0.5")
	if off, largest := apart(mean, one); off == 0 || !(off <= largest) || len(mean) != len(one) {
		t.Errorf("image to image of latents is off by %g of %g", off, largest)
	}
	done(t, with(sample, "--out", in("pictures"), "--init", in("set"), "--strength", "0.5")...)
	if p, err := data.InspectPNG(in("pictures/one.png")); err != nil || p.Height != 16 || p.Channels != 3 {
		t.Errorf("%+v, %v", p, err)
	}
	back := z("back.npz", "--init", in("set"), "--from", run, "--sampler", "heun")
	if off, largest := apart(back, kept); !(off <= 0.5*largest) {
		t.Errorf("an image taken to noise and back is off by %g of %g", off, largest)
	}
	images, pictured := in("images"), in("pictured")
	done(t, with(tinyLatents, "--data", in("set"), "--size", "16", "--out", pictured)...)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{with(sample, "--out", images, "--init", in("set"), "--from", pictured), exitInput, "are not those of"},
		{with(sample, "--out", images, "--count", "1", "--init", in("none.png"), "--strength", "0.5"), exitInput, "none.png"},
		{with(sample, "--out", images, "--count", "1", "--init", in("kept.npz"), "--mask", in("black.png")), exitUsage, "--mask is of one picture"},
	} {
		if _, code, err := fluxion(t, c.args...); code != c.code || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%v: %d, %v; want %d and %q", c.args, code, err, c.code, c.want)
		}
	}
}
