package machine

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// OwnCores are the processors that this process may run on, as a text that tells them
// apart, and how many there are in the machine; empty and 0 where the system does not say.
func OwnCores() (mask string, all int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) == nil {
		mask = fmt.Sprintf("%x", set)
	}
	text, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return mask, 0
	}
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, err1 := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil {
			return mask, 0
		}
		all += b - a + 1
	}
	return mask, all
}
