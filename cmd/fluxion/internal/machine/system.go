// Package machine is what this machine offers: devices, what was measured of them, memory.
package machine

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"
)

// started is when the process began, as far as it can tell itself.
var started = time.Now()

// userHz is the unit of process start times in /proc on every Linux that Go runs on.
const userHz = 100

// SinceStart is the time since the process was started, by the kernel's account
// where it gives one.
func SinceStart() time.Duration {
	stat, err1 := os.ReadFile("/proc/self/stat")
	uptime, err2 := os.ReadFile("/proc/uptime")
	if err1 != nil || err2 != nil {
		return time.Since(started)
	}
	// The command, in parentheses, may hold spaces; starttime is field 22.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return time.Since(started)
	}
	ticks, err1 := strconv.ParseFloat(fields[19], 64)
	up, err2 := strconv.ParseFloat(strings.Fields(string(uptime))[0], 64)
	if err1 != nil || err2 != nil {
		return time.Since(started)
	}
	return max(time.Since(started), time.Duration((up-ticks/userHz)*float64(time.Second)))
}

// PeakResident is the most memory that was resident, in bytes; 0 where the system does not say.
func PeakResident() int64 { return kibField("/proc/self/status", "VmHWM:") }

// Meminfo is a line of the system's account of its memory, in bytes; 0 where there is none.
func Meminfo(key string) int64 { return kibField("/proc/meminfo", key) }

// kibField is a number of KiB behind a key, in bytes.
func kibField(path, key string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	_, rest, ok := strings.Cut(string(data), key)
	if !ok {
		return 0
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
