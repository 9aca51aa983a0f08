package cuda

import (
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Module is the PTX of one operator.
type Module struct {
	Name string // of the operator's folder
	ptx  func() string
}

// NewModule is a module of PTX that is at hand.
func NewModule(name, ptx string) *Module { return &Module{name, func() string { return ptx }} }

// PTX is the module's text.
func (m *Module) PTX() string { return m.ptx() }

// modules are all that were registered, by name.
var modules = map[string]*Module{}

// Register makes the embedded PTX of an operator known under its name; it is called from
// package variables. What is embedded is the .ptx.zst of scripts/ptx.sh, an eighth of
// the text, which is unpacked when it is first asked for.
func Register(name, packed string) *Module {
	if modules[name] != nil {
		panic("cuda: two modules are called " + name)
	}
	if !strings.HasPrefix(packed, "\x28\xb5\x2f\xfd") {
		panic("cuda: " + name + " is embedded as text; run scripts/ptx.sh and embed " + name + ".ptx.zst")
	}
	m := &Module{name, sync.OnceValue(func() string {
		ptx, err := unpack(packed)
		if err != nil {
			panic("cuda: module " + name + ": " + err.Error())
		}
		return ptx
	})}
	modules[name] = m
	return m
}

func unpack(packed string) (string, error) {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return "", err
	}
	defer r.Close()
	ptx, err := r.DecodeAll([]byte(packed), nil)
	return string(ptx), err
}

// Field returns what the head of a module's PTX says of itself: "source sha256",
// "compiler" or "options", as scripts/ptx.sh wrote them; empty where it says nothing.
func (m *Module) Field(name string) string { return field(m.PTX(), name) }

func field(ptx, name string) string {
	for line := range strings.Lines(ptx) {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), "// fluxion: ")
		if !ok {
			return ""
		}
		if value, ok := strings.CutPrefix(text, name+" "); ok {
			return value
		}
	}
	return ""
}
