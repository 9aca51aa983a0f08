//go:build unix

package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fluxion/data"
)

// TestPacks: 16 parts made at the same time, some killed and begun again, come to the shards, the
// tar and the .npz of one process, byte for byte, and the last of them makes the grid; what was
// under way is gone. --verify finds what is wrong in them.
func TestPacks(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	run := trainedRun(t)
	for _, c := range []struct {
		name, prefix string
		flags        []string
	}{{"shards", "tar:", []string{"--shard", "4"}}, {"all.tar", "", nil}, {"all.npz", "", []string{"--uint8"}}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			one, many := filepath.Join(t.TempDir(), c.name), filepath.Join(t.TempDir(), c.name)
			args := append([]string{"sample", "--model", run, "--count", "60", "--steps", "3", "--batch", "2", "--threads", "1", "--json"}, c.flags...)
			if text, code, err := fluxion(t, with(args, "--out", c.prefix+one)...); err != nil {
				t.Fatal(code, err, text)
			}
			const parts = 16
			var all sync.WaitGroup
			for i := range parts {
				all.Go(func() {
					part := with(args, "--out", c.prefix+many, "--part", fmt.Sprintf("%d/%d", i+1, parts))
					if i%5 == 0 { // it is killed in the middle, or before, or behind the end
						p := program(t, part...)
						if err := p.Start(); err != nil {
							t.Error(err)
							return
						}
						time.Sleep(time.Duration(20+40*i) * time.Millisecond)
						p.Process.Signal(syscall.SIGKILL)
						p.Wait()
					}
					if text, err := program(t, part...).CombinedOutput(); err != nil {
						t.Errorf("part %d: %v: %s", i+1, err, text)
					}
				})
			}
			all.Wait()
			if a, b := tree(t, filepath.Dir(one)), tree(t, filepath.Dir(many)); !same(a, b) || len(a) < 2 {
				t.Errorf("the files are not those of one process: %v, %v", slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
			}
			if under, err := filepath.Glob(many + "*/*.parts"); err != nil || len(under) > 0 {
				t.Errorf("what was under way is still there: %v, %v", under, err)
			}
			if under, err := filepath.Glob(many + ".parts"); err != nil || len(under) > 0 {
				t.Errorf("what was under way is still there: %v, %v", under, err)
			}
			verify := with(args, "--out", c.prefix+many, "--verify")
			if text, code, err := fluxion(t, verify...); err != nil || !strings.Contains(text, `"event":"verified"`) || !strings.Contains(text, `"again":1`) {
				t.Errorf("%s, exit %d, %v", text, code, err)
			}
			file := many
			if c.prefix != "" {
				file = filepath.Join(many, fmt.Sprintf("%06d.tar", data.Spread(60, 1, 0)/4)) // with the picture that is made again
			}
			harmed, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			at := len(harmed) * 2 / 5
			if n := bytes.Index(harmed[at:], []byte("IDAT")); n >= 0 { // in a tar there is room between files
				at += n + 6
			}
			harmed[at] ^= 0x55
			if err := os.WriteFile(file, harmed, 0o666); err != nil {
				t.Fatal(err)
			}
			if _, code, err := fluxion(t, verify...); code != exitInput || err == nil || !strings.Contains(err.Error(), filepath.Base(file)) {
				t.Errorf("a changed picture: exit %d, %v", code, err)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if _, code, err := fluxion(t, verify...); code != exitInput || err == nil || !strings.Contains(err.Error(), filepath.Base(file)+": is not there; the same command") {
				t.Errorf("a file that is gone: exit %d, %v", code, err)
			}
		})
	}
}

