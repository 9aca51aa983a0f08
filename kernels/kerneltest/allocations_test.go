package kerneltest

import "testing"

// TestAllocations: what is done each time counts, what happens once does not.
func TestAllocations(t *testing.T) {
	var kept []byte
	calls := 0
	for _, c := range []struct {
		name string
		f    func()
		want float64
	}{
		{"none", func() {}, 0},
		{"each time", func() { kept = make([]byte, 100) }, 1},
		{"in the second call alone", func() {
			if calls++; calls == 2 {
				kept = make([]byte, 100)
			}
		}, 0},
	} {
		if n := Allocations(c.f); n != c.want {
			t.Errorf("%s: %v allocations, want %v", c.name, n, c.want)
		}
	}
	_ = kept
}
