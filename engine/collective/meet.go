package collective

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// meeting is how long processes wait for each other at their start.
const meeting = time.Minute

// greeting is what a process says of a connection that it opens.
type greeting struct {
	Rank, Kind uint32
}

// Kinds of connections between two processes.
const (
	ofData = iota
	ofBeats
	kinds
)

func (s *sockets) of(kind int) []net.Conn { return [][]net.Conn{s.peers, s.pulses}[kind] }

// meet joins the processes that meet in a folder of this machine.
func meet(dir string, rank, world int) (Group, error) {
	s := newSockets("sockets in "+dir, world)
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
	for i := range kinds * rank {
		if err := s.call(path(i/kinds), i/kinds, greeting{uint32(rank), uint32(i % kinds)}, end); err != nil {
			return Group{}, errors.Join(err, s.Close(false))
		}
	}
	for range kinds * (world - 1 - rank) {
		if err := s.answer(l, rank, end); err != nil {
			return Group{}, errors.Join(fmt.Errorf("%s: waiting for %d processes: %w", Variable, world, err), s.Close(false))
		}
	}
	go s.count()
	for r, c := range s.pulses {
		if c != nil {
			go s.show(c)
			go s.listen(r, c)
		}
	}
	return Join(s, rank, world), nil
}

// call opens a connection to a process that may not be there yet.
func (s *sockets) call(path string, rank int, g greeting, end time.Time) error {
	for {
		c, err := net.Dial("unix", path)
		if err == nil {
			if err = binary.Write(c, binary.LittleEndian, g); err == nil {
				s.of(int(g.Kind))[rank] = c
				return nil
			}
			_ = c.Close()
		}
		if time.Now().After(end) {
			return &LostError{rank, fmt.Errorf("it is not there: %w", err)}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// answer takes a connection that a process of a higher rank opens.
func (s *sockets) answer(l *net.UnixListener, rank int, end time.Time) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	var g greeting
	if err = c.SetReadDeadline(end); err == nil {
		err = binary.Read(c, binary.LittleEndian, &g)
	}
	if r := int(g.Rank); err == nil && (r <= rank || r >= len(s.peers) || g.Kind >= kinds || s.of(int(g.Kind))[r] != nil) {
		err = fmt.Errorf("a process that calls itself %d of %d", r, len(s.peers))
	}
	if err == nil {
		err = c.SetReadDeadline(time.Time{})
	}
	if err != nil {
		return errors.Join(err, c.Close())
	}
	s.of(int(g.Kind))[g.Rank] = c
	return nil
}
