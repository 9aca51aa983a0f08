package engine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = ".."

// documents are all Markdown files of the tree, by path from the root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") && name != root
		if hidden && d.IsDir() {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(name) != ".md" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		from, err := filepath.Rel(root, name)
		all[filepath.ToSlash(from)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("%d documents found, want at least 20", len(all))
	}
	return all
}

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
	return err == nil
}

var (
	fence = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	link  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	quote = regexp.MustCompile("`([^`\n]+)`")
)

// Every relative link leads somewhere.
func TestLinks(t *testing.T) {
	for name, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || target == "" {
				continue
			}
			if to := path.Join(path.Dir(name), target); !exists(to) {
				t.Errorf("%s links to %s, and there is no %s", name, m[1], to)
			}
		}
	}
}

// Every room of the engine stands in the two tables of rooms, and its page is linked from
// the tour.
func TestRooms(t *testing.T) {
	all := documents(t)
	rooms, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range rooms {
		room := d.Name()
		if !d.IsDir() {
			continue
		}
		for _, name := range []string{"README.md", "engine/README.md"} {
			if !strings.Contains(all[name], "`engine/"+room+"`") {
				t.Errorf("%s has no room engine/%s", name, room)
			}
		}
		page := room + "/README.md"
		if exists("engine/"+page) && !strings.Contains(all["engine/README.md"], "]("+page+")") {
			t.Errorf("engine/README.md has no link to %s", page)
		}
	}
}

// A quoted path is one from the root, or from the document's own folder. Outputs of
// the program and folders of other projects are quoted as well: only what begins
// with a room of the house, or is a file of Go beside the document, is held to be here.
var (
	inHouse = regexp.MustCompile(`^(engine|kernels|nets|data|cmd|scripts)/[\w./-]+$`)
	source  = regexp.MustCompile(`^[\w/-]+\.(go|cu|ptx|md|s|sh|py|tsv)$`)
	// Names that stand for others; scale is the example of kernels/cuda/README.md.
	standsFor = regexp.MustCompile(`NAME|OPERATOR|\bscale\b|^x_`)
)

func TestQuotedPathsExist(t *testing.T) {
	for name, text := range documents(t) {
		if path.Base(name) == "CHANGELOG.md" { // tells of what was
			continue
		}
		for _, m := range quote.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			p := m[1]
			if standsFor.MatchString(p) || !inHouse.MatchString(p) && !source.MatchString(p) {
				continue
			}
			if !exists(p) && !exists(path.Join(path.Dir(name), p)) {
				t.Errorf("%s names %s, which is neither in the root nor beside it", name, p)
			}
		}
	}
}

// A quoted name such as plan.Compile or train.Settings is exported by its package.
func TestQuotedNamesExist(t *testing.T) {
	packages := exported(t)
	name := regexp.MustCompile(`^([a-z]\w*)\.([A-Z]\w*)(?:\.([A-Z]\w*))?$`)
	found := 0
	for document, text := range documents(t) {
		for _, m := range quote.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			parts := name.FindStringSubmatch(m[1])
			if parts == nil || packages[parts[1]] == nil || path.Base(document) == "CHANGELOG.md" {
				continue
			}
			want := strings.Trim(parts[2]+"."+parts[3], ".")
			if found++; !slices.Contains(packages[parts[1]], want) {
				t.Errorf("%s names %s, which package %s does not export", document, m[1], parts[1])
			}
		}
	}
	if found < 30 {
		t.Errorf("%d names found, want at least 30: is the pattern still right?", found)
	}
}

// exported are the names of each package: functions, types, values, and methods and
// fields behind the name of their type.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, room := range []string{"engine", "kernels", "nets", "data"} {
		err := filepath.WalkDir(filepath.Join(root, room), func(name string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			all[f.Name.Name] = append(all[f.Name.Name], declared(f)...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func declared(f *ast.File) (names []string) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = receiver(d.Recv.List[0].Type) + "." + name
			}
			names = append(names, name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
					names = append(names, members(s)...)
				case *ast.ValueSpec:
					for _, n := range s.Names {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return names
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

func members(s *ast.TypeSpec) (names []string) {
	var list *ast.FieldList
	switch of := s.Type.(type) {
	case *ast.StructType:
		list = of.Fields
	case *ast.InterfaceType:
		list = of.Methods
	default:
		return nil
	}
	for _, field := range list.List {
		for _, n := range field.Names {
			names = append(names, s.Name.Name+"."+n.Name)
		}
	}
	return names
}
