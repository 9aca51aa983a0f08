package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
	"fluxion/data/durable"
	"fluxion/nets/autoencoder/autoencodertest"
	"fluxion/nets/safetensors"
)

// array writes numbers of a shape as the images of a .npz.
func array(t *testing.T, path string, values []float32, shape ...int) string {
	t.Helper()
	err := durable.Disk{}.Write(path, func(w io.Writer) error {
		return data.WriteNPZ(w, data.Array{Name: "images", Shape: shape, Floats: values})
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// floatsOf is an array of a .npz.
func floatsOf(t *testing.T, path, name string) []float32 {
	t.Helper()
	_, values, there, err := data.ReadNPZFloats(path, name, 1<<20)
	if err != nil || !there {
		t.Fatalf("%s of %s: %v", name, path, err)
	}
	return values
}

// apart is the largest difference of values, and of those of the second to 0.
func apart(a, b []float32) (off, largest float64) {
	for i, x := range a {
		off, largest = max(off, math.Abs(float64(x)-float64(b[i]))), max(largest, math.Abs(float64(b[i])))
	}
	return off, largest
}

// TestLatents: what is cached and decoded is what diffusers makes of the same images and latents;
// in parts, again after a loss, and only with the same settings.
func TestLatents(t *testing.T) {
	dir := t.TempDir()
	vae, want := autoencodertest.Write(t, "sd"), autoencodertest.Recorded(t, "sd")
	shape := want["image_of_z"].Shape
	pictures := array(t, filepath.Join(dir, "pictures.npz"), autoencodertest.Numbers("image", len(want["image_of_z"].Values)), shape...)
	out := filepath.Join(dir, "latents")
	make := []string{"latents", pictures, out, "--vae", vae, "--range", "-1,1", "--shard", "1", "--flip", "--device", "cpu"}
	good := func(args ...string) string {
		t.Helper()
		out, code, err := fluxion(t, args...)
		if err != nil {
			t.Fatalf("%v: %d, %v", args, code, err)
		}
		return out
	}
	if said := good(with(make, "--part", "2/2")...); !strings.Contains(said, "other parts are to make 1 more of the 2 files") {
		t.Error(said)
	}
	if _, code, err := fluxion(t, with(tiny, "--data", "latents:"+out, "--out", filepath.Join(dir, "run"))...); code != exitInput || !strings.Contains(fmt.Sprint(err), "lacks 1 of 2 files") {
		t.Errorf("half the latents: %d, %v", code, err)
	}
	good(make...)
	n := len(want["mean"].Values) / 2
	for i := range 2 {
		path := data.LatentsShard(out, i)
		mean, deviation := floatsOf(t, path, "mean"), floatsOf(t, path, "deviation")
		if off, largest := apart(mean, want["mean"].Values[i*n:][:n]); !(off <= 1e-5*largest) {
			t.Errorf("means are off by %g of %g", off, largest)
		}
		for k, x := range deviation {
			if w := math.Exp(float64(want["logvar"].Values[i*n+k]) / 2); !(math.Abs(float64(x)-w) <= 1e-4*w) {
				t.Errorf("deviation %g, want %g", x, w)
				break
			}
		}
		if off, _ := apart(floatsOf(t, path, "mean_flipped"), mean); off == 0 {
			t.Error("latents of mirrored images are those of the images")
		}
	}
	if said := good(make...); !strings.Contains(said, "latents of 2 images in "+out+": 10×14×4, fp32; 0 made") {
		t.Error(said)
	}
	z := autoencodertest.Numbers("z", 2*n)
	for i := range z {
		z[i] *= 0.18215
	}
	given, images := array(t, filepath.Join(dir, "z.npz"), z, want["mean"].Shape...), filepath.Join(dir, "images.npz")
	good("latents", given, images, "--vae", vae, "--decode", "--device", "cpu")
	if off, largest := apart(floatsOf(t, images, "images"), want["image_of_z"].Values); !(off <= 1e-5*largest) {
		t.Errorf("decoded images are off by %g of %g", off, largest)
	}
	good("latents", "latents:"+out, filepath.Join(dir, "decoded"), "--decode", "--device", "cpu")
	if p, err := data.InspectPNG(filepath.Join(dir, "decoded", "000001.png")); err != nil || p.Height != 20 || p.Width != 28 {
		t.Errorf("%+v, %v", p, err)
	}
	good("latents", "latents:"+out, filepath.Join(dir, "decoded"), "--decode", "--device", "cpu") // again
	mine := filepath.Join(dir, "mine", "000000.png")
	if err := os.MkdirAll(filepath.Dir(mine), 0o777); err != nil {
		t.Fatal(err)
	}
	datatest.WritePNG(t, mine, []byte{1, 2, 3}, 1, 1, 3, nil)
	for _, args := range [][]string{{"latents:" + out, filepath.Dir(mine), "--decode"}, {pictures, filepath.Dir(mine), "--vae", vae, "--range", "-1,1"}, {"latents:" + out, out, "--decode"}} {
		if _, code, err := fluxion(t, append([]string{"latents", "--device", "cpu"}, args...)...); code != exitUsage || !strings.Contains(fmt.Sprint(err), "was not made by this command") {
			t.Errorf("%v: into a folder with something else: %d, %v", args, code, err)
		}
	}
	flux := autoencodertest.Write(t, "flux")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{with(make, "--type", "bf16"), exitFolder, "holds latents that were made otherwise: type was fp32, now bf16; give"},
		{with(make, "--vae", flux), exitFolder, "latents was [10 14 4], now [10 14 16]; the autoencoder " + flux + " is another than " + vae + " was"},
		{with(make, "--tile", "16"), exitFolder, "tile was 0, now 16"},
		{with(make, "--tile", "12"), exitUsage, "--tile: tiles of 12 pixels; want a multiple of 8"},
		{with(make, "--vae", ""), exitUsage, "--vae is needed"},
		{with(make, "--vae", dir), exitInput, "want the folder of an AutoencoderKL"},
		{with(make, "--part", "3/2"), exitUsage, "want I/N"},
		{[]string{"latents", given, out, "--vae", vae}, exitInput, "not pictures"},
		{[]string{"latents", "glyphs", out, "--vae", vae, "--size", "15"}, exitUsage, "cannot be halved 1 times as the autoencoder does; want multiples of 2, by --size"},
		{[]string{"latents", pictures}, exitUsage, "takes DATA and OUT"},
		{[]string{"latents", given, images, "--decode"}, exitUsage, "--vae is needed to decode"},
		{[]string{"latents", given, images, "--decode", "--vae", flux}, exitInput, "has latents of 10×14×4, and " + flux + " decodes those of 16 channels"},
		{[]string{"latents", "glyphs", images, "--decode", "--vae", flux}, exitInput, "holds pictures, not latents"},
		{[]string{"latents", "latents:" + out, images, "--decode", "--part", "1/2"}, exitUsage, "--part is of images that are encoded; leave it out of --decode"},
		{[]string{"latents", "latents:" + out, images, "--decode", "--flip"}, exitUsage, "--flip is of images that are encoded"},
		{[]string{"latents", "latents:" + out, images, "--decode", "--type", "fp16"}, exitUsage, "--type is of images that are encoded"},
		{[]string{"data", "pack", "latents:" + out, filepath.Join(dir, "packed.npz")}, exitUsage, "would keep neither deviations nor the autoencoder in " + filepath.Join(out, "vae")},
	} {
		if _, code, err := fluxion(t, c.args...); code != c.code || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%v: %d, %v; want %d and %q", c.args, code, err, c.code, c.want)
		}
	}
	if err := os.Truncate(data.LatentsShard(out, 0), 1000); err != nil {
		t.Fatal(err)
	}
	if _, code, err := fluxion(t, make...); code != exitInput || !strings.Contains(fmt.Sprint(err), "without that file, the same command makes it anew") {
		t.Errorf("half a file: %d, %v", code, err)
	}
	if err := os.Remove(data.LatentsShard(out, 0)); err != nil {
		t.Fatal(err)
	}
	if said := good(make...); !strings.Contains(said, "1 made") {
		t.Error(said)
	}
}

// TestLatentsOfFolder: classes and names are those of the set.
func TestLatentsOfFolder(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"cat/a.png", "cat/b.png", "dog/c.png"} {
		pixels := make([]byte, 8*8*3)
		for k := range pixels {
			pixels[k] = byte(k * (i + 3))
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, "set", name)), 0o777); err != nil {
			t.Fatal(err)
		}
		datatest.WritePNG(t, filepath.Join(dir, "set", name), pixels, 8, 8, 3, nil)
	}
	out := filepath.Join(dir, "latents")
	if _, code, err := fluxion(t, "latents", filepath.Join(dir, "set"), out, "--vae", autoencodertest.Write(t, "flux"), "--type", "fp16", "--device", "cpu"); err != nil {
		t.Fatal(code, err)
	}
	d, err := data.Open("latents:"+out, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	e := data.NewExample(d)
	if err := d.Read(2, e); err != nil || fmt.Sprint(d.Classes()) != "[cat dog]" || e.Class != 1 || !strings.HasSuffix(data.NameOf(d, 2), "dog/c.png") {
		t.Errorf("%v, classes %v, class %d, name %s", err, d.Classes(), e.Class, data.NameOf(d, 2))
	}
	// A broken picture ends it, or is left out, in every part alike.
	if err := os.WriteFile(filepath.Join(dir, "set", "cat", "aa.png"), []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	some := []string{"latents", filepath.Join(dir, "set"), filepath.Join(dir, "some"), "--vae", autoencodertest.Write(t, "flux"), "--size", "8", "--device", "cpu"}
	if _, code, err := fluxion(t, some...); code != exitInput || !strings.Contains(fmt.Sprint(err), "aa.png") {
		t.Errorf("a broken picture: %d, %v", code, err)
	}
	some = with(some, "--shard", "1") // nothing was made, which asks for no other folder
	for _, part := range []string{"1/2", "2/2"} {
		if said, code, err := fluxion(t, with(some, "--skip-broken", "--part", part)...); err != nil || !strings.Contains(said, "aa.png cannot be read and is left out") {
			t.Error(code, err, said)
		}
	}
	rest, err := data.Open("latents:"+filepath.Join(dir, "some"), data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer rest.Close()
	if rest.Len() != 3 || !strings.HasSuffix(data.NameOf(rest, 1), "cat/b.png") || rest.Read(2, e) != nil || e.Class != 1 {
		t.Errorf("%d latents, the second of %s, the last of class %d", rest.Len(), data.NameOf(rest, 1), e.Class)
	}
	if l, at := data.LatentsOf(d); at != out || l.Channels != 16 || l.Shift[3] != 0.1159 || l.Scale[3] != 0.3611 {
		t.Errorf("%+v in %s", l, at)
	}
}

// TestTrainOnLatents: a model of latents is sampled as pictures, or as its latents; what convert
// makes of it keeps the autoencoder; others than its own latents are refused.
func TestTrainOnLatents(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	pictures := array(t, in("pictures.npz"), autoencodertest.Numbers("image", 6*16*16*3), 6, 16, 16, 3)
	good := func(args ...string) string {
		t.Helper()
		out, code, err := fluxion(t, args...)
		if err != nil {
			t.Fatalf("%v: %d, %v", args, code, err)
		}
		return out
	}
	for _, vae := range []string{"sd", "grey"} {
		set := pictures
		if vae == "grey" {
			set = array(t, in("grey.npz"), autoencodertest.Numbers("image", 6*16*16), 6, 16, 16, 1)
		}
		good("latents", set, in(vae), "--vae", autoencodertest.Write(t, vae), "--range", "-1,1", "--device", "cpu", "--flip")
	}
	train := []string{"train", "--preset", "micro", "--batch", "2", "--images", "8", "--threads", "1", "--precision", "fp32", "--flip", "--data"}
	all := events(t, good(with(train, "latents:"+in("sd"), "--out", in("run"), "--sample-count", "4", "--sample-every", "8", "--sample-steps", "2", "--json")...))
	grid := ""
	for _, e := range all {
		if e["event"] == "samples" {
			grid = e["path"].(string)
		}
	}
	if p, err := data.InspectPNG(grid); err != nil || p.Height != 6*(16+4) { // a pixel is a square of six
		t.Errorf("the grid %s is %+v, %v", grid, p, err)
	}
	sample := []string{"sample", "--model", in("run"), "--count", "3", "--steps", "2", "--precision", "fp32", "--device", "cpu"}
	good(with(sample, "--out", in("out"))...)
	good(with(sample, "--out", in("z.npz"), "--latent")...)
	good(with(sample, "--out", in("x.npz"))...)
	good("latents", in("z.npz"), in("again.npz"), "--decode", "--vae", in("sd"), "--device", "cpu")
	if x, again := floatsOf(t, in("x.npz"), "images"), floatsOf(t, in("again.npz"), "images"); len(x) != 3*16*16*3 {
		t.Errorf("%d values are decoded", len(x))
	} else if off, largest := apart(x, again); !(off <= 1e-6*largest) {
		t.Errorf("samples are off by %g of %g from their decoded latents", off, largest)
	}
	if p, err := data.InspectPNG(filepath.Join(in("out"), "000002.png")); err != nil || p.Height != 16 || p.Channels != 3 {
		t.Errorf("%+v, %v", p, err)
	}
	good("convert", in("run"), in("pipeline"))
	good("sample", "--model", in("pipeline"), "--count", "3", "--steps", "2", "--precision", "fp32", "--device", "cpu", "--out", in("out2"))
	same := func(a, b string) {
		t.Helper()
		one, _, _, _, err1 := data.ReadPNG(a)
		two, _, _, _, err2 := data.ReadPNG(b)
		if err1 != nil || err2 != nil || string(one) != string(two) {
			t.Errorf("%s and %s differ: %v, %v", a, b, err1, err2)
		}
	}
	same(filepath.Join(in("out"), "000001.png"), filepath.Join(in("out2"), "000001.png"))
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{with(sample, "--out", in("folder"), "--latent"), exitUsage, "--latent: want --out FILE.npz"},
		{with(train, "latents:"+in("grey"), "--out", in("run")), exitFolder, "shape of images was 8×8×4, now 8×8×3"},
		{with(train, "latents:"+in("sd"), "--out", in("other"), "--augment", "edm:p=0.1"), exitUsage, "latents would be transformed"},
		{with(train, pictures, "--out", in("other"), "--posterior", "mean"), exitUsage, "posterior: mean"},
	} {
		if _, code, err := fluxion(t, c.args...); code != c.code || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%v: %d, %v; want %d and %q", c.args, code, err, c.code, c.want)
		}
	}
	// Another autoencoder of the same shape.
	other := autoencodertest.Read(t, "sd")
	other.Flat[0]++
	for vae, code := range map[string]int{in("sd"): 0, t.TempDir(): exitUsage} {
		if code != 0 {
			if err := other.Write(vae, safetensors.F32); err != nil {
				t.Fatal(err)
			}
			good("latents", pictures, in("others"), "--vae", vae, "--range", "-1,1", "--device", "cpu", "--flip")
		}
		from := map[int]string{0: in("sd"), exitUsage: in("others")}[code]
		_, got, err := fluxion(t, with(train, "latents:"+from, "--init", in("run"), "--out", filepath.Join(t.TempDir(), "tuned"))...)
		if got != code || code != 0 && !strings.Contains(fmt.Sprint(err), "makes latents of another autoencoder") {
			t.Errorf("--init with latents of %s: %d, %v", from, got, err)
		}
	}
	if err := os.RemoveAll(filepath.Join(in("others"), data.AutoencoderDir)); err != nil {
		t.Fatal(err)
	}
	if _, code, err := fluxion(t, with(train, "latents:"+in("others"), "--out", in("lost"))...); code != exitInput || err == nil {
		t.Errorf("latents without their autoencoder: %d, %v", code, err)
	}
}

