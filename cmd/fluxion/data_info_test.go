package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
)

// mixedPictures is a folder of pictures of two sizes, of which one is there twice, one is
// flat, and one is broken.
func mixedPictures(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	set, err := data.Open("glyphs:letters", data.Options{Size: data.Square(32), Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	for i, name := range []string{"a/0.png", "a/1.png", "a/2.png", "b/3.png", "b/4.png", "b/5.png", "b/6.png", "b/again.png", "b/flat.png"} {
		e := data.NewExample(set)
		if err := set.Read(i%7, e); err != nil {
			t.Fatal(err)
		}
		height := 32
		switch name {
		case "a/2.png":
			height = 16
		case "b/flat.png":
			clear(e.Bytes)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		datatest.WritePNG(t, path, e.Bytes[:height*32], height, 32, 1, nil)
	}
	if err := os.WriteFile(filepath.Join(dir, "b", "broken.png"), []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

// lastLine of a command's JSON.
func lastLine(t *testing.T, into any, wantCode int, args ...string) {
	t.Helper()
	out, code, err := fluxion(t, args...)
	if code != wantCode {
		t.Fatalf("%v: code %d, %v\n%s", args, code, err, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.Contains(line, `"event":"done"`) {
			if err := json.Unmarshal([]byte(line), into); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%v: no result in\n%s", args, out)
}

// TestDataInfo: a folder of mixed pictures is told of, and drawn.
func TestDataInfo(t *testing.T) {
	dir, sheet := mixedPictures(t), filepath.Join(t.TempDir(), "sheet.png")
	var r shownInfo
	lastLine(t, &r, 0, "data", "info", dir, "--sheet", sheet, "--json")
	if r.Images != 10 || len(r.Classes) != 2 || r.Classes[1] != (shownClass{"b", 7}) || r.Unlabeled != 0 || r.Formats["PNG 8 bit"] != 9 {
		t.Errorf("%+v", r)
	}
	if !slices.Equal(r.Sizes, []shownSize{{32, 32, 8}, {32, 16, 1}}) || !slices.Equal(r.Shape, []int{32, 32, 1}) || r.Looked != 9 || len(r.Broken) != 1 || !strings.Contains(strings.Join(r.Notes, ";"), "several sizes") {
		t.Errorf("%+v", r)
	}
	if len(r.Mean) != 1 || r.Least < -1 || r.Most > 1 || r.Deviation[0] <= 0 || len(r.Spectrum) != 17 || r.Slope >= 0 {
		t.Errorf("mean %v, deviation %v, from %g to %g, spectrum of %d, slope %g", r.Mean, r.Deviation, r.Least, r.Most, len(r.Spectrum), r.Slope)
	}
	if _, height, width, _, err := data.ReadPNG(sheet); err != nil || width < 8*32 || height < 2*32 {
		t.Errorf("a sheet of %d×%d: %v", width, height, err)
	}
	out, _, err := fluxion(t, "data", "info", "toy:moons", "--count", "100")
	if err != nil || !strings.Contains(out, "1×1×2 float32") || !strings.Contains(out, "of 100 images") {
		t.Errorf("%v:\n%s", err, out)
	}
	if _, code, err := fluxion(t, "data", "info", dir, "--sheet", filepath.Join(dir, "a", "0.png")); code != exitUsage || !strings.Contains(err.Error(), "no such sheet") {
		t.Errorf("a picture of the set as a sheet: %d, %v", code, err)
	}
}

// TestDataCheck: what is broken, there twice and unlike the rest is found.
func TestDataCheck(t *testing.T) {
	dir, sheet := mixedPictures(t), filepath.Join(t.TempDir(), "sheet.png")
	var r shownCheck
	lastLine(t, &r, exitInput, "data", "check", dir, "--size", "32", "--correlation", "0.999", "--unalike", "1000", "--sheet", sheet, "--json")
	if r.Images != 10 || len(r.Broken) != 1 || !strings.HasSuffix(r.Broken[0].Name, "broken.png") || r.Duplicates != 1 || r.Groups != 1 {
		t.Errorf("%+v", r)
	}
	if len(r.Outliers) != 1 || r.Outliers[0].Trait != "flat" || r.Outliers[0].Name != "b/flat.png" || r.Sheet != sheet {
		t.Errorf("%+v", r.Outliers)
	}
	if err := os.Remove(filepath.Join(dir, "b", "broken.png")); err != nil {
		t.Fatal(err)
	}
	for _, size := range [][]string{{"--size", "32"}, nil} { // files of several sizes are not broken
		out, code, err := fluxion(t, append([]string{"data", "check", dir}, size...)...)
		if code != 0 || !strings.Contains(out, "0 broken") || !strings.Contains(out, "in 1 group;") || !strings.Contains(out, "b/flat.png") || strings.Contains(out, "several sizes") != (size == nil) {
			t.Errorf("%v: %d, %v:\n%s", size, code, err, out)
		}
	}
}

// TestDataPack: a packed set is what train takes, without what is broken or there twice.
func TestDataPack(t *testing.T) {
	dir, packed := mixedPictures(t), filepath.Join(t.TempDir(), "packed.npz")
	if _, code, err := fluxion(t, "data", "pack", dir, packed, "--size", "16"); code != exitInput || !strings.Contains(err.Error(), "broken.png") {
		t.Errorf("a broken picture: %d, %v", code, err)
	}
	if _, err := os.Stat(packed); err == nil {
		t.Error("a file is left of what was not packed")
	}
	var r shownPack
	lastLine(t, &r, 0, "data", "pack", dir, packed, "--size", "16", "--fit", "pad", "--skip-broken", "--deduplicate", "--correlation", "0.999", "--json")
	if r.Images != 8 || r.Of != 10 || r.Broken != 1 || r.Duplicates != 1 || !slices.Equal(r.Shape, []int{16, 16, 1}) {
		t.Errorf("%+v", r)
	}
	first, err := os.ReadFile(packed)
	if err != nil {
		t.Fatal(err)
	}
	if _, code, _ := fluxion(t, "data", "pack", dir, packed, "--size", "16", "--skip-broken"); code != exitUsage {
		t.Error("a file that is there is written over")
	}
	lastLine(t, &r, 0, "data", "pack", dir, packed, "--size", "16", "--fit", "pad", "--skip-broken", "--deduplicate", "--correlation", "0.999", "--overwrite", "--json")
	if again, err := os.ReadFile(packed); err != nil || string(again) != string(first) {
		t.Errorf("packed again, the bytes are others: %v", err)
	}
	var of shownInfo
	lastLine(t, &of, 0, "data", "info", packed, "--json")
	if of.Images != 8 || len(of.Classes) != 2 || of.Classes[0].Name != "a" {
		t.Errorf("%+v", of)
	}
}
