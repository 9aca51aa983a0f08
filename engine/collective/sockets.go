package collective

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// sockets joins processes of one machine, each to each.
type sockets struct {
	about string
	peers []net.Conn // by rank; nil: this process
}

// Local returns the groups of so many processes that are goroutines of this one.
func Local(world int) []Group {
	links := make([]*sockets, world)
	for r := range links {
		links[r] = &sockets{about: "goroutines", peers: make([]net.Conn, world)}
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

// meeting is how long processes wait for each other at their start.
const meeting = time.Minute

// errGone is a connection that ends: whatever the system calls it, the process is not there.
var errGone = errors.New("it is gone")

// grace is how long who has lost a process stays, so that others see which was first.
const grace = 200 * time.Millisecond

// meet joins the processes that meet in a folder of this machine.
func meet(dir string, rank, world int) (Group, error) {
	s := &sockets{about: "sockets in " + dir, peers: make([]net.Conn, world)}
	path := func(rank int) string { return filepath.Join(dir, fmt.Sprint(rank)) }
	end := time.Now().Add(meeting)
	_ = os.Remove(path(rank)) // that of a process that was killed
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path(rank), Net: "unix"})
	if err != nil {
		return Group{}, fmt.Errorf("%s: %w", Variable, err)
	}
	defer func() { _ = l.Close() }() // nobody comes any more
	if err := l.SetDeadline(end); err != nil {
		return Group{}, err
	}
	for r := range rank {
		for s.peers[r] == nil {
			c, err := net.Dial("unix", path(r))
			if err == nil {
				_, err = c.Write(binary.LittleEndian.AppendUint32(nil, uint32(rank)))
			}
			if err == nil {
				s.peers[r] = c
			} else if time.Now().After(end) {
				return Group{}, errors.Join(&LostError{r, fmt.Errorf("it is not there: %w", err)}, s.Close(false))
			} else {
				time.Sleep(20 * time.Millisecond)
			}
		}
	}
	for range world - 1 - rank {
		c, err := l.Accept()
		var from [4]byte
		if err == nil {
			_, err = io.ReadFull(c, from[:])
		}
		if err != nil {
			return Group{}, errors.Join(fmt.Errorf("%s: waiting for %d processes: %w", Variable, world, err), s.Close(false))
		}
		r := int(binary.LittleEndian.Uint32(from[:]))
		if r <= rank || r >= world || s.peers[r] != nil {
			return Group{}, errors.Join(fmt.Errorf("%s: a process that calls itself %d of %d", Variable, r, world), s.Close(false))
		}
		s.peers[r] = c
	}
	return Join(s, rank, world), nil
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
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	fail := func(err error) error {
		time.Sleep(grace)
		err = errors.Join(err, s.Close(false)) // which ends what still moves
		workers.Wait()
		return err
	}
	for ; moves > 0; moves-- {
		select {
		case m := <-done:
			if left[m.peer]--; m.err != nil {
				return fail(&LostError{m.peer, errGone})
			}
		case <-tick.C:
			moves++
			var missing []int
			for r, n := range left {
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
	for _, c := range s.peers {
		if c != nil {
			_ = c.Close() // it may be closed already
		}
	}
	return nil
}
