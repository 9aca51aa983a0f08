package cuda

import "strings"

// Field returns what the head of a module's PTX says of itself: "source sha256",
// "compiler" or "options", as scripts/ptx.sh wrote them; empty where it says nothing.
func (m *Module) Field(name string) string { return field(m.PTX, name) }

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
