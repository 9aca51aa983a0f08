package device

import (
	"errors"
	"strings"
	"testing"

	"fluxion/engine/plan"
	"fluxion/kernels/cpu"
)

func TestCheckMemory(t *testing.T) {
	for _, c := range []struct {
		planned, available int64
		fits               bool
	}{{5, 5, true}, {5, 0, true}, {6, 5, false}} {
		if err := checkMemory(c.planned, c.available); (err == nil) != c.fits {
			t.Errorf("%d of %d bytes: %v", c.planned, c.available, err)
		}
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
	sizes := [plan.Regions]int{plan.Arena: int(2 * available)}
	if _, err := d.Alloc(sizes); !errors.As(err, &full) || full.Planned != 2*available || !strings.Contains(err.Error(), "GiB") {
		t.Errorf("twice the memory that is available: %v", err)
	}
}
