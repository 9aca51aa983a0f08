package cpu

import (
	"math"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Threads is how many threads this process may keep busy: those that Go runs at a
// time (its processors, unless GOMAXPROCS says less), or what its control group or
// one above it grants, whichever is least.
func Threads() int {
	n := min(runtime.NumCPU(), runtime.GOMAXPROCS(0))
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return n // not Linux
	}
	return granted(n, string(own), groupRoot)
}

// groupRoot is where the file systems of control groups are mounted.
const groupRoot = "/sys/fs/cgroup"

// granted is how many of n threads the quotas leave of a process whose
// /proc/self/cgroup reads own.
func granted(n int, own, root string) int {
	for _, files := range quotaFiles(own, root) {
		text := ""
		for _, file := range files {
			data, _ := os.ReadFile(file) // no such file, no such quota
			text += string(data)
		}
		if quota, ok := parseQuota(text); ok {
			n = min(n, quota)
		}
	}
	return n
}

// quotaFiles lists where the quotas of a process lie whose /proc/self/cgroup
// reads "0::/a/b": those of /a/b, /a and /. In version 1 of control groups, where it
// reads "1:cpu,cpuacct:/a/b", a quota is two files.
func quotaFiles(own, root string) [][]string {
	var files [][]string
	for line := range strings.Lines(own) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		names := []string{"cpu.max"}
		if fields[1] != "" {
			if !slices.Contains(strings.Split(fields[1], ","), "cpu") {
				continue
			}
			names = []string{"cpu.cfs_quota_us", "cpu.cfs_period_us"}
		}
		for group := path.Clean("/" + fields[2]); ; group = path.Dir(group) {
			var quota []string
			for _, name := range names {
				quota = append(quota, path.Join(root, fields[1], group, name))
			}
			if files = append(files, quota); group == "/" {
				break
			}
		}
	}
	return files
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

// peakRounds makes a measurement of some tens of milliseconds; a round is 48
// fused multiply-adds of whole vectors, or 8 products of tiles.
const (
	peakRounds    = 1_000_000
	fmasPerRound  = 48
	flopsPerFMA   = 2
	peakRepeats   = 3
	portableDepth = 64
)

// Peak measures the arithmetic rate of the pool's instruction set on all its
// threads, in float32 operations a second.
func Peak(p *Pool) float64 {
	best := 0.0
	for range peakRepeats {
		start := time.Now()
		flops := 0.0
		if k := p.Kernels(); k.peak != nil {
			p.Run(p.Threads(), func(_, _ int) { k.peak(peakRounds) })
			flops = float64(p.Threads()) * peakRounds * fmasPerRound * flopsPerFMA * float64(k.Lanes)
		} else {
			flops = portablePeak(p)
		}
		best = max(best, flops/time.Since(start).Seconds())
	}
	return best
}

// PeakHalf measures the rate of products of bfloat16, or of float32 where the
// instruction set has none.
func PeakHalf(p *Pool) float64 {
	half := p.Kernels().Half
	if half == nil {
		return Peak(p)
	}
	best := 0.0
	for range peakRepeats {
		start := time.Now()
		p.Run(p.Threads(), func(_, _ int) { half.peak(peakRounds) })
		best = max(best, float64(p.Threads())*peakRounds*half.peakFLOPs/time.Since(start).Seconds())
	}
	return best
}

// bandwidthFloats is more than any cache holds.
const bandwidthFloats = 32 << 20

// Bandwidth measures the rate at which the pool copies memory, in bytes read and
// written a second.
func Bandwidth(p *Pool) float64 {
	from, to := Alloc(bandwidthFloats), Alloc(bandwidthFloats)
	defer Free(from)
	defer Free(to)
	for i := 0; i < len(from); i += 1024 {
		from[i] = 1 // pages that were never written are all the same one
	}
	part := bandwidthFloats / p.Threads()
	best := 0.0
	for range peakRepeats {
		start := time.Now()
		p.Run(p.Threads(), func(i, _ int) { copy(to[i*part:(i+1)*part], from[i*part:(i+1)*part]) })
		best = max(best, 8*float64(part*p.Threads())/time.Since(start).Seconds())
	}
	return best
}

// portablePeak runs the portable micro-kernel on memory that stays in the cache.
func portablePeak(p *Pool) float64 {
	const rounds = 500
	p.Run(p.Threads(), func(_, _ int) {
		a, b, c := aligned(portableDepth), aligned(portableDepth*16), aligned(TileRows*16)
		var rows [TileRows]uintptr
		for i := range rows {
			rows[i] = uintptr(pointer(a))
		}
		panel := uintptr(pointer(b))
		t := &Tile{A: &rows[0], B: &panel, Taps: 1, Depth: portableDepth, BPitch: 64, C: uintptr(pointer(c)), CPitch: 64, Rows: TileRows, Width: 16}
		for range rounds {
			portableTile(t)
		}
		runtime.KeepAlive([][]float32{a, b, c})
	})
	return float64(p.Threads()) * rounds * TileRows * 16 * portableDepth * flopsPerFMA
}
