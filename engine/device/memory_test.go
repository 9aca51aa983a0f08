package device

import (
	"errors"
	"math"
	"strings"
	"testing"

	"fluxion/engine/plan"
	"fluxion/kernels/cpu"
)

func TestCheckMemory(t *testing.T) {
	for _, c := range []struct {
		planned, available int64
		fits               bool
	}{{5, 5, true}, {5, 0, true}, {6, 5, false}, {math.MaxInt64, 5, false}} {
		if err := check(c.available, []Need{{"a plan", c.planned}, {"nothing", 0}}); (err == nil) != c.fits {
			t.Errorf("%d of %d bytes: %v", c.planned, c.available, err)
		}
	}
	sum := check(1<<30, []Need{{"weights", 1 << 62}, {"images", 1 << 62}, {"labels", 1}})
	if sum == nil || !strings.Contains(sum.Error(), "more than") || !strings.Contains(sum.Error(), "images 4294967296.0 GiB") || strings.Contains(sum.Error(), "labels") {
		t.Errorf("a sum that no int64 holds: %v", sum)
	}
	d, err := NewCPU(1, "portable")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	available := cpu.AvailableMemory()
	if available == 0 {
		t.Log("this system does not say what memory is available; nothing is refused on it")
		return
	}
	var full *MemoryError
	sizes := plan.Sizes{plan.Arena: int(2 * available)}
	if _, err := d.Alloc(sizes); !errors.As(err, &full) || full.Planned != 2*available || !strings.Contains(err.Error(), "GiB") {
		t.Errorf("twice the memory that is available: %v", err)
	}
}

// TestMemoryUnits: what is refused reads as more than there is, below a GiB too.
func TestMemoryUnits(t *testing.T) {
	err := check(200<<20, []Need{{What: "the plan", Bytes: 210 << 20}})
	if err == nil || !strings.Contains(err.Error(), "210 MiB") || !strings.Contains(err.Error(), "200 MiB") {
		t.Error(err)
	}
}
