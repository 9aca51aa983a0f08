package settings

import (
	"fmt"
	"slices"
	"strings"

	"fluxion/data/lookup"
	"fluxion/data/setting"
	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/kernels/cpu"
)

// others begin with VariablePrefix and are no settings.
var others = []string{cpu.Variable, device.Variable, device.GraphVariable, device.WaitVariable, device.WarpgroupVariable, device.NCCLVariable, collective.Variable, collective.LibraryVariable}

// mistyped tells of variables that are nearly settings of a command, and set none of
// any. They stop nothing: others use the prefix, such as Kubernetes for a service of
// this name.
func mistyped(environment []string, list setting.List, every []string) (notes []string) {
	for _, pair := range environment {
		name, _, _ := strings.Cut(pair, "=")
		key, ours := strings.CutPrefix(name, VariablePrefix)
		key = strings.ToLower(key)
		if !ours || slices.Contains(others, name) || slices.Contains(every, key) {
			continue
		}
		near, ok := lookup.Nearest(key, every)
		if s, here := list.Find(near); ok && here && !s.Own {
			notes = append(notes, fmt.Sprintf("%s changes nothing; did you mean %s?", name, variable(near)))
		}
	}
	return notes
}
