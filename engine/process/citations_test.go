package process

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	heading  = regexp.MustCompile(`(?m)^## (\d+)\. `)
	citation = regexp.MustCompile(`MATHEMATICS\.md, sections? (\d+)(?: and (\d+))?`)
	// A comment may break between the words; what begins the next line is no part of it.
	broken = regexp.MustCompile(`\n\s*//\s*`)
)

// Whoever cites the mathematics cites a section that is there.
func TestCitedSectionsExist(t *testing.T) {
	text, err := os.ReadFile("MATHEMATICS.md")
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for _, m := range heading.FindAllSubmatch(text, -1) {
		sections = append(sections, string(m[1]))
	}
	if len(sections) == 0 {
		t.Fatal("MATHEMATICS.md has no numbered sections")
	}
	cited := 0
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return filepath.SkipDir
		}
		if ext := filepath.Ext(path); d.IsDir() || ext != ".go" && ext != ".md" {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range citation.FindAllSubmatch(broken.ReplaceAll(source, []byte(" ")), -1) {
			for _, section := range m[1:] {
				if len(section) == 0 {
					continue
				}
				if cited++; !slices.Contains(sections, string(section)) {
					t.Errorf("%s cites section %s of MATHEMATICS.md, which has %s", path, section, strings.Join(sections, ", "))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if cited < 30 {
		t.Errorf("%d citations found, want at least 30: is the pattern still right?", cited)
	}
}
