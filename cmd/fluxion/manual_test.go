package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/cmd/fluxion/internal/manual"
)

// TestReference: the document of all commands, and a page for man, are what the help says.
func TestReference(t *testing.T) {
	root := newRoot()
	runs, _, err := root.Find([]string{"runs"})
	if err != nil {
		t.Fatal(err)
	}
	runs.InitDefaultHelpFlag()
	for file, want := range map[string]string{"REFERENCE.md": reference(root), filepath.Join("testdata", "fluxion-runs.1"): manual.Page(runs, exitCodes)} {
		golden(t, file, want, "TestReference")
	}
}

// golden compares a file that is written by a test with what it is to hold.
func golden(t *testing.T, file, want, test string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	have, wanted := strings.Split(string(got), "\n"), strings.Split(want, "\n")
	for i := range max(len(have), len(wanted)) {
		if i >= len(have) || i >= len(wanted) || have[i] != wanted[i] {
			t.Fatalf("%s is old from line %d on; go test ./cmd/fluxion -run %s -update", file, i+1, test)
		}
	}
}

// TestManual: each command has a page that names each of its flags, escaped, and begins no
// line as an instruction by mistake.
func TestManual(t *testing.T) {
	dir := t.TempDir()
	if _, code, err := fluxion(t, "manual", dir); err != nil {
		t.Fatal(code, err)
	}
	for _, name := range []string{"fluxion.bash", "_fluxion", "fluxion.fish"} {
		if text, err := os.ReadFile(filepath.Join(dir, "completions", name)); err != nil || !strings.Contains(string(text), "__complete") {
			t.Errorf("%s: %v", name, err)
		}
	}
	known := []string{".\\\"", ".TH", ".SH", ".PP", ".TP", ".B", ".I", ".br", ".nf", ".fi"}
	for _, c := range manual.Commands(newRoot()) {
		path := filepath.Join(dir, "man1", manual.PageName(c)+".1")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, f := range []string{"help", "quiet", "json", "config", "batch"} {
			if flag := c.Flag(f); flag != nil && !strings.Contains(string(text), "\\fB\\-\\-"+f+"\\fR") {
				t.Errorf("%s has nothing of --%s", path, f)
			}
		}
		for line := range strings.Lines(string(text)) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			if strings.HasPrefix(line, ".") && !slices.Contains(known, word) || strings.HasPrefix(line, "'") {
				t.Errorf("%s: %s", path, line)
			}
		}
		if strings.Count(string(text), ".SH EXIT STATUS") != 1 || strings.Contains(string(text), "Exit codes:") {
			t.Errorf("%s tells exit codes otherwise than once", path)
		}
	}
}
