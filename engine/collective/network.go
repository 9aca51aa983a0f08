package collective

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	// meeting is how long processes of one machine wait for each other at their start.
	meeting = time.Minute
	// gathering is the same of several machines: those of a cluster do not begin at the same time.
	gathering = 5 * time.Minute
)

// longestPath is the longest name that a socket has, on any system.
const longestPath = 103

// meet joins the processes that meet in a folder of this machine.
func meet(l launch, tell func(text string)) (Group, error) {
	path := func(rank int) string { return filepath.Join(l.place, strconv.Itoa(rank)) }
	if most := path(l.world - 1); len(most) > longestPath {
		return Group{}, fmt.Errorf("%s: the name of a socket has %d letters at most, and %s is longer; want another folder", Variable, longestPath, most)
	}
	if info, err := os.Stat(l.place); err != nil || !info.IsDir() {
		return Group{}, fmt.Errorf("%s: there is no folder %s; make it first", Variable, l.place)
	}
	l.address = path(0)
	e := newEncounter("unix", l, tell)
	if e.own = path(l.rank); l.rank == 0 {
		if err := e.ask(); err != nil {
			return Group{}, err
		}
	}
	listen := func() (err error) {
		_ = os.Remove(e.own) // that of a process that was killed
		at, err := net.ListenUnix("unix", &net.UnixAddr{Name: e.own, Net: "unix"})
		e.at = at
		return err
	}
	err := listen()
	for try := 0; try < 5 && errors.Is(err, syscall.EADDRINUSE); try++ { // by one of the same rank, as the first will say
		err = listen()
	}
	if err != nil {
		return Group{}, fmt.Errorf("%s: %w", Variable, err)
	}
	return e.meet()
}

// meetAt joins processes that reach each other over a network. The first answers at the
// address, where all others call it.
func meetAt(l launch, tell func(text string)) (Group, error) {
	_, port, err := net.SplitHostPort(l.address)
	if err != nil {
		return Group{}, err
	}
	if l.rank > 0 {
		port = "0" // any
	}
	e := newEncounter("tcp", l, tell)
	at, err := net.Listen("tcp", ":"+port)
	if err != nil {
		if other := e.ask(); other != nil {
			return Group{}, other
		}
		return Group{}, fmt.Errorf("the first process answers the others at %s: %w; want another port, behind which the next is free", l.place, err)
	}
	e.at = at.(*net.TCPListener)
	e.own = strconv.Itoa(e.at.Addr().(*net.TCPAddr).Port)
	return e.meet()
}

// reached is the address of a process that has called, which on a network knows its port alone.
func reached(c net.Conn, address string) string {
	if at, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return net.JoinHostPort(at.IP.String(), address)
	}
	return address
}

// next is the address with the port behind it, as what others have agreed on belongs to them.
func next(host, port string) (string, error) {
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65534 {
		return "", fmt.Errorf("port %q, want a number from 1 to 65534", port)
	}
	return net.JoinHostPort(host, strconv.Itoa(n+1)), nil
}

var mark = [8]byte{'f', 'l', 'u', 'x', 'i', 'o', 'n', '2'}

// mostFrame bounds what is said at a meeting, in bytes: by the first process of a group as
// large as there may be.
const mostFrame = 8 << 20

// write says something to another process: a mark that it is one of ours, a length, and JSON.
func write(c net.Conn, x any) error {
	text, err := json.Marshal(x)
	if err != nil {
		return err
	}
	_, err = c.Write(append(binary.LittleEndian.AppendUint32(mark[:len(mark):len(mark)], uint32(len(text))), text...))
	return err
}

// read is what another process says until then.
func read[T any](c net.Conn, end time.Time, x T) (T, error) {
	head := make([]byte, len(mark)+4)
	if err := c.SetReadDeadline(end); err != nil {
		return x, err
	}
	if _, err := io.ReadFull(c, head); err != nil {
		return x, err
	}
	n := binary.LittleEndian.Uint32(head[len(mark):])
	if [8]byte(head) != mark || n > mostFrame {
		return x, fmt.Errorf("it is none of this program")
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(c, text); err != nil {
		return x, err
	}
	if err := json.Unmarshal(text, &x); err != nil {
		return x, err
	}
	return x, c.SetReadDeadline(time.Time{})
}
