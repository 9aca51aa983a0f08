package collective

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"
)

// reply is what it is told: that it takes part, and by the first process, once all are
// there, where the others are.
type reply struct {
	Refused   string // why it does not take part
	Lost      bool   // because others did not come
	Addresses []string
}

// refusal is the reply to an error, and err the error of a reply.
func refusal(err error) reply {
	var lost *LostError
	if errors.As(err, &lost) {
		return reply{Refused: lost.Err.Error(), Lost: true}
	}
	return reply{Refused: err.Error()}
}

func (r reply) err() error {
	switch {
	case r.Refused == "":
		return nil
	case r.Lost:
		return &LostError{-1, errors.New(r.Refused)}
	}
	return errors.New(r.Refused)
}

// look asks where the others look for the first process whether that is this one: another
// may believe so of itself on another machine, or have begun at the same moment and taken the
// name of its socket away. So it asks until the others have come.
func (e *encounter) look(met <-chan struct{}) {
	for {
		if err := e.ask(); err != nil {
			e.twice.Store(&err)
			_ = e.at.SetDeadline(time.Now()) // whoever waits there learns of it
			return
		}
		select {
		case <-met:
			return
		case <-time.After(time.Second):
		}
	}
}

// ask returns what another process says that answers where the first does.
func (e *encounter) ask() error {
	c, err := net.DialTimeout(e.network, e.first, slow)
	if err != nil {
		return nil // it is not reached from here by that name, or not there
	}
	defer func() { _ = c.Close() }()
	if r, err := e.greet(c, ofData, time.Now().Add(slow)); err == nil {
		return r.err()
	}
	return nil // it is this one, or none of ours
}

// refuse tells who comes when the group is whole.
func (e *encounter) refuse() {
	go func() {
		<-e.ended
		_ = e.at.Close()
	}()
	_ = e.at.SetDeadline(time.Time{}) // if it cannot be, nobody is answered
	e.tellAll(func(g greeting) error { return e.odd(g) })
}

// parting is how long the first process tells those that come yet why there is no group.
const parting = 3 * time.Second

// part does so, until all others have come; where time is over it has told those that are there.
func (e *encounter) part(failed error) {
	if errors.As(failed, new(*LostError)) || e.at.SetDeadline(time.Now().Add(min(parting, e.whole/20))) != nil {
		return
	}
	e.tellAll(func(g greeting) error {
		if g.Rank > 0 && g.Rank < len(e.who) {
			e.who[g.Rank] = g.Who
		}
		if !slices.Contains(e.who, "") {
			_ = e.at.SetDeadline(time.Now())
		}
		return failed
	})
}

// tellAll tells each process that calls why it does not take part, until nobody is answered.
func (e *encounter) tellAll(why func(g greeting) error) {
	for {
		c, err := e.at.Accept()
		if err != nil {
			return
		}
		if g, err := read(c, time.Now().Add(slow), greeting{}); err == nil && g.ID != e.id {
			_ = write(c, refusal(why(g)))
		}
		_ = c.Close()
	}
}

// odd is why a process cannot take part.
func (e *encounter) odd(g greeting) error {
	world := len(e.peers)
	if g.World != world || g.Rank < 0 || g.Rank >= world {
		return fmt.Errorf("%s says that it is process %d of %d, and %s, where they meet, that there are %d: want the same number for all, and another place for another run", g.Who, g.Rank, g.World, e.who[0], world)
	}
	return fmt.Errorf("rank %d is there twice: %s, and %s, at %s; want each rank from 0 to %d once, and another place for another run", g.Rank, e.who[g.Rank], g.Who, e.place, world-1)
}

// gone says whether a process that waits to be told of the others has ended.
func gone(c net.Conn) bool {
	if c.SetReadDeadline(time.Now().Add(2*time.Millisecond)) != nil {
		return true
	}
	_, err := c.Read(make([]byte, 1))
	return !errors.Is(err, os.ErrDeadlineExceeded) || c.SetReadDeadline(time.Time{}) != nil
}