// TestPackContents: shards hold what a folder has, and labels; the .npz has the pixels of the
// same pictures; both are read as data; more images make them grow, others are refused.
func TestPackContents(t *testing.T) {
	run, dir := trainedRun(t), t.TempDir()
	folder, shards, npz := filepath.Join(dir, "folder"), filepath.Join(dir, "shards"), filepath.Join(dir, "all.npz")
	args := []string{"sample", "--model", run, "--count", "12", "--steps", "2", "--batch", "8"}
	for _, flags := range [][]string{{"--out", folder}, {"--out", "tar:" + shards, "--shard", "5"}, {"--out", npz, "--uint8"}} {
		if text, code, err := fluxion(t, with(args, flags...)...); err != nil {
			t.Fatal(flags, code, err, text)
		}
	}
	f, err := os.Open(filepath.Join(shards, "000001.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, pictures := tar.NewReader(f), 0
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(h.Name) != ".png" {
			continue
		}
		pictures++
		got, err1 := io.ReadAll(r)
		want, err2 := os.ReadFile(filepath.Join(folder, h.Name))
		if err1 != nil || err2 != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not the picture of the folder, %v, %v", h.Name, err1, err2)
		}
	}
	if pictures != 5 {
		t.Errorf("a shard of %d pictures, want 5", pictures)
	}
	inShards, inNPZ := open(t, "tar:"+shards), open(t, npz)
	if inShards.Len() != 12 || inNPZ.Len() != 12 || len(inShards.Classes()) != 10 && len(inShards.Classes()) != 12 || len(inNPZ.Classes()) != len(inShards.Classes()) {
		t.Fatalf("%d images of %d classes in shards, %d of %d in the .npz", inShards.Len(), len(inShards.Classes()), inNPZ.Len(), len(inNPZ.Classes()))
	}
	for i := range 12 {
		a, b := data.NewExample(inShards), data.NewExample(inNPZ)
		if err := inShards.Read(i, a); err != nil {
			t.Fatal(err)
		}
		if err := inNPZ.Read(i, b); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes, b.Bytes) || a.Class != b.Class || a.Class < 0 {
			t.Errorf("image %d differs, or its class, %d and %d", i, a.Class, b.Class)
		}
	}
	// Of images, each is made of its own, and named by its number.
	made := []string{"sample", "--model", run, "--init", folder, "--strength", "0.5", "--steps", "4", "--batch", "3", "--out"}
	for _, flags := range [][]string{{folder + "-made"}, {"tar:" + shards + "-made", "--shard", "5"}} {
		if text, code, err := fluxion(t, with(made, flags...)...); err != nil {
			t.Fatal(flags, code, err, text)
		}
	}
	inShards, inFolder := open(t, "tar:"+shards+"-made"), open(t, folder+"-made")
	for i := range 12 {
		a, b := data.NewExample(inShards), data.NewExample(inFolder)
		if err := errors.Join(inShards.Read(i, a), inFolder.Read(i, b)); err != nil || !bytes.Equal(a.Bytes, b.Bytes) {
			t.Errorf("made of image %d, a picture is another in a shard, %v", i, err)
		}
	}
	args[4] = "14"
	if text, code, err := fluxion(t, with(args, "--out", "tar:"+shards, "--shard", "5")...); err != nil || !strings.Contains(text, "14 images in tar:"+shards+": 2 made") {
		t.Errorf("two images more: %s, exit %d, %v", text, code, err)
	}
	// A file that grows keeps the pictures that it has, but for one that was changed; its bytes are
	// those of a file that was made at once, and beside one of the same name each has its own grid.
	once := filepath.Join(dir, "once")
	if text, code, err := fluxion(t, with(args, "--out", npz, "--uint8")...); err != nil || !strings.Contains(text, "14 images in "+npz+": 2 made") {
		t.Errorf("two images more in a .npz: %s, exit %d, %v", text, code, err)
	}
	for _, flags := range [][]string{{"--out", once + ".npz", "--uint8"}, {"--out", "tar:" + once, "--shard", "5"}, {"--out", once + ".tar"}} {
		if text, code, err := fluxion(t, with(args, flags...)...); err != nil {
			t.Fatal(flags, code, err, text)
		}
	}
	for grown, made := range map[string]string{npz: once + ".npz", filepath.Join(shards, "000002.tar"): filepath.Join(once, "000002.tar"), npz + "-grid.png": once + ".tar-grid.png"} {
		a, err1 := os.ReadFile(grown)
		b, err2 := os.ReadFile(made)
		if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
			t.Errorf("%s is another file than %s, %v, %v", grown, made, err1, err2)
		}
	}
	for _, grid := range []string{"once-grid.png", "once.tar-grid.png", "once.npz-grid.png"} {
		if _, err := os.Stat(filepath.Join(dir, grid)); err != nil {
			t.Error(err)
		}
	}
	for _, c := range [][2]string{{"--out tar:" + shards + " --shard 5 --steps 3", "it was made with other settings: steps was 2, now 3"}, {"--out tar:" + shards + " --shard 4", "seed was 0-4, now 0-3"}, {"--out " + npz, "values was uint8, now not given"}, {"--out tar:" + shards, "000001.tar is there, and --count 14 with --shard 1000 ends before it"}} {
		if _, code, err := fluxion(t, with(args, strings.Fields(c[0])...)...); code != exitFolder || err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: exit %d, %v", c[0], code, err)
		}
	}
}

// open opens data for a test.
func open(t *testing.T, spec string) data.Dataset {
	t.Helper()
	set, err := data.Open(spec, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set
}

// TestPackRefuses: what files of many pictures do not go with.
func TestPackRefuses(t *testing.T) {
	for flags, want := range map[string]string{
		"--out o --uint8":                  "--uint8: want --out FILE.npz",
		"--out o.npz --uint8 --depth 16":   "--uint8 are 8 bits",
		"--out tar:o --shard 0":            "--shard 0: want 1 or more",
		"--out tar:":                       "want tar:DIR",
		"--out o.tar --verify --overwrite": "want one of the two",
	} {
		args := append([]string{"sample", "--model", "none", "--count", "4"}, strings.Fields(flags)...)
		if _, code, err := fluxion(t, args...); code != exitUsage || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: exit %d, %v, want %s", flags, code, err, want)
		}
	}
}
