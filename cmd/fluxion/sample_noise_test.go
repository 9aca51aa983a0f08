package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/data"
)

// TestNoise: images that begin with the noise that was saved are the same, whatever the
// batch, and are not taken for images that begin with other noise.
func TestNoise(t *testing.T) {
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	if _, code, err := fluxion(t, with(tiny, "--images", "8", "--sample-count", "0", "--out", run)...); err != nil {
		t.Fatal(code, err)
	}
	sample := func(out string, more ...string) (string, int, error) {
		return fluxion(t, with([]string{"sample", "--model", run, "--steps", "3", "--out", filepath.Join(dir, out)}, more...)...)
	}
	file := filepath.Join(dir, "noise.npy")
	for i, sampler := range []string{"euler", "ddpm", "rk45"} {
		common := []string{"--sampler", sampler, "--seeds", "2-4", "--guidance", "2"}
		if sampler == "rk45" {
			common = append(common, "--tolerance", "0.1")
		}
		a, b := string(rune('a'+i)), string(rune('k'+i))
		if _, code, err := sample(a, with(common, "--batch", "2", "--save-noise", file)...); err != nil {
			t.Fatal(sampler, code, err)
		}
		if _, code, err := sample(b, with(common, "--batch", "3", "--noise", file)...); err != nil {
			t.Fatal(sampler, code, err)
		}
		drawn, err := os.ReadFile(filepath.Join(dir, a+"-grid.png"))
		given, failed := os.ReadFile(filepath.Join(dir, b+"-grid.png"))
		if err != nil || failed != nil || !bytes.Equal(drawn, given) {
			t.Errorf("%s: the noise that was saved makes other images (%v, %v)", sampler, err, failed)
		}
	}
	// Another image takes the row of its place in the list, and says that its noise is another.
	if text, code, err := sample("k", "--seeds", "2-4", "--guidance", "2", "--sampler", "euler"); code != exitFolder || err == nil || !strings.Contains(err.Error(), "noise was") {
		t.Errorf("pictures of given noise are taken for others: %d, %v\n%s", code, err, text)
	}
	first, code, err := sample("row.npz", "--seeds", "3", "--noise", file)
	if err != nil {
		t.Fatal(code, err, first)
	}
	d, err := data.Open(file, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if h, w, c := d.Shape(); d.Len() != 3 || d.Kind() != data.Floats || h != 8 || w != 8 || c != 3 {
		t.Errorf("the noise is %d of %d×%d×%d", d.Len(), h, w, c)
	}
	write := func(name string, shape []int, values ...float32) string {
		var b bytes.Buffer
		if err := data.WriteNPY(&b, data.Array{Shape: shape, Floats: values}); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		flags []string
		code  int
		want  string
	}{
		"too few":         {[]string{"--count", "4", "--noise", file}, exitInput, "holds noise for 3 images, want 4"},
		"of another size": {[]string{"--count", "1", "--noise", write("size.npy", []int{1, 2, 2, 3}, make([]float32, 12)...)}, exitInput, "the model's images are 8×8×3"},
		"no array":        {[]string{"--count", "1", "--noise", filepath.Join(run, "config.json")}, exitUsage, "want a file FILE.npy"},
		"nothing":         {[]string{"--count", "1", "--noise", filepath.Join(dir, "none.npy")}, exitInput, "none.npy"},
		"saved as npz":    {[]string{"--count", "1", "--save-noise", "x.npz"}, exitUsage, "ends with .npy"},
		"with a picture":  {[]string{"--count", "1", "--noise", file, "--init", "x.png", "--strength", "0.5"}, exitUsage, "--noise and --init"},
	} {
		if _, code, err := sample("refused", c.flags...); err == nil || code != c.code || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: exit %d, %v; want %d, %s", name, code, err, c.code, c.want)
		}
	}
}
