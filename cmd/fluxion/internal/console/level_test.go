package console

import (
	"bytes"
	"strings"
	"testing"
)

// TestPainted: the word that a line begins with has a colour, and the rest stays in its
// place; what has no such word is left as it is.
func TestPainted(t *testing.T) {
	for line, want := range map[string]string{
		"note        few images":  "\x1b[33mnote\x1b[0m        few images",
		"run folder  runs/a":      "\x1b[36mrun folder\x1b[0m  runs/a",
		"done        in 3 s":      "\x1b[1mdone\x1b[0m        in 3 s",
		"2 images in out: 2 made": "2 images in out: 2 made",
		"            more":        "            more",
		"short":                   "short",
	} {
		if got := painted(line); got != want {
			t.Errorf("%q is %q, want %q", line, got, want)
		}
		if plain := strings.NewReplacer("\x1b[33m", "", "\x1b[36m", "", "\x1b[1m", "", "\x1b[0m", "").Replace(painted(line)); plain != line {
			t.Errorf("%q has other letters: %q", line, plain)
		}
	}
	if Coloured(&bytes.Buffer{}) {
		t.Error("what is no terminal is to have colours")
	}
}
