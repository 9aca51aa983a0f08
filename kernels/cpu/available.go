package cpu

import (
	"os"
	"strconv"
	"strings"
)

// AvailableMemory is how many bytes can be taken without swapping, by the system's
// own estimate; 0 where it makes none.
func AvailableMemory() int64 {
	data, _ := os.ReadFile("/proc/meminfo") // Linux alone has it
	return availableIn(string(data))
}

// availableIn reads a line "MemAvailable:   1234 kB".
func availableIn(meminfo string) int64 {
	_, rest, _ := strings.Cut(meminfo, "MemAvailable:")
	line, _, _ := strings.Cut(rest, "\n")
	kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
