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

// meeting is how long processes of one machine wait for each other at their start.
const meeting = time.Minute

// greeting is what a process says of a connection that it opens.
type greeting struct {
	Mark             [8]byte // that it is one of ours
	Rank, Kind, Port uint32  // of the network: where it answers others
}

var mark = [8]byte{'f', 'l', 'u', 'x', 'i', 'o', 'n', '1'}

// Kinds of connections between two processes.
const (
	ofData = iota
	ofBeats
	kinds
)

func (s *sockets) of(kind int) []net.Conn { return [][]net.Conn{s.peers, s.pulses}[kind] }

// encounter is a process on its way into a group.
type encounter struct {
	*sockets
	rank      int
	at        net.Listener
	end       time.Time
	addresses []string // of the others, on a network
	odd       error    // who was turned away
}

// meet joins the processes that meet in a folder of this machine.
func meet(dir string, rank, world int) (Group, error) {
	path := func(rank int) string { return filepath.Join(dir, fmt.Sprint(rank)) }
	_ = os.Remove(path(rank)) // that of a process that was killed
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path(rank), Net: "unix"})
	if err != nil {
		return Group{}, fmt.Errorf("%s: %w", Variable, err)
	}
	end := time.Now().Add(meeting)
	e := &encounter{sockets: newSockets("sockets in "+dir, world), rank: rank, at: l, end: end}
	err = l.SetDeadline(end)
	for i := 0; err == nil && i < kinds*rank; i++ {
		err = e.call("unix", path(i/kinds), i/kinds, i%kinds)
	}
	if err == nil {
		if err = e.answer(kinds * (world - 1 - rank)); err != nil {
			err = fmt.Errorf("%s: waiting for %d processes: %w", Variable, world, err)
		}
	}
	return e.begin(err)
}

// begin ends the meeting: nobody comes any more.
func (e *encounter) begin(err error) (Group, error) {
	_ = e.at.Close()
	if err != nil {
		return Group{}, errors.Join(err, e.Close(false))
	}
	go e.count()
	for r, c := range e.pulses {
		if c != nil {
			go e.show(c)
			go e.listen(r, c)
		}
	}
	return Join(e.sockets, e.rank, len(e.peers)), nil
}

// call opens a connection to a process that may not be there yet.
func (e *encounter) call(network, address string, rank, kind int) error {
	g := greeting{Mark: mark, Rank: uint32(e.rank), Kind: uint32(kind)}
	if at, ok := e.at.Addr().(*net.TCPAddr); ok {
		g.Port = uint32(at.Port)
	}
	for {
		c, err := net.DialTimeout(network, address, time.Until(e.end))
		if err == nil {
			if err = binary.Write(c, binary.LittleEndian, g); err == nil {
				e.of(kind)[rank] = c
				return nil
			}
			_ = c.Close()
		}
		if time.Now().After(e.end) {
			return &LostError{rank, fmt.Errorf("it is not there: %w", err)}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// slow is how long who opens a connection may take to say what it is.
const slow = 5 * time.Second

// answer takes so many connections of other processes. Who is none of them is not minded.
func (e *encounter) answer(connections int) error {
	for connections > 0 {
		c, err := e.at.Accept()
		if err != nil {
			return errors.Join(err, e.odd)
		}
		if e.take(c) {
			connections--
		} else {
			_ = c.Close()
		}
	}
	return nil
}

// take keeps a connection that another process has opened.
func (e *encounter) take(c net.Conn) bool {
	var g greeting
	end := time.Now().Add(slow)
	if end.After(e.end) {
		end = e.end
	}
	if c.SetReadDeadline(end) != nil || binary.Read(c, binary.LittleEndian, &g) != nil || c.SetReadDeadline(time.Time{}) != nil {
		return false
	}
	if g.Mark != mark || g.Kind >= kinds {
		return false
	}
	if int(g.Rank) >= len(e.peers) || int(g.Rank) == e.rank || e.of(int(g.Kind))[g.Rank] != nil {
		e.odd = fmt.Errorf("another that calls itself %d of %d was turned away", g.Rank, len(e.peers))
		return false
	}
	e.of(int(g.Kind))[g.Rank] = c
	if at, ok := c.RemoteAddr().(*net.TCPAddr); ok && g.Port > 0 && g.Kind == ofData && e.rank == 0 {
		e.addresses[g.Rank] = net.JoinHostPort(at.IP.String(), fmt.Sprint(g.Port))
	}
	return true
}
