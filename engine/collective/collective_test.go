package collective

import "testing"

// TestShare: the shares of the ranks follow each other, leave nothing out, and
// differ by one micro-batch at most.
func TestShare(t *testing.T) {
	for world := 1; world <= 9; world++ {
		for n := world; n <= 40; n++ {
			next := 0
			for rank := range world {
				first, end := Group{Rank: rank, World: world}.Share(n)
				if first != next || end-first < n/world || end-first > n/world+1 {
					t.Errorf("rank %d of %d takes %d to %d of %d, want it to begin at %d", rank, world, first, end, n, next)
				}
				next = end
			}
			if next != n {
				t.Errorf("%d ranks take %d of %d", world, next, n)
			}
		}
	}
	if first, end := Alone.Share(12); first != 0 || end != 12 {
		t.Errorf("one process takes %d to %d of 12", first, end)
	}
}

func TestCheck(t *testing.T) {
	if err := Alone.Check(); err != nil {
		t.Error(err)
	}
	for _, g := range []Group{{}, {Rank: -1, World: 1}, {Rank: 1, World: 1}, {World: 2}} {
		if g.Check() == nil {
			t.Errorf("%+v is taken", g)
		}
	}
}
