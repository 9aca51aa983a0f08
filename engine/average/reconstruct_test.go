package average

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/nets"
	"fluxion/nets/catalog"
	"fluxion/nets/safetensors"
)

// network is a small one, and weights of it that differ with k.
func network(t *testing.T, preset string) (nets.Network, []nets.Param, func(k int) []float32) {
	t.Helper()
	p, err := catalog.Preset(preset)
	if err != nil {
		t.Fatal(err)
	}
	params := nets.Params(p.Network)
	return p.Network, params, func(k int) []float32 {
		flat := make([]float32, nets.FlatSize(params))
		nets.Initialise(params, uint64(k), flat)
		return flat
	}
}

func put(t *testing.T, dir string, n nets.Network, flat []float32, p Profile, as safetensors.Dtype) (wide string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, FileName(p)))
	if err == nil {
		wide, err = Write(f, n, nets.Params(n), flat, p, as)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(f.Name())
	if size, failed := FileSize(n, nets.Params(n), p, as); err != nil || failed != nil || wide == "" && size != info.Size() {
		t.Errorf("%d bytes, announced are %d (%v, %v)", info.Size(), size, err, failed)
	}
	return wide
}

func TestReconstruct(t *testing.T) {
	n, params, weights := network(t, "mlp")
	dir := t.TempDir()
	var flats [][]float32
	for i, p := range profiles(3, 100, .05, .1) {
		flats = append(flats, weights(i))
		if wide := put(t, dir, n, flats[i], p, safetensors.F32); wide != "" {
			t.Errorf("%s is too large", wide)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sigma  float64
		images int64
		of     int
	}{{.05, 0, 6}, {.1, 200, 4}, {.075, 0, 6}, {.2, 200, 4}} {
		got, fit, err := Reconstruct(dir, n, c.sigma, c.images)
		if err != nil || len(fit.Of) != c.of {
			t.Fatal(len(fit.Of), err)
		}
		for _, p := range params {
			for i := range p.Size() {
				want := 0.0
				for k, x := range fit.Factors {
					want += x * float64(flats[k][p.Offset+i])
				}
				if x := got[p.Offset+i]; math.Abs(float64(x)-want) > 1e-7*(math.Abs(want)+1e-3) {
					t.Fatalf("σ_rel %v: %s[%d] is %v, want %v", c.sigma, p.Name, i, x, want)
				}
			}
		}
	}
}

// TestHalfPrecision: snapshots are rounded to their type, and kept whole where it does
// not hold them.
func TestHalfPrecision(t *testing.T) {
	n, params, weights := network(t, "mlp")
	flat := weights(1)
	for name, bound := range map[safetensors.Dtype]float64{safetensors.F16: 0x1p-11, safetensors.BF16: 0x1p-8} {
		dir := t.TempDir()
		put(t, dir, n, flat, Profile{100, .1}, name)
		got, _, err := Reconstruct(dir, n, .1, 0)
		if err != nil {
			t.Fatal(err)
		}
		equal := true
		for _, p := range params {
			for i, want := range flat[p.Offset:][:p.Size()] {
				x := got[p.Offset+i]
				equal = equal && x == want
				if off := math.Abs(float64(x - want)); off > bound*math.Abs(float64(want))+0x1p-25 {
					t.Fatalf("%s: %s[%d] is %v, want %v", name, p.Name, i, x, want)
				}
			}
		}
		if equal {
			t.Errorf("%s: nothing is rounded", name)
		}
	}
	large := weights(1)
	large[params[2].Offset] = -7e4
	dir := t.TempDir()
	if wide := put(t, dir, n, large, Profile{100, .1}, safetensors.F16); wide != params[2].Name {
		t.Errorf("what is too large is %q, want %s", wide, params[2].Name)
	}
	got, _, err := Reconstruct(dir, n, .1, 0)
	if err != nil || got[params[2].Offset] != -7e4 || got[params[0].Offset] != large[params[0].Offset] {
		t.Errorf("a number that fp16 does not hold is %v (%v)", got[params[2].Offset], err)
	}
}

// TestBadSnapshots: what cannot be used is named.
func TestBadSnapshots(t *testing.T) {
	n, params, weights := network(t, "mlp")
	other, _, others := network(t, "micro")
	first, second := Profile{100, .1}, Profile{200, .1}
	flat := weights(1)
	for name, c := range map[string]struct {
		spoil func(dir string)
		want  string
	}{
		"none": {func(dir string) { os.RemoveAll(dir) }, "holds no snapshots of averages"},
		"another time": {func(dir string) {
			os.Rename(filepath.Join(dir, FileName(first)), filepath.Join(dir, FileName(Profile{150, .1})))
		},
			`has images "100", want "150"`},
		"another width": {func(dir string) {
			os.Rename(filepath.Join(dir, FileName(first)), filepath.Join(dir, FileName(Profile{100, .2})))
		},
			`has sigma_rel "0.1", want "0.2"`},
		"another network": {func(dir string) { put(t, dir, other, others(1), first, safetensors.F32) }, "is of another network: its _class_name is UNet2DModel"},
		"cut":             {func(dir string) { os.Truncate(filepath.Join(dir, FileName(first)), 5000) }, "was cut short"},
		"no snapshot": {func(dir string) {
			f, _ := os.Create(filepath.Join(dir, FileName(first)))
			if err := errors.Join(nets.WriteWeights(f, safetensors.F32, params, flat, nil), f.Close()); err != nil {
				t.Error(err)
			}
		}, "is no snapshot of an average"},
		"not finite": {func(dir string) {
			bad := weights(1)
			bad[params[1].Offset] = float32(math.NaN())
			put(t, dir, n, bad, first, safetensors.F16)
		}, "weights must be finite"},
	} {
		dir := t.TempDir()
		put(t, dir, n, flat, first, safetensors.F32)
		put(t, dir, n, flat, second, safetensors.F32)
		c.spoil(dir)
		if _, _, err := Reconstruct(dir, n, .15, 0); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	dir := t.TempDir()
	put(t, dir, n, flat, first, safetensors.F32)
	put(t, dir, n, flat, second, safetensors.F32)
	for images, want := range map[int64]string{50: "the first is after 100", 150: "the nearest are after 100 and 200", 250: "the last is after 200"} {
		if _, _, err := Reconstruct(dir, n, .15, images); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a time without a snapshot: %v, want %s", err, want)
		}
	}
}

// TestThinned: of very many snapshots some are taken, evenly, the last among them.
func TestThinned(t *testing.T) {
	for times, want := range map[int]int{1: 1, 499: 499, 500: 500, 501: 251, 5000: 500, 5001: 455} {
		all := profiles(times, 8, .05, .1)
		got := thinned(all)
		if len(got) != 2*want || !slices.Equal(got[len(got)-2:], all[len(all)-2:]) {
			t.Errorf("of %d times %d snapshots, want %d", times, len(got), 2*want)
		}
	}
}

func TestFileName(t *testing.T) {
	for name, want := range map[string]Profile{"000017000-0.05.safetensors": {17000, .05}, "1234567890-0.1.safetensors": {1234567890, .1}} {
		if p, ok := ParseFileName(name); !ok || p != want || FileName(p) != name {
			t.Errorf("%s is %v, %v", name, p, ok)
		}
	}
	for _, name := range []string{"", "17000-0.05.safetensors", "000017000-0.050.safetensors", "000017000-0.05", "000017000-9.safetensors", "000000000-0.05.safetensors", ".incomplete-1"} {
		if p, ok := ParseFileName(name); ok {
			t.Errorf("%q is taken as %v", name, p)
		}
	}
}
