package collective

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// gathering is how long processes of several machines wait for each other: those of a
// cluster do not begin at the same time.
const gathering = 5 * time.Minute

// meetAt joins processes that reach each other over a network. The first answers at the
// address, where all others call it; it tells them of each other.
func meetAt(address string, rank, world int) (Group, error) {
	return meetUntil(address, rank, world, time.Now().Add(gathering))
}

func meetUntil(address string, rank, world int, end time.Time) (Group, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return Group{}, err
	}
	if rank > 0 {
		port = "0" // any
	}
	l, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return Group{}, fmt.Errorf("the first process answers the others at %s: %w", address, err)
	}
	e := &encounter{sockets: newSockets("sockets, met at "+address, world), rank: rank, at: l, end: end, addresses: make([]string, world)}
	if err = l.(*net.TCPListener).SetDeadline(end); err == nil && rank == 0 {
		err = e.host(address)
	} else if err == nil {
		err = e.visit(address)
	}
	return e.begin(err)
}

// host is what the first process does.
func (e *encounter) host(address string) error {
	others := len(e.peers) - 1
	if err := e.answer(others); err != nil {
		var missing []int
		for r, c := range e.peers {
			if c == nil && r != e.rank {
				missing = append(missing, r)
			}
		}
		return fmt.Errorf("waiting at %s for %s: %w", address, names(missing), err)
	}
	text := []byte(strings.Join(e.addresses, "\n"))
	for _, c := range e.peers[1:] {
		if err := errors.Join(binary.Write(c, binary.LittleEndian, uint32(len(text))), binary.Write(c, binary.LittleEndian, text)); err != nil {
			return err
		}
	}
	return e.answer(others * (kinds - 1))
}

// visit is what the others do: they call the first, then those between it and them, and
// answer those behind them.
func (e *encounter) visit(address string) error {
	if err := e.call("tcp", address, 0, ofData); err != nil {
		return err
	}
	if err := e.hear(e.peers[0]); err != nil {
		return &LostError{0, fmt.Errorf("at %s it does not say who takes part: %w", address, err)}
	}
	if len(e.addresses) != len(e.peers) {
		return fmt.Errorf("the first process, at %s, is one of %d, and this one of %d", address, len(e.addresses), len(e.peers))
	}
	e.addresses[0] = address
	for r := range e.rank {
		for kind := range kinds {
			if e.of(kind)[r] == nil {
				if err := e.call("tcp", e.addresses[r], r, kind); err != nil {
					return err
				}
			}
		}
	}
	return e.answer(kinds * (len(e.peers) - 1 - e.rank))
}

// hear is told by the first process where the others are.
func (e *encounter) hear(c net.Conn) error {
	var n uint32
	if err := errors.Join(c.SetReadDeadline(e.end), binary.Read(c, binary.LittleEndian, &n)); err != nil {
		return err
	}
	if n > mostAddresses {
		return fmt.Errorf("%d bytes of addresses", n)
	}
	text := make([]byte, n)
	_, err := io.ReadFull(c, text)
	e.addresses = strings.Split(string(text), "\n")
	return errors.Join(err, c.SetReadDeadline(time.Time{}))
}

// mostAddresses bounds them, in bytes.
const mostAddresses = 1 << 20

// next is the address with the port behind it, as what others have agreed on belongs to them.
func next(host, port string) (string, error) {
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65534 {
		return "", fmt.Errorf("port %q, want a number from 1 to 65534", port)
	}
	return net.JoinHostPort(host, strconv.Itoa(n+1)), nil
}
