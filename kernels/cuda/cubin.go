package cuda

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

// Cubin is the machine code of a module for one GPU, as ptxas assembled it.
type Cubin struct {
	GPU       string // of resources.tsv
	Assembler string // its version
	Code      []byte
}

// Cubin returns the machine code of a module for a compute capability: none if the program was built
// without (it is built with the tag gpu), or for a GPU that its assemblers did not know, which then compiles the PTX.
func (m *Module) Cubin(major, minor int) ([]byte, error) {
	if modules[m.Name] != m {
		return nil, nil
	}
	c, err := m.cubin(major, minor)
	return bytes.Clone(c.Code), err // the others need not stay in memory
}

func (m *Module) cubin(major, minor int) (Cubin, error) {
	packed, err := fs.ReadFile(cubins, "cubins/"+m.Name+".zst")
	if err != nil {
		return Cubin{}, nil // built without
	}
	_, all, err := unpackCubins(string(packed))
	if err != nil {
		return Cubin{}, fmt.Errorf("machine code of module %s: %w", m.Name, err)
	}
	for _, c := range all {
		if strings.TrimSuffix(c.GPU, "a") == fmt.Sprintf("sm_%d%d", major, minor) {
			return c, nil
		}
	}
	return Cubin{}, nil
}

// Code is the GPU of resources.tsv for whose machine code, which the program brings, a device need compile no PTX; empty if
// it has none for it. Drivers before CUDA 12 take none.
func (p Properties) Code() string {
	for _, m := range modules {
		if c, _ := m.cubin(p.Major, p.Minor); c.GPU != "" && p.DriverVersion >= 12000 {
			return c.GPU
		}
	}
	return ""
}

// unpackCubins reads what scripts/ptx.py packs: a line "ptx SHA256" with the hash of the PTX that was assembled, a line
// "GPU ASSEMBLER BYTES" for each GPU, an empty line, and the code of all, one behind the other.
func unpackCubins(packed string) (ptx string, all []Cubin, err error) {
	text, err := unpack(packed)
	if err != nil {
		return "", nil, err
	}
	head, code, ok := strings.Cut(text, "\n\n")
	if !ok {
		return "", nil, fmt.Errorf("no empty line behind its head")
	}
	for i, line := range strings.Split(head, "\n") {
		var c Cubin
		var size int
		if i == 0 {
			_, err = fmt.Sscanf(line, "ptx %s", &ptx)
		} else {
			_, err = fmt.Sscan(line, &c.GPU, &c.Assembler, &size)
		}
		if err != nil || size > len(code) || size < 0 {
			return "", nil, fmt.Errorf("line %q of its head: %d bytes are left, %v", line, len(code), err)
		}
		if i > 0 {
			c.Code, code = []byte(code[:size]), code[size:]
			all = append(all, c)
		}
	}
	return ptx, all, nil
}

// embedded are the modules by the hash of each of their cubins.
var embedded = sync.OnceValue(func() map[[sha256.Size]byte]*Module {
	found := map[[sha256.Size]byte]*Module{}
	for _, m := range modules {
		packed, err := fs.ReadFile(cubins, "cubins/"+m.Name+".zst")
		if err != nil {
			continue
		}
		if _, all, err := unpackCubins(string(packed)); err == nil {
			for _, c := range all {
				found[sha256.Sum256(c.Code)] = m
			}
		}
	}
	return found
})

// ModuleOf is the module of which this is the machine code, nil if it is no module's of this program. The simulated
// driver, which executes PTX alone, asks for it.
func ModuleOf(cubin []byte) *Module { return embedded()[sha256.Sum256(cubin)] }

// IsELF tells machine code from PTX.
func IsELF(image []byte) bool { return bytes.HasPrefix(image, []byte("\x7fELF")) }

// CubinHead reads the head of an ELF file of 64 bits for CUDA: its size, and the compute capability that it is
// for, as 80. What bits of e_flags have it depends on the version of the ABI, as cuobjdump of CUDA 12.9 shows.
func CubinHead(head [64]byte) (size, capability int, err error) {
	word := func(at, bytes int) int {
		var b [8]byte
		copy(b[:bytes], head[at:])
		return int(binary.LittleEndian.Uint64(b[:]))
	}
	const machineCUDA = 190
	if !IsELF(head[:]) || word(18, 2) != machineCUDA {
		return 0, 0, fmt.Errorf("no ELF file for CUDA")
	}
	programs, sections := word(32, 8), word(40, 8)
	size = max(programs+word(54, 2)*word(56, 2), sections+word(58, 2)*word(60, 2))
	flags := word(48, 4)
	if abi := head[8]; abi >= 8 {
		return size, flags >> 8 & 0xff, nil
	}
	return size, flags & 0xff, nil
}
