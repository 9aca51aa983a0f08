package nccl

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
)

// rank is a process with its GPU and its communicator.
type rank struct {
	number int
	device cuda.Device
	stream cuda.Stream
	*Communicator
}

// each runs f as so many processes with a simulated GPU each.
func each(t *testing.T, world int, f func(r rank) error) {
	t.Helper()
	first, err := Open(Simulated)
	if err != nil {
		t.Fatal(err)
	}
	id, err := first.ID()
	if err != nil {
		t.Fatal(err)
	}
	var ranks sync.WaitGroup
	for n := range world {
		ranks.Go(func() {
			if err := run(id, n, world, f); err != nil {
				t.Errorf("rank %d: %v", n, err)
			}
		})
	}
	ranks.Wait()
}

func run(id ID, n, world int, f func(r rank) error) (err error) {
	driver := simdriver.New(simdriver.Options{})
	r := rank{number: n}
	if r.device, err = driver.Direct().Open(0, cuda.WaitAsDriver); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.device.Close()) }()
	if r.stream, err = r.device.NewStream(); err != nil {
		return err
	}
	library, err := Open(Simulated)
	if err != nil {
		return err
	}
	if r.Communicator, err = library.Join(r.device, id, n, world); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Communicator.Close()) }()
	return f(r)
}

// put takes memory on the device with these bytes.
func (r rank) put(b []byte) (Part, error) {
	at, err := r.device.Alloc(len(b))
	if err != nil {
		return Part{}, err
	}
	return Part{at, len(b)}, r.device.CopyIn(at, b)
}

// TestExchange: parts of every length come to whom they are sent, in their order, when the
// stream is waited for, and also out of a graph.
func TestExchange(t *testing.T) {
	const world, parts = 3, 2
	content := func(from, to, part int) []byte {
		return bytes.Repeat([]byte{byte(1 + 16*from + 4*to + part)}, 1+from*1000+to*100_000+part*10)
	}
	each(t, world, func(r rank) error {
		send, recv := make([][]Part, world), make([][]Part, world)
		for q := range world {
			if q == r.number {
				continue
			}
			for i := range parts {
				out, err := r.put(content(r.number, q, i))
				if err != nil {
					return err
				}
				in, err := r.put(make([]byte, len(content(q, r.number, i))))
				if err != nil {
					return err
				}
				send[q], recv[q] = append(send[q], out), append(recv[q], in)
			}
		}
		for _, way := range []string{"stream", "graph"} {
			for q := range recv {
				for _, p := range recv[q] {
					if err := r.stream.Fill(p.Address, 0, p.Bytes); err != nil {
						return err
					}
				}
			}
			put := func() error { return r.Exchange(r.stream, send, recv) }
			if way == "graph" {
				graph, err := r.stream.Capture(put)
				if err != nil {
					return err
				}
				put = func() error { return graph.Launch(r.stream) }
			}
			if err := errors.Join(put(), r.stream.Synchronize(), r.Failed()); err != nil {
				return err
			}
			for q := range recv {
				for i, p := range recv[q] {
					got := make([]byte, p.Bytes)
					if err := r.device.CopyOut(got, p.Address); err != nil {
						return err
					}
					if !bytes.Equal(got, content(q, r.number, i)) {
						return fmt.Errorf("%s: part %d of %d is another than it sent", way, i, q)
					}
				}
			}
		}
		return nil
	})
}

// TestLost: who waits for a process that is gone is told so, and waits until it aborts.
func TestLost(t *testing.T) {
	each(t, 2, func(r rank) error {
		if r.number == 1 {
			return nil // and leaves
		}
		p, err := r.put([]byte{1})
		if err != nil {
			return err
		}
		if err := r.Exchange(r.stream, nil, [][]Part{nil, {p}}); err != nil {
			return err
		}
		over := make(chan error, 1)
		go func() { over <- r.stream.Synchronize() }()
		for r.Failed() == nil {
			time.Sleep(time.Millisecond)
		}
		select {
		case err := <-over:
			return fmt.Errorf("the wait is over: %w", err)
		default:
		}
		if err := r.Failed(); !errors.Is(err, RemoteError) {
			return err
		}
		return errors.Join(r.Abort(), <-over)
	})
}

// TestMismatch: processes that do not exchange the same do not take one for the other.
func TestMismatch(t *testing.T) {
	var told sync.WaitGroup
	told.Add(1)
	each(t, 2, func(r rank) error {
		p, err := r.put([]byte{1, 2, 3, 4})
		if err != nil {
			return err
		}
		if r.number == 0 {
			p.Bytes = 3
			if err := r.Exchange(r.stream, [][]Part{nil, {p}}, nil); err != nil {
				return err
			}
			defer told.Wait()
			return r.stream.Synchronize()
		}
		defer told.Done()
		if err := r.Exchange(r.stream, nil, [][]Part{{p}}); err != nil {
			return err
		}
		over := make(chan error, 1)
		go func() { over <- r.stream.Synchronize() }()
		for r.Failed() == nil {
			time.Sleep(time.Millisecond)
		}
		if err := r.Failed(); !errors.Is(err, InvalidUsage) {
			return err
		}
		return errors.Join(r.Abort(), <-over)
	})
}

// TestRefused: what is no process of the communicator, and memory that is nobody's.
func TestRefused(t *testing.T) {
	each(t, 2, func(r rank) error {
		p, err := r.put([]byte{1})
		if err != nil {
			return err
		}
		for name, send := range map[string][][]Part{"a third process": {nil, nil, {p}}, "no memory": {{{1, 1}}, {{1, 1}}}} {
			if err := r.Exchange(r.stream, send, nil); !errors.Is(err, InvalidArgument) {
				return fmt.Errorf("to %s: %v", name, err)
			}
		}
		return r.stream.Synchronize()
	})
}

// TestVersions: versions are those of two ways of counting, and old ones are refused.
func TestVersions(t *testing.T) {
	for number, want := range map[int32]string{22703: "2.27.3", 21400: "2.14.0", 2804: "2.8.4"} {
		if got := versionText(number); got != want {
			t.Errorf("%d is %s, want %s", number, got, want)
		}
	}
	l := &Library{name: "libnccl.so.2", calls: newSimulated().calls()}
	l.getVersion = func(v *int32) Result { *v = 21104; return Success }
	if err := l.check(); err == nil || !strings.Contains(err.Error(), "libnccl.so.2 is NCCL 2.11.4, want 2.14.0 or newer") {
		t.Error(err)
	}
}
