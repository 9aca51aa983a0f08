package equality

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"fluxion/data"
)

// numberedGlyphs are some characters, each with some numbers.
func numberedGlyphs(t *testing.T, columns int) data.Dataset {
	t.Helper()
	dir, table := t.TempDir(), ""
	set := glyphs(t)
	for i := range 8 {
		e := data.NewExample(set)
		err := set.Read(i, e)
		var file []byte
		if err == nil {
			file, err = data.EncodePNG(e.Bytes, size, size, 3, nil)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.png", i)), file, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		table += fmt.Sprint(i)
		for k := range columns {
			table += fmt.Sprintf(",%d", (i*(k+3))%5)
		}
		table += "\n"
	}
	path := filepath.Join(dir, "labels.csv")
	if err := os.WriteFile(path, []byte(table), 0o666); err != nil {
		t.Fatal(err)
	}
	d, err := data.Open(dir, data.Options{Labels: data.NumberLabels + ":" + path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestLabels: a network that is told a number, or some, of each image resumes to the bit on a
// GPU, and the CPU learns the same.
func TestLabels(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds on the simulator")
	}
	for _, c := range []struct {
		columns           int
		preset, objective string
	}{{1, "", ""}, {2, "", ""}, {1, "mlp", ""}, {2, "mlp", "flowmap"}, {1, "", "flowmap"}} {
		columns := c.columns
		set := numberedGlyphs(t, columns)
		s := settings("cuda:0", 4)
		s.Preset, s.Objective = cmp.Or(c.preset, s.Preset), cmp.Or(c.objective, s.Objective)
		if c.objective != "" {
			s.TimeScale = 16
		}
		want, _ := runOn(t, t.TempDir(), s, set)
		dir := t.TempDir()
		s.Images = 2
		before, _ := runOn(t, dir, s, set)
		s.Images = 4
		if got, _ := runOn(t, dir, s, set); !slices.Equal(got, want) {
			t.Errorf("%+v: weights of a resumed run differ by %.2g", c, distance(got, want))
		}
		s.Device = "cpu"
		got, _ := runOn(t, t.TempDir(), s, set)
		if off, moved := distance(got, want), distance(before, want); !(off <= 1e-3*moved) {
			t.Errorf("%+v: weights differ by %.2g on the CPU where the steps moved them by %.2g", c, off, moved)
		}
	}
}
