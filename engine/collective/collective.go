// Package collective is the processes that train together. Today a group is one
// process; what a rank takes of a step is asked of its group all the same.
package collective

import "fmt"

// Group is the processes of a run, of which this is the one numbered Rank.
type Group struct {
	Rank  int // from 0
	World int // processes
}

// Alone is a process that trains by itself.
var Alone = Group{World: 1}

// Check says what is wrong with a group.
func (g Group) Check() error {
	switch {
	case g.Rank < 0 || g.Rank >= g.World:
		return fmt.Errorf("rank %d of %d processes: want a rank from 0 to one less than there are processes", g.Rank, g.World)
	case g.World > 1:
		return fmt.Errorf("%d processes: gradients of several are not added up yet, want one", g.World)
	}
	return nil
}

// Share is the part of n micro-batches, in their order, that this process takes:
// those from first up to, but not including, end.
func (g Group) Share(n int) (first, end int) {
	return n * g.Rank / g.World, n * (g.Rank + 1) / g.World
}
