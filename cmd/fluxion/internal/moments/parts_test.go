package moments

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data/durable"
	"fluxion/engine/evaluate"
	"fluxion/engine/metric"
)

// part is one of the rows of some features, as Collect keeps it of a set of many.
func part(rows metric.Features) *evaluate.Set {
	a := metric.NewAccumulator(rows.Dim)
	a.Add(rows.Values)
	s := &evaluate.Set{N: int64(rows.Len()), Features: rows, Spatial: a.Part(), Statistics: a.Part()}
	for i := range rows.Len() {
		s.Logits.Dim = 1
		s.Logits.Append(rows.Row(i)[:1])
	}
	return s
}

// TestParts: what is written of parts is read as of the whole, in the order of the parts,
// and a part is never taken for the whole.
func TestParts(t *testing.T) {
	dir := t.TempDir()
	whole := metric.Features{Dim: 2, Values: []float32{1, 2, 3, 5, 2, 8, 0, 1, 7, 7}}
	write := func(name string, p Part, s *evaluate.Set, network string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := WritePart(durable.Disk{}, path, s, About{Network: network, Images: "set", Part: &p}); err != nil {
			t.Fatal(err)
		}
		return path
	}
	of := map[string]string{"data": "aa"}
	first := write("a.npz", Part{I: 1, N: 2, Of: of}, part(metric.Features{Dim: 2, Values: whole.Values[:8]}), "glyph")
	second := write("b.npz", Part{I: 2, N: 2, Of: of}, part(metric.Features{Dim: 2, Values: whole.Values[8:]}), "glyph")
	if Is(first) || !IsPart(first) || Group([]string{second, first, first}) != 2 {
		t.Error("a part is not known as one")
	}
	if err := Room(first); err != nil {
		t.Error("a part cannot be written anew:", err)
	}
	set, about, err := ReadParts([]string{second, first})
	if err != nil {
		t.Fatal(err)
	}
	want := part(whole)
	if set.N != 5 || !slices.Equal(set.Features.Values, whole.Values) || !slices.Equal(set.Logits.Values, want.Logits.Values) || about.Network != "glyph" || set.Name != "2 parts of set" {
		t.Errorf("joined: %+v, %+v", set, about)
	}
	for _, s := range [][2]*metric.Statistics{{set.Statistics, want.Statistics}, {set.Spatial, want.Spatial}} {
		for i := range 2 {
			for j := range 2 {
				if a, b := s[0].Covariance.At(i, j), s[1].Covariance.At(i, j); a-b > 1e-12 || b-a > 1e-12 {
					t.Errorf("covariance %d, %d: %v, want %v", i, j, a, b)
				}
			}
		}
	}
	few := part(metric.Features{Dim: 2, Values: whole.Values[8:]})
	few.N = 3
	for _, c := range []struct {
		paths []string
		want  string
	}{
		{[]string{first}, "of the others 2 are not"},
		{[]string{first, first}, "both part 1/2"},
		{[]string{first, write("c.npz", Part{I: 2, N: 2, Of: map[string]string{"data": "bb"}}, few, "glyph")}, "data aa and bb"},
		{[]string{first, write("d.npz", Part{I: 2, N: 2, Of: of}, few, "lite0")}, "network glyph and lite0"},
		{[]string{first, write("e.npz", Part{I: 2, N: 2, Of: of}, few, "glyph")}, "want those of 3 images"},
		{[]string{write("f.npz", Part{I: 1, N: 1 << 40, Of: of}, few, "glyph")}, "no part"},
		{[]string{write("g.npz", Part{I: 0, N: 2, Of: of}, few, "glyph")}, "no part"},
		{[]string{first, write("h.npz", Part{I: 2, N: 2, Of: of}, part(metric.Features{Dim: 3, Values: []float32{1, 2, 3}}), "glyph")}, "cannot be joined"},
		{[]string{write("i.npz", Part{I: 1, N: 1, Of: of}, &evaluate.Set{N: 1}, "glyph")}, "no features"},
	} {
		if _, _, err := ReadParts(c.paths); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v, want %s", fmt.Sprint(c.paths), err, c.want)
		}
	}
}
