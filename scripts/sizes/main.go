// Command sizes says what the bytes of a binary are: code, data and a share of the
// function tables by module, or by package.
//
//	CGO_ENABLED=0 go build -trimpath -o fluxion ./cmd/fluxion && go run ./scripts/sizes fluxion
//
// The binary is an ELF file with symbols, as without -ldflags=-s; stripping takes away
// symbols and debug information, which are not counted.
package main

import (
	"cmp"
	"debug/buildinfo"
	"debug/elf"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

func main() {
	packages := flag.Bool("packages", false, "by package instead of by module")
	top := flag.Int("top", 30, "lines; what is below them is one")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: sizes [-packages] [-top N] BINARY")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *packages, *top); err != nil {
		fmt.Fprintln(os.Stderr, "sizes:", err)
		os.Exit(1)
	}
}

// part is a module or package, in bytes.
type part struct {
	name               string
	code, data, tables float64
}

func (p part) total() float64 { return p.code + p.data + p.tables }

func run(path string, packages bool, top int) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	parts, rest, err := measure(file, func(pkg string) string {
		if packages {
			return pkg
		}
		return module(pkg, info)
	})
	if err != nil {
		return err
	}
	sorted := slices.SortedFunc(maps.Values(parts), func(a, b *part) int {
		return cmp.Or(cmp.Compare(b.total(), a.total()), cmp.Compare(a.name, b.name))
	})
	below, all := part{name: "others"}, *rest
	for i, p := range sorted {
		all.code, all.data, all.tables = all.code+p.code, all.data+p.data, all.tables+p.tables
		if i >= top {
			below.code, below.data, below.tables = below.code+p.code, below.data+p.data, below.tables+p.tables
		}
	}
	all.name = "all"
	fmt.Print("| KB | code | data | tables | sum |\n|---|---|---|---|---|\n")
	for _, p := range append(sorted[:min(top, len(sorted))], &below, rest, &all) {
		fmt.Printf("| %s | %.0f | %.0f | %.0f | %.0f |\n", p.name, p.code/1e3, p.data/1e3, p.tables/1e3, p.total()/1e3)
	}
	return nil
}

// measure adds the symbols that lie in the file to their parts. Function tables are
// shared by code; the rest are strings, types and what else has no name of its own.
func measure(file *elf.File, of func(pkg string) string) (parts map[string]*part, rest *part, err error) {
	symbols, err := file.Symbols()
	if err != nil {
		return nil, nil, fmt.Errorf("no symbols: built with -s? %w", err)
	}
	parts, rest = map[string]*part{}, &part{name: "strings (PTX among them), types, constants without a name"}
	var tables, code float64
	for _, s := range file.Sections {
		switch {
		case s.Flags&elf.SHF_ALLOC == 0 || s.Type == elf.SHT_NOBITS:
		case s.Name == ".gopclntab":
			tables += float64(s.Size)
		case s.Flags&elf.SHF_EXECINSTR != 0:
			rest.code += float64(s.Size)
		default:
			rest.data += float64(s.Size)
		}
	}
	for _, s := range symbols {
		if int(s.Section) >= len(file.Sections) || s.Size == 0 || strings.HasPrefix(s.Name, "runtime.") && elf.ST_TYPE(s.Info) != elf.STT_FUNC {
			continue // marks of the linker among them
		}
		section := file.Sections[s.Section]
		pkg := packageOf(s.Name)
		if section.Flags&elf.SHF_ALLOC == 0 || section.Type == elf.SHT_NOBITS || section.Name == ".gopclntab" || pkg == "" {
			continue
		}
		name := of(pkg)
		if parts[name] == nil {
			parts[name] = &part{name: name}
		}
		if size := float64(s.Size); section.Flags&elf.SHF_EXECINSTR != 0 {
			parts[name].code, rest.code, code = parts[name].code+size, rest.code-size, code+size
		} else {
			parts[name].data, rest.data = parts[name].data+size, rest.data-size
		}
	}
	for _, p := range parts {
		p.tables = tables * p.code / code
	}
	return parts, rest, nil
}

// packageOf is the package of a symbol; "" where the linker made it.
func packageOf(symbol string) string {
	if strings.HasPrefix(symbol, "go:") || strings.HasPrefix(symbol, "type:") {
		return ""
	}
	symbol, _, _ = strings.Cut(symbol, "[") // type arguments are of other packages
	slash := strings.LastIndexByte(symbol, '/') + 1
	name, _, found := strings.Cut(symbol[slash:], ".")
	if !found {
		return ""
	}
	return strings.ReplaceAll(symbol[:slash]+name, "%2e", ".")
}

// module is the module of a package.
func module(pkg string, info *buildinfo.BuildInfo) string {
	best := ""
	for _, d := range info.Deps {
		if (pkg == d.Path || strings.HasPrefix(pkg, d.Path+"/")) && len(d.Path) > len(best) {
			best = d.Path
		}
	}
	first, _, _ := strings.Cut(pkg, "/")
	switch {
	case best != "":
		return best
	case pkg == "main" || first == info.Main.Path:
		return info.Main.Path
	case first == "vendor" || first == "crypto" || first == "net":
		return "Go's library: net, crypto"
	}
	return "Go's library: others"
}
