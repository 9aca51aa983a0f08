package collective

import (
	"sync/atomic"
	"time"
)

// Every process shows the others that it runs, whatever it computes or waits for: a long
// step is no loss, a process that is stopped is.
const (
	beat    = 500 * time.Millisecond
	silence = 6 * time.Second // after which a process is lost; three of four beats may come late
)

// pulse is when the others were last heard. Time is counted in beats of this process, so
// that it takes nobody for lost because it was stopped itself.
type pulse struct {
	beats atomic.Int64
	heard []atomic.Int64 // of beats, by rank
}

func newPulse(world int) *pulse { return &pulse{heard: make([]atomic.Int64, world)} }

// hear notes that a process has shown that it runs.
func (p *pulse) hear(rank int) { p.heard[rank].Store(p.beats.Load()) }

// Quiet is Link.Quiet.
func (p *pulse) Quiet(rank int) time.Duration {
	return time.Duration(p.beats.Load()-p.heard[rank].Load()) * beat
}
