package cuda

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing"
)

// checkCubins holds the machine code of a module against its PTX and the table.
func checkCubins(t *testing.T, tree fs.FS, module, ptx string) {
	t.Helper()
	packed, err := fs.ReadFile(tree, "kernels/cuda/cubins/"+module+".zst")
	if err != nil {
		t.Errorf("%v; run scripts/ptx.sh", err)
		return
	}
	of, all, err := unpackCubins(string(packed))
	if err != nil {
		t.Errorf("machine code of %s: %v", module, err)
		return
	}
	if sum := sha256.Sum256([]byte(ptx)); of != hex.EncodeToString(sum[:]) {
		t.Errorf("machine code of %s is not that of its PTX; run scripts/ptx.sh", module)
	}
	found := map[string]bool{}
	for _, c := range all {
		found[c.GPU] = true
		size, capability, err := CubinHead([64]byte(c.Code))
		if err != nil || size != len(c.Code) || fmt.Sprintf("sm_%d", capability) != strings.TrimSuffix(c.GPU, "a") {
			t.Errorf("%s for %s: its head says %d bytes, for %d, %v", module, c.GPU, size, capability, err)
		}
	}
	for _, r := range resources() {
		if r.Module == module && !found[r.GPU] {
			t.Errorf("there is no machine code of %s for %s", module, r.GPU)
			found[r.GPU] = true
		}
	}
}

// What is cut short, or no pack at all, is an error and no crash.
func TestBrokenCubins(t *testing.T) {
	head := "ptx ab\nsm_80 12.1 4\nsm_86 12.1 3\n\n"
	if ptx, all, err := unpackCubins(pack(head + "onetwo!")); ptx != "ab" || len(all) != 2 || string(all[1].Code) != "wo!" || all[1].Assembler != "12.1" || err != nil {
		t.Errorf("%q, %v, %v", ptx, all, err)
	}
	for _, text := range []string{"", "ptx ab", "ab\n\n", head + "onetw", "ptx ab\nsm_80 12.1 -4\n\n", "ptx ab\nsm_80 12.1\n\n"} {
		if _, _, err := unpackCubins(pack(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	if _, _, err := unpackCubins("no zstd"); err == nil {
		t.Error("no zstd is taken")
	}
	if _, _, err := CubinHead([64]byte{0x7f, 'E', 'L', 'F', 2}); err == nil {
		t.Error("an ELF file of another machine is taken")
	}
}

// pack makes a zstd frame of one block as it stands (RFC 8878, 3.1.1).
func pack(text string) string {
	n := len(text)<<3 | 1
	return "\x28\xb5\x2f\xfd\x20" + string([]byte{byte(len(text)), byte(n), byte(n >> 8), byte(n >> 16)}) + text
}

// A module that no program has registered has no machine code, nor one for a GPU that is not known.
func TestNoCubin(t *testing.T) {
	for _, m := range []*Module{NewModule("gemm_bf16", "")} {
		if code, err := m.Cubin(8, 0); code != nil || err != nil {
			t.Errorf("%s: %d bytes, %v", m.Name, len(code), err)
		}
	}
	if m := ModuleOf([]byte(strconv.Itoa(1))); m != nil {
		t.Errorf("a module %s of nothing", m.Name)
	}
}
