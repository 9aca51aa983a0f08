package cuda

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var targets = regexp.MustCompile(`(?m)^// targets: (.*)$`) // scripts/ptx.py; without, compute_80

var include = regexp.MustCompile(`(?m)^\s*#\s*include\s+"([^"]+)"`)

// sources are a file and all of ours that it includes, in the order of first use.
func sources(tree fs.FS, name string, found []string) ([]string, error) {
	if slices.Contains(found, name) {
		return found, nil
	}
	content, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	found = append(found, name)
	for _, m := range include.FindAllStringSubmatch(string(content), -1) {
		beside := path.Join(path.Dir(name), m[1])
		if _, err := fs.Stat(tree, beside); err != nil {
			beside = path.Join("kernels/cuda/include", m[1])
		}
		if found, err = sources(tree, beside, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// sourceHash is the one that scripts/ptx.py writes.
func sourceHash(tree fs.FS, name string) (string, error) {
	names, err := sources(tree, name, nil)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, n := range names {
		content, err := fs.ReadFile(tree, n)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", n, len(content))
		h.Write(content)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// A .cu that was edited, or whose header was, without running scripts/ptx.sh.
func TestPTXMatchesSource(t *testing.T) {
	tree := os.DirFS(filepath.Join("..", ".."))
	modules := 0
	err := fs.WalkDir(tree, "kernels", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".cu" {
			return err
		}
		want, err := sourceHash(tree, name)
		if err != nil {
			return err
		}
		base := strings.TrimSuffix(name, ".cu")
		compiled, err := fs.Glob(tree, base+"_compute_*.ptx")
		if err != nil {
			return err
		}
		source, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		if targets := targets.FindSubmatch(source); targets == nil || strings.Contains(string(targets[1]), "compute_80") {
			compiled = append(compiled, base+".ptx")
		}
		for _, ptx := range compiled {
			modules++
			content, err := fs.ReadFile(tree, ptx)
			if err != nil {
				t.Errorf("%s was never compiled: %v; run scripts/ptx.sh", name, err)
			} else if got := field(string(content), "source sha256"); got != want {
				t.Errorf("%s is not compiled from %s and its headers as they are; run scripts/ptx.sh", ptx, name)
			}
			if needs := needs(t, ptx, string(content)); strings.Contains(string(content), "\n.target sm_80\n") && needs > OldestDriver {
				t.Errorf("%s needs a driver of CUDA %s; those from %s on are to run it", ptx, CUDAVersion(needs), CUDAVersion(OldestDriver))
			}
			if strings.Contains(ptx, "/testdata/") {
				continue // run by tests alone
			}
			if packed, err := fs.ReadFile(tree, ptx+".zst"); err != nil {
				t.Errorf("%v; run scripts/ptx.sh", err)
			} else if text, err := unpack(string(packed)); err != nil || text != string(content) {
				t.Errorf("%s.zst does not hold %s (%v); run scripts/ptx.sh", ptx, ptx, err)
			}
			module := strings.TrimSuffix(path.Base(ptx), ".ptx")
			checkCubins(t, tree, module, string(content))
			if !slices.ContainsFunc(resources(), func(r Resources) bool { return r.Module == module }) {
				t.Errorf("resources.tsv has no line for %s; run scripts/ptx.sh", module)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if modules == 0 {
		t.Error("found no kernels")
	}
}

// needs is the CUDA whose driver knows the .version of a PTX.
func needs(t *testing.T, name, ptx string) int {
	m := regexp.MustCompile(`(?m)^\.version (\d+)\.(\d+)$`).FindStringSubmatch(ptx)
	if m == nil {
		t.Fatalf("%s has no .version", name)
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return VersionOfPTX(major, minor)
}

// By the table of releases in the PTX ISA, "Release Notes".
func TestVersionOfPTX(t *testing.T) {
	for ptx, want := range map[[2]int]string{{7, 0}: "11.0", {7, 4}: "11.4", {7, 8}: "11.8", {8, 0}: "12.0", {8, 5}: "12.5", {8, 6}: "12.7", {8, 8}: "12.9", {9, 0}: "13.0"} {
		if got := CUDAVersion(VersionOfPTX(ptx[0], ptx[1])); got != want {
			t.Errorf("PTX %v came with CUDA %s, want %s", ptx, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	text, err := os.ReadFile("resources.tsv")
	if packed, wrong := unpack(table); err != nil || wrong != nil || packed != string(text) {
		t.Errorf("resources.tsv.zst does not hold resources.tsv (%v, %v); run scripts/ptx.sh", err, wrong)
	}
	seen := map[Resources]bool{}
	for _, r := range resources() {
		m, ok := Multiprocessors[r.GPU]
		if !ok {
			t.Fatalf("%+v: no such GPU", r)
		}
		if blocks, _ := m.Occupancy(r.Threads, r.Registers, r.Shared); blocks != r.Blocks || blocks == 0 {
			t.Errorf("%+v: computed %d blocks", r, blocks)
		}
		if r.Spills != 0 {
			t.Errorf("%s spills %d bytes on %s", r.Function, r.Spills, r.GPU)
		}
		key := Resources{Module: r.Module, Function: r.Function, GPU: r.GPU}
		if seen[key] {
			t.Errorf("%+v is there twice", key)
		}
		seen[key] = true
	}
}

// Against NVIDIA's calculator, CUDA_Occupancy_calculator.xls, by hand.
func TestOccupancy(t *testing.T) {
	for _, c := range []struct {
		gpu                              string
		threads, registers, shared, want int
	}{
		{"sm_80", 256, 32, 0, 8},
		{"sm_80", 256, 33, 0, 6},        // 1280 registers a warp, 48 warps
		{"sm_80", 128, 255, 0, 2},       // 8192 a warp, 8 warps
		{"sm_80", 1024, 64, 0, 1},       // 32 warps
		{"sm_80", 1024, 72, 0, 0},       // 28 warps
		{"sm_80", 32, 16, 0, 32},        // the limit of blocks
		{"sm_80", 96, 168, 0, 4},        // 5376 a warp, 3 in each quarter, 12 warps
		{"sm_80", 128, 32, 48 << 10, 3}, // 49 KB of 164
		{"sm_86", 128, 32, 99 << 10, 1},
		{"sm_86", 128, 32, 100 << 10, 0},
		{"sm_86", 128, 32, 0, 12},
		{"sm_86", 32, 32, 0, 16},
		{"sm_89", 32, 32, 0, 24},
		{"sm_90a", 384, 168, 227 << 10, 1},
		{"sm_90a", 256, 128, 113 << 10, 2},
	} {
		if got, share := Multiprocessors[c.gpu].Occupancy(c.threads, c.registers, c.shared); got != c.want || share > 1 {
			t.Errorf("%+v: %d blocks, %.2f of the warps", c, got, share)
		}
	}
}

func TestField(t *testing.T) {
	m := NewModule("m", "// fluxion: source sha256 ab\n// fluxion: options -a -b\n//\n// fluxion: compiler late\n")
	if m.Field("source sha256") != "ab" || m.Field("options") != "-a -b" || m.Field("compiler") != "" {
		t.Errorf("%q %q %q", m.Field("source sha256"), m.Field("options"), m.Field("compiler"))
	}
}
