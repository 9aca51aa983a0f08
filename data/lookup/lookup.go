// Package lookup finds a name in a list of names and says what was probably meant
// where there is none of it: the same word of the field, or the nearest by letters.
//
// It is a leaf: it imports nothing of this program, so that data, nets, engine and
// cmd may all import it, whose imports otherwise go one way.
package lookup

import (
	"fmt"
	"slices"
	"strings"
)

// shownBeside is the most names that an error lists beside a near one.
const shownBeside = 30

// Find returns the position of a name in a list. Its error names the nearest and,
// unless that is known and they are many, all of them.
func Find(kind, name string, names []string) (int, error) {
	if i := slices.Index(names, name); i >= 0 {
		return i, nil
	}
	near, note, ok := Synonym(name, names)
	if !ok {
		near, ok = nearest(name, names)
	}
	hint := ""
	if ok {
		hint = fmt.Sprintf("did you mean %q?", near)
		if note != "" {
			hint = fmt.Sprintf("did you mean %q (%s)?", near, note)
		}
		if len(names) > shownBeside {
			return 0, fmt.Errorf("unknown %s %q: %s", kind, name, hint)
		}
		hint += " "
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" }) // which is to say nothing
	return 0, fmt.Errorf("unknown %s %q: %sthere are %s", kind, name, hint, strings.Join(names, ", "))
}

// Nearest returns the name that another one means or is most like; ok is false if it
// is like none.
func Nearest(name string, names []string) (near string, ok bool) {
	if near, _, ok = Synonym(name, names); ok {
		return near, ok
	}
	return nearest(name, names)
}

// mostNear is how many names an error shows that are like another one.
const mostNear = 3

// Near returns the few names that are most like another one, the nearest first; none if
// there is none.
func Near(name string, names []string) (near []string) {
	name = bare(name)
	far := map[string]int{}
	for _, n := range names {
		d := distance(name, bare(n))
		if strings.Contains(bare(n), name) && len(name) > 2 || strings.Contains(name, bare(n)) && len(n) > 3 {
			d = min(d, len(name)/3)
		}
		if far[n] = d; d <= len(name)/2 && d < max(len(name), len(n))-1 {
			near = append(near, n)
		}
	}
	slices.SortStableFunc(near, func(a, b string) int { return far[a] - far[b] })
	return near[:min(len(near), mostNear)]
}

// Synonym returns the name that another one means in other programs, and what is
// different about it, if anything is.
func Synonym(name string, names []string) (ours, note string, ok bool) {
	for _, m := range synonyms[bare(name)] {
		if i := slices.IndexFunc(names, func(n string) bool { return bare(n) == m.ours }); i >= 0 {
			return names[i], m.note, true
		}
	}
	return "", "", false
}

// nearest is Nearest by letters alone.
func nearest(name string, names []string) (near string, ok bool) {
	least := len(name)/2 + 1
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < least {
			near, least, ok = n, d, true
		}
	}
	return near, ok
}

var hyphens = strings.NewReplacer("_", "-", " ", "-")

// bare is a name of a flag or a key as the table of synonyms has it.
func bare(name string) string {
	return strings.ToLower(hyphens.Replace(strings.TrimLeft(name, "-")))
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
