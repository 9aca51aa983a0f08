package machine

import "testing"

// TestMemoryKnown: on Linux the system says what memory there is and what was resident.
func TestMemoryKnown(t *testing.T) {
	if total, peak := Meminfo("MemTotal:"), PeakResident(); total <= 0 || peak <= 0 || peak > total {
		t.Errorf("%d bytes of memory, of which %d were resident", total, peak)
	}
	if SinceStart() <= 0 {
		t.Error("the process began in the future")
	}
}
