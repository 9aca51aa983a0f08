package cpu

import (
	"os"
	"strconv"
	"strings"
)

// AvailableMemory is how many bytes this process can take without swapping or being
// stopped: by the system's own estimate, by its control groups, by its own limits (see
// ulimit), whichever is least; 0 where nothing is known.
func AvailableMemory() int64 {
	meminfo, _ := os.ReadFile("/proc/meminfo") // Linux alone has it
	least := availableIn(string(meminfo))
	for _, n := range []int64{allowed(ownGroups(), groupRoot).left, processLeft()} {
		if n > 0 && (n < least || least == 0) {
			least = n
		}
	}
	return least
}

// MemoryLimit is the least that a control group of this process allows of memory, in
// bytes, and what is left of it; 0 without a limit.
func MemoryLimit() (limit, left int64) {
	a := allowed(ownGroups(), groupRoot)
	return a.limit, a.left
}

// availableIn reads a line "MemAvailable:   1234 kB".
func availableIn(meminfo string) int64 { return kibibytes(meminfo, "MemAvailable:") }

// kibibytes reads the number of KiB behind a key, in bytes; 0 without.
func kibibytes(text, key string) int64 {
	_, rest, _ := strings.Cut(text, key)
	line, _, _ := strings.Cut(rest, "\n")
	kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
