// Package collective is the processes that train together. A library moves bytes between
// them, such as MPI's; what they mean, and every addition, is the caller's.
package collective

import (
	"fmt"
	"time"
)

// Group is the processes of a run, of which this is the one numbered Rank.
type Group struct {
	Rank      int // from 0
	World     int // processes
	LocalRank int // among those of this machine

	*joined
}

// Alone is a process that trains by itself.
var Alone = Group{World: 1}

// joined is what the processes of a group are joined by.
type joined struct {
	link  Link
	sent  int64
	lost  error // the first error of the link, behind which nothing is in step any more
	limit Limit
}

// Link moves bytes between processes.
type Link interface {
	// About names the library, in a few words.
	About() string
	// Exchange sends send[r] to every other rank r, and fills recv[r] with what that one
	// sends, whose length both know. All ranks call it, in the same order. Every beat or
	// so it calls watch with the ranks that it waits for, and ends with its error.
	Exchange(send, recv [][]byte, watch func(missing []int, waited time.Duration) error) error
	// Quiet is how long a rank has not shown that it runs, while this one could have seen it.
	Quiet(rank int) time.Duration
	// Close ends the link, in order if all ranks do so now. Otherwise the others learn that
	// this process is gone.
	Close(inOrder bool) error
}

// Limit is how long others may take.
type Limit struct {
	Tell func(text string) // of those that are slow; nil: nobody
	Name time.Duration     // after which they are told of; 0: never
	End  time.Duration     // after which they are taken for lost; 0: never
}

// Join returns a group that a link joins.
func Join(link Link, rank, world int) Group {
	return Group{Rank: rank, World: world, joined: &joined{link: link}}
}

// Through is the group joined by what wrap makes of its link.
func (g Group) Through(wrap func(Link) Link) Group { return Join(wrap(g.link), g.Rank, g.World) }

// Check says what is wrong with a group.
func (g Group) Check() error {
	if g.Rank < 0 || g.Rank >= g.World || g.World > 1 && g.joined == nil {
		return fmt.Errorf("rank %d of %d processes: want a rank from 0 to one less than there are processes, which are joined", g.Rank, g.World)
	}
	return nil
}

// Share is the part of n micro-batches, in their order, that this process takes:
// those from first up to, but not including, end.
func (g Group) Share(n int) (first, end int) { return g.ShareOf(g.Rank, n) }

// ShareOf is that of another.
func (g Group) ShareOf(rank, n int) (first, end int) {
	return n * rank / g.World, n * (rank + 1) / g.World
}

// About names what joins the processes.
func (g Group) About() string {
	if g.joined == nil {
		return "one process"
	}
	return g.link.About()
}

// SetLimit says how long others may take from now on.
func (g Group) SetLimit(l Limit) {
	if g.joined != nil {
		g.limit = l
	}
}

// Sent is the bytes that this process has sent to others.
func (g Group) Sent() int64 {
	if g.joined == nil {
		return 0
	}
	return g.sent
}

// Lost is why the group is not in step any more; nil: it is.
func (g Group) Lost() error {
	if g.joined == nil {
		return nil
	}
	return g.lost
}

// Fail says that this process has failed in a way that the others do not know of. It
// returns the error.
func (g Group) Fail(err error) error {
	if g.joined != nil && g.lost == nil {
		g.lost = err
	}
	return err
}

// Close leaves the group: in order, which all ranks do together, or, where one is lost or
// this process has failed by itself, at once.
func (g Group) Close(failed bool) error {
	if g.joined == nil {
		return nil
	}
	if g.lost == nil && !failed {
		g.SetLimit(Limit{End: leaving})
		_ = g.Barrier() // who does not come is gone
	}
	return g.link.Close(g.lost == nil && !failed)
}

// leaving is how long a process waits for the others at its end.
const leaving = 30 * time.Second

// LostError is a process of the group that has gone, or does not answer.
type LostError struct {
	Rank int // -1: nobody knows which
	Err  error
}

func (e *LostError) Error() string {
	if e.Rank < 0 {
		return fmt.Sprintf("a process of the group is lost: %v", e.Err)
	}
	return fmt.Sprintf("process %d of the group is lost: %v", e.Rank, e.Err)
}

func (e *LostError) Unwrap() error { return e.Err }

// PeerError is what another process of the group has failed with.
type PeerError struct {
	Rank int
	Text string
}

func (e *PeerError) Error() string { return fmt.Sprintf("process %d of the group: %s", e.Rank, e.Text) }
