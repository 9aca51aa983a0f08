package lookup

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	few := []string{"cosine", "linear", "fm"}
	if i, err := Find("schedule", "linear", few); i != 1 || err != nil {
		t.Errorf("%d, %v", i, err)
	}
	many := slices.Clone(few)
	for i := range 40 {
		many = append(many, fmt.Sprint("parameter-", i))
	}
	for _, c := range []struct {
		name  string
		names []string
		want  string
	}{
		{"cosin", few, `unknown schedule "cosin": did you mean "cosine"? there are cosine, linear, fm`},
		{"COSINE", few, `unknown schedule "COSINE": did you mean "cosine"? there are cosine, linear, fm`},
		{"x", few, `unknown schedule "x": there are cosine, linear, fm`},
		{"cosin", many, `unknown schedule "cosin": did you mean "cosine"?`},
		{"zzzzzzz", many, `unknown schedule "zzzzzzz": there are ` + strings.Join(many, ", ")},
	} {
		if _, err := Find("schedule", c.name, c.names); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// TestSynonyms: every word leads to each of its meanings where the ones before it are
// not there, as a flag and as a key; letters that are nearer do not matter.
func TestSynonyms(t *testing.T) {
	if len(synonyms) < 200 {
		t.Errorf("%d words", len(synonyms))
	}
	for word, meanings := range synonyms {
		for i, m := range meanings {
			for _, spelling := range []func(string) string{
				func(s string) string { return "--" + s },
				func(s string) string { return strings.ReplaceAll(s, "-", "_") },
			} {
				names := []string{spelling(word + "x"), spelling(m.ours)}
				for _, later := range meanings[i:] {
					names = append(names, spelling(later.ours))
				}
				if near, ok := Nearest(spelling(word), names); !ok || near != spelling(m.ours) {
					t.Errorf("%s: %s, %v, want %s", spelling(word), near, ok, spelling(m.ours))
				}
			}
			if word == m.ours || slices.Contains(meanings[:i], m) {
				t.Errorf("%s means itself, or %s twice", word, m.ours)
			}
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"same", "same", 0}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q, %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
