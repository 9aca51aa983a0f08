package data

import (
	"fmt"
	"image/color"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// runFolder are the files of a run, as train leaves them.
func runFolder(t *testing.T, at string) map[string][]byte {
	grid := encoded(t, "png", 3, 3, color.RGBA{1, 2, 3, 255})
	return map[string][]byte{
		path.Join(at, "config.json"):                           []byte(`{"data": ".", "preset": "micro", "seed": 0}`),
		path.Join(at, "log.txt"):                               nil,
		path.Join(at, "samples/000000400.png"):                 grid,
		path.Join(at, "checkpoints/400/model_index.json"):      []byte("{}"),
		path.Join(at, "checkpoints/400/preview/000000400.png"): grid,
	}
}

// samples are the files of sample --out.
func samples(t *testing.T, out string, n int) map[string][]byte {
	files := map[string][]byte{out + "-grid.png": encoded(t, "png", 3, 3, color.White)}
	for i := range n {
		file, err := EncodePNG(make([]byte, 27), 3, 3, 3, map[string]string{"seed": fmt.Sprint(i), "key": "0", "sampler": "euler"})
		if err != nil {
			t.Fatal(err)
		}
		files[fmt.Sprintf("%s/%06d.png", out, i)] = file
	}
	return files
}

// TestOwnPictures: what this program made among the pictures is not data, in
// folders and zips, nested too, and the set is the same before and after.
func TestOwnPictures(t *testing.T) {
	numbered := encoded(t, "png", 3, 3, color.RGBA{200, 10, 10, 255})
	pictures := map[string][]byte{
		"apple/1.png": numbered, "apple/000001.png": numbered, "banana/000001.png": numbered, "banana/000002.png": numbered, "config.json": []byte("{}"), "log.txt": nil,
	}
	before := setOf(t, pictures)
	ours := map[string][]byte{}
	for _, m := range []map[string][]byte{
		runFolder(t, "runs/pics-micro"), runFolder(t, "apple/run"), samples(t, "out", 3), samples(t, "banana/out", 2), samples(t, "apple", 0), samples(t, "deep/er/out", 100),
	} {
		maps.Copy(ours, m)
	}
	delete(ours, "apple-grid.png") // beside a folder without samples it would be a picture
	mixed := samples(t, "banana", 9)
	ours["banana/000007.png"] = mixed["banana/000007.png"] // sample --out banana
	ours["banana-grid.png"] = mixed["banana-grid.png"]
	maps.Copy(pictures, ours)
	for kind, after := range setOf(t, pictures) {
		if !slices.Equal(after, before[kind]) {
			t.Errorf("%s: %q, before %q", kind, after, before[kind])
		}
	}
}

// setOf opens files as a folder and as a zip, and returns the pictures and classes of both.
func setOf(t *testing.T, all map[string][]byte) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range all {
		write(t, filepath.Join(dir, "set", name), content)
	}
	write(t, filepath.Join(dir, "set.zip"), zipped(t, all))
	sets := map[string][]string{}
	for _, kind := range []string{"set", "set.zip"} {
		d := mustOpen(t, filepath.Join(dir, kind)).(*cache)
		for _, e := range d.Dataset.(*files).entries {
			sets[kind] = append(sets[kind], fmt.Sprintf("%s %d", e.path, e.label))
		}
		sets[kind] = append(sets[kind], d.Classes()...)
	}
	return sets
}

// TestOwnPicturesOnPurpose: samples alone are a set; a run folder is refused, and so is one that holds nothing else.
func TestOwnPicturesOnPurpose(t *testing.T) {
	dir := t.TempDir()
	for name, content := range samples(t, "out", 5) {
		write(t, filepath.Join(dir, name), content)
	}
	if n := mustOpen(t, filepath.Join(dir, "out")).Len(); n != 5 {
		t.Errorf("%d samples, want 5", n)
	}
	for name, content := range runFolder(t, "runs/a") {
		write(t, filepath.Join(dir, name), content)
	}
	for spec, want := range map[string]string{"runs/a": "is a run folder of Fluxion", "runs": "holds no pictures"} {
		if _, err := Open(filepath.Join(dir, spec), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", spec, err, want)
		}
	}
	if n := mustOpen(t, filepath.Join(dir, "runs/a/samples")).Len(); n != 1 {
		t.Errorf("%d grids of a run, want 1", n)
	}
	if err := os.Remove(filepath.Join(dir, "runs/a/log.txt")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "runs/a"), Options{}); err == nil {
		t.Error("a run without its log was taken for data")
	}
}
