package engine

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	goTest   = regexp.MustCompile("go test [^`\n]*")
	chosen   = regexp.MustCompile(`-(run|bench) '?([^' ]+)`)
	tested   = regexp.MustCompile(`\./[\w/]+`)
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz|Example)\w*)\(`)
)

// A test or a benchmark that a document or a script calls by name is in one of the
// packages that are named with it. XXX stands for no test.
func TestNamedTestsExist(t *testing.T) {
	texts := documents(t)
	scripts, err := filepath.Glob(filepath.Join(root, "scripts", "*.sh"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(scripts, filepath.Join(root, ".ci", "run")) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	found := 0
	for document, text := range texts {
		for _, command := range goTest.FindAllString(text, -1) {
			names := chosen.FindAllStringSubmatch(command, -1)
			if names == nil {
				continue
			}
			var there []string
			for _, dir := range tested.FindAllString(command, -1) {
				there = append(there, testFuncs(t, dir)...)
			}
			for _, m := range names {
				if m[2] == "XXX" {
					continue
				}
				for name := range strings.SplitSeq(m[2], "|") {
					found++
					wanted := regexp.MustCompile(name)
					if !slices.ContainsFunc(there, func(f string) bool {
						return strings.HasPrefix(f, "Benchmark") == (m[1] == "bench") && wanted.MatchString(f)
					}) {
						t.Errorf("%s has %s, and there is no such %s", document, command, name)
					}
				}
			}
		}
	}
	if found < 12 {
		t.Errorf("%d found, want at least 12: are the patterns still right?", found)
	}
}

// testFuncs are the tests and benchmarks of a package.
func testFuncs(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no tests, %v", dir, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	return names
}
