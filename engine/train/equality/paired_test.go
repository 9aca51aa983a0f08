package equality

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"fluxion/data"
	"fluxion/engine/train"
)

// pairedGlyphs are some characters, each with another one, grey, that it is to be made of.
func pairedGlyphs(t *testing.T) data.Dataset {
	t.Helper()
	dir := t.TempDir()
	put := func(folder string, i, channels int, pixels []byte) {
		file, err := data.EncodePNG(pixels, size, size, channels, nil)
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, folder), 0o777)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, folder, fmt.Sprintf("%02d.png", i)), file, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	set := glyphs(t)
	for i := range 2 * classes {
		e := data.NewExample(set)
		if err := set.Read(i, e); err != nil {
			t.Fatal(err)
		}
		put(fmt.Sprintf("images/%d", i%classes), i, 3, e.Bytes)
		grey := make([]byte, size*size)
		for p := range grey {
			grey[p] = e.Bytes[3*p+1] / 2
		}
		put("inputs", i, 1, grey)
	}
	d, err := data.Open("paired:"+filepath.Join(dir, "inputs")+","+filepath.Join(dir, "images"), data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestPaired: steps whose network is given the input of each image are the same on both
// devices, whole and in parts, brought along or on the device, where pairs are mirrored.
func TestPaired(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	like := network(t).Spec()
	like.Concat = 1
	translating, err := network(t).Fit(like)
	if err != nil {
		t.Fatal(err)
	}
	o := train.StepOptions{Network: translating, Batch: 2, Accumulate: 2}
	want, wantNorm := curve(t, "cpu", o, 2)
	o.Resident, o.Flip = 2*classes, true
	if lying, _ := curve(t, "cpu", o, 2); !slices.Equal(lying, want) {
		t.Errorf("losses of pairs on the device are %v, brought along %v", lying, want)
	}
	got, norm := curve(t, "cuda:0", o, 2)
	near(t, "loss", got, want, 1e-5)
	near(t, "norm", norm, wantNorm, 1e-4)
}

// TestPairedResumes: on a GPU to the bit, and the CPU learns the same; with its own
// estimate beside the input.
func TestPairedResumes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds on the simulator")
	}
	set := pairedGlyphs(t)
	s := settings("cuda:0", 4)
	s.SelfConditioning = 0.9
	want, start := runOn(t, t.TempDir(), s, set)
	if !slices.ContainsFunc(start.About, func(row [2]string) bool { return row[0] == "condition" }) {
		t.Errorf("the start says %v", start.About)
	}
	dir := t.TempDir()
	s.Images = 2
	before, _ := runOn(t, dir, s, set)
	s.Images = 4
	if got, _ := runOn(t, dir, s, set); !slices.Equal(got, want) {
		t.Errorf("weights of a resumed run differ by %.2g", distance(got, want))
	}
	s.Device = "cpu"
	got, _ := runOn(t, t.TempDir(), s, set)
	if off, moved := distance(got, want), distance(before, want); !(off <= 1e-3*moved) {
		t.Errorf("weights differ by %.2g on the CPU where the steps moved them by %.2g", off, moved)
	}
}
