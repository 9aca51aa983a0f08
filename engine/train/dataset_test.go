package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/model"
)

// described is a data set that says of itself what a test wants.
type described struct {
	data.Dataset
	change func(*data.Fingerprint)
}

func (d described) Fingerprint() data.Fingerprint {
	p := d.Dataset.Fingerprint()
	d.change(&p)
	return p
}

// TestChangedData: a run goes on with more pictures of its classes, and not with
// other classes or another data set.
func TestChangedData(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	s := small()
	s.Images, s.SampleCount, s.Data = 8, 0, "glyphs"
	dir := t.TempDir()
	o, _ := options(t, s, dir)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, model.CheckpointsDir, "8", model.TrainingDir, dataFile)
	stored, err1 := os.ReadFile(path)
	settings, err2 := os.ReadFile(filepath.Join(dir, "config.json"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	more := func(p *data.Fingerprint) { p.Images++ }
	rename := func(p *data.Fingerprint) { p.Classes = append([]string{"zero"}, p.Classes[1:]...) }
	for _, c := range []struct {
		name    string
		spec    string // of the data
		change  func(*data.Fingerprint)
		old     bool   // the checkpoint does not say what its data were
		refused string // a part of the error
		note    string
	}{
		{name: "the same", change: func(*data.Fingerprint) {}},
		{name: "the same elsewhere", spec: "other/place", change: func(*data.Fingerprint) {}},
		{name: "more", change: more, note: "the order of the images"},
		{name: "more, moved", spec: "/other/place/glyphs", change: more, note: "the order of the images"},
		{name: "others of another name", spec: "faces", change: more, refused: "data was glyphs, now faces"},
		{name: "other sizes", change: func(p *data.Fingerprint) { p.Digest = "1" }, note: "the order of the images"},
		{name: "sums that were not known", change: func(p *data.Fingerprint) { p.Sums = "1" }},
		{name: "a class renamed", change: rename, refused: "list of classes was 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, now zero, 1, 2, 3, 4, 5, 6, 7, 8, 9"},
		{name: "a space between names moved", refused: "now 0 1, 2, 3", change: func(p *data.Fingerprint) {
			p.Classes = append([]string{"0 1", "2"}, p.Classes[3:]...)
		}},
		{name: "not known", change: more, old: true, note: "has not written down"},
		{name: "not known, of another name", spec: "faces", change: more, old: true, refused: "data was glyphs, now faces"},
		{name: "not known, a class renamed", change: rename, old: true, refused: "list of classes"},
	} {
		if err := os.WriteFile(path, stored, 0o666); err != nil {
			t.Fatal(err)
		}
		if c.old {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		next, rec := options(t, s, dir)
		next.Data = described{next.Data, c.change}
		next.Settings.Images = 16
		if c.spec != "" {
			next.Settings.Data = c.spec
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // it is only begun
		_, err := Run(ctx, next)
		changed := (*ChangedError)(nil)
		if refused := errors.As(err, &changed); refused != (c.refused != "") || refused && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: %v", c.name, err)
		}
		if notes := strings.Join(rec.notes, "\n"); (notes != "") != (c.note != "") || !strings.Contains(notes, c.note) {
			t.Errorf("%s: notes %q, %v", c.name, notes, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "config.json"), settings, 0o666); err != nil { // of what was begun
			t.Fatal(err)
		}
	}
}

// TestListed: of many classes, those that make the difference.
// TestSetNames: sets have the names that they had, wherever they lie, two of pairs each its own.
func TestSetNames(t *testing.T) {
	for spec, want := range map[string][]string{
		"/x/cats": {"cats"}, "paired:/x/small,/y/large": {"small", "large"}, "unpaired:a,b": {"a", "b"}, "glyphs:letters": {"glyphs:letters"},
	} {
		if got := setNames(spec); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", spec, got, want)
		}
	}
}

func TestListed(t *testing.T) {
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprint("class", i))
	}
	fewer := many[:99]
	for _, c := range []struct {
		classes, others []string
		want            string
	}{
		{nil, many, "none"},
		{[]string{"a", "b"}, many, "a, b"},
		{many, many, "100"},
		{many, fewer, "100, with class99"},
		{fewer, many, "99"},
	} {
		if got := listed(c.classes, c.others); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if got := listed(many, nil); len(got) > 300 || !strings.HasSuffix(got, " …") {
		t.Errorf("%q", got)
	}
}
