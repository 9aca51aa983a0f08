package cuda

import (
	"strings"
	"sync"
)

// written are the instructions in the PTX of functions, by module, once somebody has asked.
var written sync.Map

// Instructions is how many the PTX of a function has, as they stand; 0 if there is no such function.
func (m *Module) Instructions(function string) int {
	all, known := written.Load(m)
	if !known {
		all, _ = written.LoadOrStore(m, count(m.PTX()))
	}
	return all.(map[string]int)[function]
}

// count goes through PTX as NVRTC writes it: a statement a line, a function from its
// name to a brace at the beginning of a line.
func count(ptx string) map[string]int {
	all, name := map[string]int{}, ""
	for line := range strings.Lines(ptx) {
		line = strings.TrimRight(line, "\r\n")
		if _, rest, ok := strings.Cut(line, ".entry "); ok {
			name, _, _ = strings.Cut(rest, "(")
			continue
		}
		if line == "}" {
			name = ""
		}
		statement := strings.TrimSpace(line)
		if name != "" && strings.HasSuffix(statement, ";") && !strings.HasPrefix(statement, ".") && !strings.HasPrefix(statement, "//") {
			all[name]++
		}
	}
	return all
}

// Machine is how many instructions of a GPU there are for one of the call's PTX: what the
// assembler folds is not there. It is 1 where the table does not know the function.
func (c Call) Machine(gpu string) float64 {
	r, known := c.Needs(gpu)
	n := c.Module.Instructions(c.Function)
	if !known || n == 0 || r.Instructions == 0 {
		return 1
	}
	return float64(r.Instructions) / float64(n)
}
