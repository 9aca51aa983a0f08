package collective

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// greeting is what a process says of a connection that it opens.
type greeting struct {
	Rank, World, Kind int
	Who               string // the process, as a user finds it
	Address           string // where it answers others; on a network without its host
	ID                uint64 // no other process has it
}

// Kinds of connections between two processes.
const (
	ofData = iota
	ofBeats
	kinds
)

func (s *sockets) of(kind int) []net.Conn { return [][]net.Conn{s.peers, s.pulses}[kind] }

// listener is a net.Listener that need not wait for ever.
type listener interface {
	net.Listener
	SetDeadline(end time.Time) error
}

// encounter is a process on its way into a group. The first answers all others at an address
// that they know, and tells them of each other when all are there.
type encounter struct {
	*sockets
	network   string // unix or tcp
	rank      int
	id        uint64
	at        listener
	first     string // address of the first process
	place     string // the same, as the user said it
	own       string // where this one answers
	whole     time.Duration
	end, word time.Time // when it has waited for whole; when to say that it waits
	tell      func(text string)
	who       []string // the processes that are there
	addresses []string // by rank
	twice     atomic.Pointer[error]
}

// firstWord is how long a process waits for others before it says so, and nextWord until it
// says so again; slow is how long one that opens a connection may take to say what it is.
const (
	firstWord = 10 * time.Second
	nextWord  = time.Minute
	slow      = 5 * time.Second
)

func newEncounter(network string, l launch, tell func(text string)) *encounter {
	e := &encounter{
		sockets: newSockets("sockets, met at "+l.place, l.world), network: network, rank: l.rank, id: rand.Uint64(), first: l.address, place: l.place,
		whole: l.wait, end: time.Now().Add(l.wait), word: time.Now().Add(firstWord), tell: tell, who: make([]string, l.world), addresses: make([]string, l.world),
	}
	host, _ := os.Hostname() // without it the pid is said alone
	e.who[e.rank] = fmt.Sprintf("pid %d on %s", os.Getpid(), host)
	return e
}

// meet joins this process, which answers at e.at, and the others.
func (e *encounter) meet() (Group, error) {
	if e.rank > 0 {
		return e.begin(e.visit())
	}
	return e.begin(e.host())
}

// host is what the first process does.
func (e *encounter) host() error {
	e.addresses[0] = e.first
	met := make(chan struct{})
	go e.look(met)
	failed := e.answer(1)
	for failed == nil && e.forget() {
		failed = e.answer(1)
	}
	close(met)
	for r, c := range e.peers {
		switch {
		case c == nil:
		case failed != nil:
			_ = write(c, refusal(failed)) // it may have gone
		default:
			if err := orLost(r, "it has gone while others came", write(c, reply{Addresses: e.addresses})); err != nil {
				return err
			}
		}
	}
	if failed != nil {
		e.part(failed)
		return failed
	}
	e.end = time.Now().Add(e.whole)
	return e.answer(kinds)
}

// forget gives up those that have ended while others were awaited, and says whether any has.
func (e *encounter) forget() (any bool) {
	for r, c := range e.peers {
		if c != nil && gone(c) {
			_ = c.Close()
			e.peers[r], any = nil, true
		}
	}
	return any
}

// visit is what the others do: they call the first, then those between it and them, and
// answer those behind them.
func (e *encounter) visit() error {
	if err := e.call(e.first, 0, ofData); err != nil {
		return err
	}
	e.end = time.Now().Add(e.whole + slow) // the first counts, too
	late := time.AfterFunc(firstWord, func() {
		e.tell(fmt.Sprintf("process %d of %d has reached the first at %s, which waits for others", e.rank, len(e.peers), e.place))
	})
	r, err := read(e.peers[0], e.end, reply{})
	late.Stop()
	if err = orLost(0, "it does not say who takes part", err); err == nil {
		err = r.err()
	}
	if err == nil && len(r.Addresses) != len(e.peers) {
		err = fmt.Errorf("the first process, at %s, tells of %d processes, want %d", e.place, len(r.Addresses), len(e.peers))
	}
	if err != nil {
		return err
	}
	for rank, address := range r.Addresses[:e.rank] {
		for kind := range kinds {
			if e.of(kind)[rank] == nil {
				if err := e.call(address, rank, kind); err != nil {
					return err
				}
			}
		}
	}
	return e.answer(kinds)
}

func orLost(rank int, what string, err error) error {
	if err == nil {
		return nil
	}
	return &LostError{rank, fmt.Errorf("%s: %w", what, err)}
}

