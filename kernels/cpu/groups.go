package cpu

import (
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// groupRoot is where the file systems of control groups are mounted.
const groupRoot = "/sys/fs/cgroup"

// ownGroups reads which control groups this process is in, "" where there are none.
func ownGroups() string {
	own, _ := os.ReadFile("/proc/self/cgroup") // Linux alone has it
	return string(own)
}

// group is the folder of a control group, of version 1 or 2 of the kernel's interface.
type group struct {
	dir     string
	version int
}

// read returns the text of files of the group, one after the other; one that is not
// there limits nothing.
func (g group) read(names ...string) string {
	text := ""
	for _, name := range names {
		data, _ := os.ReadFile(path.Join(g.dir, name))
		text += string(data)
	}
	return text
}

// groupsOf lists the groups that a controller, cpu or memory, binds a process by whose
// /proc/self/cgroup reads own: its own and all above it. In version 2, where the line
// reads "0::/a/b", they are /a/b, /a and /; in version 1 a line names its controllers,
// as in "1:cpu,cpuacct:/a/b".
func groupsOf(controller, own, root string) []group {
	var list []group
	for line := range strings.Lines(own) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		version := 2
		if fields[1] != "" {
			if !slices.Contains(strings.Split(fields[1], ","), controller) {
				continue
			}
			version = 1
		}
		for at := path.Clean("/" + fields[2]); ; at = path.Dir(at) {
			if list = append(list, group{path.Join(root, fields[1], at), version}); at == "/" {
				break
			}
		}
	}
	return list
}

// granted is how many of n threads the quotas leave of a process whose
// /proc/self/cgroup reads own.
func granted(n int, own, root string) int {
	for _, g := range groupsOf("cpu", own, root) {
		files := []string{"cpu.max"}
		if g.version == 1 {
			files = []string{"cpu.cfs_quota_us", "cpu.cfs_period_us"}
		}
		if quota, ok := parseQuota(g.read(files...)); ok {
			n = min(n, quota)
		}
	}
	return n
}

// parseQuota reads "max 100000", "-1 100000" or "150000 100000": a quota and a period.
func parseQuota(text string) (threads int, ok bool) {
	f := strings.Fields(text)
	if len(f) != 2 {
		return 0, false
	}
	quota, err1 := strconv.ParseFloat(f[0], 64)
	period, err2 := strconv.ParseFloat(f[1], 64)
	if err1 != nil || err2 != nil || quota <= 0 || period <= 0 {
		return 0, false
	}
	return max(1, int(math.Ceil(quota/period))), true
}

// allowance is what control groups allow of memory, in bytes.
type allowance struct {
	limit int64 // the least of all; 0: there is none
	left  int64 // until one of them is full
}

// unlimited is more than any machine has: version 1 writes no limit as 2^63 less a page.
const unlimited = 1 << 62

// allowed is the memory that its control groups leave a process whose
// /proc/self/cgroup reads own.
func allowed(own, root string) allowance {
	var a allowance
	for _, g := range groupsOf("memory", own, root) {
		limits, usage := []string{"memory.max", "memory.high"}, "memory.current" // beyond high, it is slowed down to a stop
		if g.version == 1 {
			limits, usage = []string{"memory.limit_in_bytes"}, "memory.usage_in_bytes"
		}
		for _, file := range limits {
			limit, err := strconv.ParseInt(strings.TrimSpace(g.read(file)), 10, 64)
			if err != nil || limit >= unlimited { // "max", or no such file
				continue
			}
			used, _ := strconv.ParseInt(strings.TrimSpace(g.read(usage)), 10, 64)
			left := max(1, limit-max(0, used-reclaimable(g.read("memory.stat"))))
			if a.limit == 0 {
				a = allowance{limit, left}
			}
			a = allowance{min(a.limit, limit), min(a.left, left)}
		}
	}
	return a
}

// reclaimable is what the kernel gives up of a group's memory where more is wanted: its
// page cache, and caches of its own. Sums over the groups below, where version 1 has
// them, come last and count.
func reclaimable(stat string) int64 {
	values := map[string]int64{}
	for line := range strings.Lines(stat) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			values[strings.TrimPrefix(key, "total_")] = n
		}
	}
	return values["inactive_file"] + values["active_file"] + values["slab_reclaimable"]
}