// TestLatentsScaling: latents that are scaled as EDM2's are say so, and their autoencoder decodes
// them to the same images.
func TestLatentsScaling(t *testing.T) {
	dir := t.TempDir()
	vae, want := autoencodertest.Write(t, "sd"), autoencodertest.Recorded(t, "sd")
	pictures := array(t, filepath.Join(dir, "pictures.npz"), autoencodertest.Numbers("image", len(want["image_of_z"].Values)), want["image_of_z"].Shape...)
	var decoded [2][]float32
	for i, scaling := range [][]string{nil, {"--scaling", "edm2"}} {
		out := filepath.Join(dir, fmt.Sprint("latents", i))
		done(t, with([]string{"latents", pictures, out, "--vae", vae, "--range", "-1,1", "--device", "cpu"}, scaling...)...)
		images := filepath.Join(dir, fmt.Sprint(i, ".npz"))
		done(t, "latents", "latents:"+out, images, "--decode", "--device", "cpu")
		decoded[i] = floatsOf(t, images, "images")
	}
	l, err := data.ReadLatents(filepath.Join(dir, "latents1"))
	if err != nil {
		t.Fatal(err)
	}
	if l.Shift[0] != 5.81 || l.Scale[3] != 0.5/3.28 {
		t.Errorf("latents are (x − %v)·%v", l.Shift, l.Scale)
	}
	if off, largest := apart(decoded[1], decoded[0]); !(off <= 1e-5*largest) {
		t.Errorf("decoded they are off by %g of %g", off, largest)
	}
	text, err := os.ReadFile(filepath.Join(dir, "latents1", "vae", "config.json"))
	if err != nil || !strings.Contains(string(text), `"latents_std"`) {
		t.Errorf("its config.json: %s, %v", text, err)
	}
	for scaling, want := range map[string]string{"edm": "has no deviations", "1,2/3,4": "latents_mean: has 2 numbers"} {
		_, code, err := fluxion(t, "latents", pictures, filepath.Join(dir, "none"), "--vae", vae, "--scaling", scaling)
		if code != exitUsage || err == nil || strings.Contains(err.Error(), "\n") || scaling != "edm" && !strings.Contains(err.Error(), want) {
			t.Errorf("--scaling %s: %d, %v", scaling, code, err)
		}
	}
}
