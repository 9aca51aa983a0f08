package device

import (
	"fmt"
	"math"
	"strings"

	"fluxion/engine/plan"
	"fluxion/kernels/cpu"
)

// Need is memory of the host that something is about to take.
type Need struct {
	What  string
	Bytes int64
}

// MemoryError is a demand for more memory than the host, or a GPU, has left. To go on would
// swap, or end with the process killed.
type MemoryError struct {
	Planned, Available int64 // bytes
	Needs              []Need
	Device             string   // whose memory it is; empty: the host's
	Fits               []string // settings with which it would fit, where somebody has looked for them
}

func (e *MemoryError) Error() string {
	if e.Device != "" {
		return fmt.Sprintf("%s of memory are planned, %s are free on %s; %s", gib(e.Planned), gib(e.Available), e.Device, WouldFit(e.Fits))
	}
	parts := ""
	if len(e.Needs) > 1 {
		var list []string
		for _, n := range e.Needs {
			if n.Bytes > e.Planned/100 {
				list = append(list, n.What+" "+gib(n.Bytes))
			}
		}
		parts = " (" + strings.Join(list, ", ") + ")"
	}
	return fmt.Sprintf("%s of memory are planned%s, %s are available: want smaller batches, which training joins with --accumulate, a smaller size, fewer images in a grid, or --recompute blocks in training",
		gib(e.Planned), parts, gib(e.Available))
}

func gib(bytes int64) string {
	if bytes == math.MaxInt64 {
		return "more than 8589934592 GiB"
	}
	if bytes < 1<<30 {
		return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
}

// CheckMemory compares what is needed together with what the machine, the control
// groups and the limits of this process leave. It is the one place that does, and must
// come before anything of such a size is allocated: Go's runtime cannot go on where
// there is no memory.
func CheckMemory(needs ...Need) error { return check(cpu.AvailableMemory(), needs) }

// check compares needs with what there is, 0 where that is not known.
func check(available int64, needs []Need) error {
	total := int64(0)
	for _, n := range needs {
		total = plan.Add(total, n.Bytes)
	}
	if available > 0 && total > available {
		return &MemoryError{Planned: total, Available: available, Needs: needs}
	}
	return nil
}

// PlanNeed is the part of a plan's memory that a device takes from the host.
func PlanNeed(d Device, sizes plan.Sizes) Need { return HostNeed(d, "the plan", sizes.Bytes()) }

// HostNeed is the part of some memory of a device that it takes from the host.
func HostNeed(d Device, what string, bytes int64) Need {
	n := Need{What: what}
	if _, host := d.(*CPU); host || d.Simulated() {
		n.Bytes = bytes
	}
	return n
}
