package train

import (
	"strings"
	"testing"
)

// TestPublished: each recipe says settings that there are, the preset first, in values that
// hold together, and what it is from.
func TestPublished(t *testing.T) {
	for _, p := range PublishedRecipes() {
		preset, ok := strings.CutPrefix(p.Settings()[0], "preset=")
		if !ok || p.About == "" || p.Paper == "" || p.Result == "" || p.Here == "" {
			t.Errorf("%s: %+v", p.Name, p)
		}
		r, err := RecipeOf(preset, "cifar.zip")
		if err != nil {
			t.Fatal(p.Name, err)
		}
		begin := Default()
		begin.Data = "cifar.zip" // whose pictures may be mirrored, other than glyphs
		s, err := p.Apply(r.Apply(begin))
		if err != nil {
			t.Fatal(p.Name, err)
		}
		seen := map[string]bool{}
		for _, g := range p.Groups {
			if g.From == "" {
				t.Errorf("%s: %s is from nowhere", p.Name, g.Settings)
			}
		}
		for _, text := range p.Settings() {
			key, _, _ := strings.Cut(text, "=")
			if seen[key] {
				t.Errorf("%s says %s twice", p.Name, key)
			}
			seen[key] = true
		}
		if glyphs, err := p.Apply(r.Apply(Default())); err != nil || glyphs.Flip {
			t.Errorf("%s mirrors letters: %v", p.Name, err)
		}
		s = s.Switched(Default(), p.Has)
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		for _, text := range p.Settings() {
			key, value, _ := strings.Cut(text, "=")
			x := s.List().Get(key)
			want, err := x.ReadFlag(value)
			if err != nil || x.Value.Get() != want {
				t.Errorf("%s: %s is %v, %v", p.Name, text, x.Value.Get(), err)
			}
		}
		if got, err := FindPublished(p.Name); err != nil || got.About != p.About || got.Has("preset") != true || got.Has("pre") {
			t.Errorf("%s: found %+v, %v", p.Name, got, err)
		}
		if text := p.Text(s); !strings.HasPrefix(text, p.Name+": preset=") || strings.Contains(text, "overridden") {
			t.Error(text)
		}
		s.Images = 1234
		if text := p.Text(s); !strings.HasSuffix(text, "; overridden by images 1234") {
			t.Error(text)
		}
	}
	if _, err := FindPublished("edm-cifar"); err == nil || !strings.Contains(err.Error(), "edm-cifar10") {
		t.Errorf("an unknown recipe: %v", err)
	}
	wrong := Published{Name: "wrong", Groups: []Cited{{"lr=fast", "nowhere"}}}
	if _, err := wrong.Apply(Default()); err == nil || !strings.Contains(err.Error(), "recipe wrong: lr") {
		t.Errorf("a recipe that is wrong: %v", err)
	}
}
