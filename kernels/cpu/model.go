package cpu

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Model names the processor and its caches, as far as the system tells (Linux does);
// elsewhere it is the architecture and the features that matter here.
func Model() string {
	parts := []string{runtime.GOARCH}
	info, _ := os.ReadFile("/proc/cpuinfo") // none, no name
	parts = append(parts, modelName(string(info))...)
	caches, _ := filepath.Glob("/sys/devices/system/cpu/cpu0/cache/index*")
	slices.Sort(caches)
	for _, dir := range caches {
		read := func(file string) string {
			text, _ := os.ReadFile(filepath.Join(dir, file))
			return strings.TrimSpace(string(text))
		}
		if kind := read("type"); kind != "Instruction" {
			parts = append(parts, fmt.Sprintf("L%s %s", read("level"), read("size")))
		}
	}
	if len(parts) == 1 {
		parts = append(parts, Features()...)
	}
	return strings.Join(parts, ", ")
}

// modelName is the fields of the first processor in /proc/cpuinfo that tell it from
// others: a name on x86, numbers on arm64.
func modelName(info string) []string {
	var list []string
	for line := range strings.Lines(info) {
		key, value, ok := strings.Cut(line, ":")
		switch key, value = strings.TrimSpace(key), strings.TrimSpace(value); {
		case !ok && len(list) > 0:
			return list
		case key == "model name":
			list = append(list, value)
		case key == "CPU implementer" || key == "CPU part":
			list = append(list, key+" "+value)
		}
	}
	return list
}
