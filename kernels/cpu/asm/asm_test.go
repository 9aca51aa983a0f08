package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGenerated: what is committed is what the generator writes.
func TestGenerated(t *testing.T) {
	for name, want := range Files() {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Error(err)
			continue
		}
		a, b := strings.Split(string(got), "\n"), strings.Split(want, "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Errorf("%s, line %d: %q, the generator writes %q", name, i+1, a[i], b[i])
				break
			}
		}
		if len(a) != len(b) {
			t.Errorf("%s has %d lines, the generator writes %d", name, len(a), len(b))
		}
	}
}
