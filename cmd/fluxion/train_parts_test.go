//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGroupParts: of two processes each has one part of the data, named by a list, and they
// learn what one process learns that has both; a part that its process lacks is named.
func TestGroupParts(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	dir := t.TempDir()
	in := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	var lines bytes.Buffer
	for part := range 2 {
		name := fmt.Sprint("part", part)
		pictureFolder(t, in(fmt.Sprint("machine", part), name), 8, 3, 12, part, "cat", "dog")
		if err := os.MkdirAll(in("both"), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(in(fmt.Sprint("machine", part), name), in("both", name)); err != nil {
			t.Fatal(err)
		}
		p := program(t, "data", "info", name, "--json")
		p.Dir, p.Stdout, p.Stderr = in("both"), &lines, os.Stderr
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
	}
	list := in("set.jsonl")
	if err := os.WriteFile(list, lines.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	args := func(out string) []string {
		return []string{"train", "--preset", "micro", "--size", "8", "--batch", "8", "--accumulate", "4", "--images", "160", "--sample-count", "0", "--blockings", "off", "--threads", "1", "--json", "--data", "list:" + list, "--out", in(out)}
	}
	one := program(t, args("one")...)
	one.Dir = in("both")
	if text, err := one.CombinedOutput(); err != nil {
		t.Fatal(err, string(text))
	}
	two := startGroupIn(t, 2, func(rank int) string { return in(fmt.Sprint("machine", rank)) }, func(int) []string { return args("two") })
	wait(t, two)
	for r, p := range two {
		if p.code != 0 {
			t.Fatalf("process %d: exit %d, %s", r, p.code, p.errs.String())
		}
	}
	if learnt(t, in("one")) != learnt(t, in("two")) {
		t.Error("two processes, each with its part, do not learn what one learns with both")
	}
	crossed := startGroupIn(t, 2, func(rank int) string { return in(fmt.Sprint("machine", 1-rank)) }, func(int) []string { return args("crossed") })
	wait(t, crossed)
	said := crossed[0].errs.String() + crossed[1].errs.String()
	if crossed[0].code == 0 || crossed[1].code == 0 || !strings.Contains(said, "is a part that is not on this machine, and the process here has micro-batches") {
		t.Errorf("each with the other's part: exit %d and %d, %s", crossed[0].code, crossed[1].code, said)
	}
}
