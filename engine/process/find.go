package process

import (
	"fmt"
	"slices"
	"strings"
)

// Find returns the position of a name in a list. Its error names the nearest
// and all of them.
func Find(kind, name string, names []string) (int, error) {
	if i := slices.Index(names, name); i >= 0 {
		return i, nil
	}
	hint := ""
	if near, ok := Nearest(name, names); ok {
		hint = fmt.Sprintf("did you mean %q? ", near)
	}
	return 0, fmt.Errorf("unknown %s %q: %sthere are %s", kind, name, hint, strings.Join(names, ", "))
}

// Nearest returns the name that another one is most like; ok is false if it is like none.
func Nearest(name string, names []string) (near string, ok bool) {
	least := len(name)/2 + 1
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < least {
			near, least, ok = n, d, true
		}
	}
	return near, ok
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
