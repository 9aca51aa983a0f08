package collective

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sockets joins processes of one machine, each to each.
type sockets struct {
	about string
	peers []net.Conn // by rank; nil: this process
	*pulse
	pulses []net.Conn    // that beats go by; of none for goroutines, which end as one
	ended  chan struct{} // closed with the link
	close  func()
	told   []atomic.Int32 // by each process: one more than the rank of one that it has lost
}

func newSockets(about string, world int) *sockets {
	s := &sockets{about: about, peers: make([]net.Conn, world), pulse: newPulse(world), pulses: make([]net.Conn, world), ended: make(chan struct{}), told: make([]atomic.Int32, world)}
	s.close = sync.OnceFunc(func() { close(s.ended) })
	return s
}

// Local returns the groups of so many processes that are goroutines of this one.
func Local(world int) []Group {
	links := make([]*sockets, world)
	for r := range links {
		links[r] = newSockets("goroutines", world)
		for q := range r {
			links[r].peers[q], links[q].peers[r] = net.Pipe()
		}
	}
	groups := make([]Group, world)
	for r := range groups {
		groups[r] = Join(links[r], r, world)
	}
	return groups
}

// errGone is a connection that ends: whatever the system calls it, the process is not there.
var errGone = errors.New("it is gone")

// grace is how long who has lost a process stays, so that others see which was first.
const grace = 200 * time.Millisecond

// count counts the beats of this process.
func (s *sockets) count() {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.beats.Add(1)
		case <-s.ended:
			return
		}
	}
}

// show sends beats, for as long as the connection is there.
func (s *sockets) show(c net.Conn) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for range tick.C {
		if binary.Write(c, binary.LittleEndian, int32(0)) != nil {
			return
		}
	}
}

// listen hears another's beats, the last of which may say whom it has lost.
func (s *sockets) listen(rank int, c net.Conn) {
	for {
		var lost int32
		if binary.Read(c, binary.LittleEndian, &lost) != nil {
			return
		}
		s.hear(rank)
		if lost > 0 {
			s.told[rank].Store(lost)
		}
	}
}

// tell says whom this process has lost, before it leaves.
func (s *sockets) tell(lost int) {
	for r, c := range s.pulses {
		if c != nil && r != lost && c.SetWriteDeadline(time.Now().Add(grace)) == nil {
			_ = binary.Write(c, binary.LittleEndian, int32(lost+1)) // who is gone has left, too
		}
	}
}

// gone is the loss of a process, or of the one for whose sake it has left.
func (s *sockets) gone(rank int) error {
	time.Sleep(grace) // what it says goes another way
	if err := s.heardOf(rank); err != nil {
		return err
	}
	return &LostError{rank, errGone}
}

// heardOf is the loss that a process has told of.
func (s *sockets) heardOf(rank int) error {
	if lost := int(s.told[rank].Load()) - 1; lost >= 0 {
		return &LostError{lost, fmt.Errorf("process %d says so", rank)}
	}
	return nil
}

func (s *sockets) About() string { return s.about }

// Exchange has one goroutine for each direction of each peer: none waits for another.
func (s *sockets) Exchange(send, recv [][]byte, watch func([]int, time.Duration) error) error {
	type moved struct {
		peer int
		err  error
	}
	done := make(chan moved, 2*len(s.peers))
	left, begin := make([]int, len(s.peers)), time.Now()
	var workers sync.WaitGroup
	move := func(peer int, f func() error) {
		left[peer]++
		workers.Go(func() { done <- moved{peer, f()} })
	}
	moves := 0
	for r, c := range s.peers {
		if c == nil {
			continue
		}
		if b := send[r]; len(b) > 0 {
			move(r, func() error { _, err := c.Write(b); return err })
			moves++
		}
		if b := recv[r]; len(b) > 0 {
			move(r, func() error { _, err := io.ReadFull(c, b); return err })
			moves++
		}
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	fail := func(err error) error {
		if lost := (*LostError)(nil); errors.As(err, &lost) {
			s.tell(lost.Rank)
		}
		time.Sleep(grace)
		err = errors.Join(err, s.Close(false)) // which ends what still moves
		workers.Wait()
		return err
	}
	for ; moves > 0; moves-- {
		select {
		case m := <-done:
			if left[m.peer]--; m.err != nil {
				return fail(s.gone(m.peer))
			}
		case <-tick.C:
			moves++
			var missing []int
			for r, n := range left {
				if err := s.heardOf(r); err != nil {
					return fail(err)
				}
				if n > 0 {
					missing = append(missing, r)
				}
			}
			if err := watch(missing, time.Since(begin)); err != nil {
				return fail(err)
			}
		}
	}
	return nil
}

func (s *sockets) Close(bool) (err error) {
	s.close()
	for _, c := range slices.Concat(s.peers, s.pulses) {
		if c != nil {
			_ = c.Close() // it may be closed already
		}
	}
	return nil
}