// begin ends the meeting. The first process goes on to answer those that come too late.
func (e *encounter) begin(err error) (Group, error) {
	if err != nil || e.rank > 0 {
		_ = e.at.Close()
	}
	if err != nil {
		return Group{}, errors.Join(err, e.Close(false))
	}
	if e.rank == 0 {
		go e.refuse()
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

// greet says what this process is, and returns what it is told.
func (e *encounter) greet(c net.Conn, kind int, end time.Time) (reply, error) {
	if err := write(c, greeting{e.rank, len(e.peers), kind, e.who[e.rank], e.own, e.id}); err != nil {
		return reply{}, err
	}
	return read(c, end, reply{})
}

// call opens a connection to a process that may not be there yet.
func (e *encounter) call(address string, rank, kind int) error {
	place := e.place
	if rank > 0 {
		place = address
	}
	for {
		c, err := net.DialTimeout(e.network, address, min(slow, time.Until(e.end)))
		if err == nil {
			r, err := e.greet(c, kind, e.end)
			if err = errors.Join(orLost(rank, "it does not answer at "+place, err), r.err()); err != nil {
				return errors.Join(err, c.Close())
			}
			e.of(kind)[rank] = c
			return nil
		}
		now := time.Now()
		switch {
		case now.After(e.end):
			return &LostError{rank, fmt.Errorf("it did not come to %s in %.0f s: %w", place, e.whole.Seconds(), err)}
		case now.After(e.word):
			e.tell(fmt.Sprintf("process %d of %d waits for process %d at %s, for %.0f s at most: %v", e.rank, len(e.peers), rank, place, e.whole.Seconds(), err))
			e.word = now.Add(nextWord)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// answer takes connections of others until each has opened so many kinds. Who is none of
// the group is not minded.
func (e *encounter) answer(kinds int) error {
	for len(e.missing(kinds)) > 0 {
		c, err := e.accept(kinds)
		if err != nil {
			return err
		}
		if taken, err := e.take(c, kinds == 1); !taken {
			if err = errors.Join(err, c.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// missing are those that have not opened so many kinds of connections.
func (e *encounter) missing(kinds int) (ranks []int) {
	for r := range e.peers {
		if r != e.rank && slices.ContainsFunc([]net.Conn{e.peers[r], e.pulses[r]}[:kinds], func(c net.Conn) bool { return c == nil }) {
			ranks = append(ranks, r)
		}
	}
	return ranks
}

// accept waits for the next connection.
func (e *encounter) accept(kinds int) (net.Conn, error) {
	for {
		next := e.end
		if e.word.Before(next) {
			next = e.word
		}
		err := e.at.SetDeadline(next)
		if twice := e.twice.Load(); twice != nil {
			return nil, *twice
		}
		var c net.Conn
		if err == nil {
			c, err = e.at.Accept()
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return c, err
		}
		missing := e.missing(kinds)
		there := fmt.Sprintf("%d of %d processes are at %s", len(e.peers)-len(missing), len(e.peers), e.place)
		switch now := time.Now(); {
		case now.After(e.end):
			return nil, &LostError{-1, fmt.Errorf("%s did not come in %.0f s: %s; want all to be started", names(missing), e.whole.Seconds(), there)}
		case now.After(e.word):
			e.tell(fmt.Sprintf("%s; waiting for %s, for %.0f s at most", there, names(missing), e.whole.Seconds()))
			e.word = now.Add(nextWord)
		}
	}
}

// take keeps a connection that another process has opened. While the first process gathers
// all, two of one rank or another number of processes end the meeting.
func (e *encounter) take(c net.Conn, gathers bool) (bool, error) {
	end := time.Now().Add(slow)
	if end.After(e.end) {
		end = e.end
	}
	g, err := read(c, end, greeting{})
	if err != nil || g.Kind < 0 || g.Kind >= kinds || g.ID == e.id {
		return false, nil
	}
	gathers = gathers && e.rank == 0
	odd := g.World != len(e.peers) || g.Rank < 0 || g.Rank >= len(e.peers) || g.Rank == e.rank
	if !odd && e.of(g.Kind)[g.Rank] != nil {
		odd = !gathers || !gone(e.of(g.Kind)[g.Rank])
	}
	if odd {
		err := e.odd(g)
		_ = write(c, reply{Refused: err.Error()}) // it may have gone
		if !gathers {
			err = nil
		}
		return false, err
	}
	if write(c, reply{}) != nil {
		return false, nil
	}
	if old := e.of(g.Kind)[g.Rank]; old != nil {
		_ = old.Close()
	}
	e.of(g.Kind)[g.Rank], e.who[g.Rank], e.addresses[g.Rank] = c, g.Who, reached(c, g.Address)
	return true, nil
}
