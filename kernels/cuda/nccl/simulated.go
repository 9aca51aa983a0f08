package nccl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
	"fluxion/kernels/cuda/simdriver"
)

// simulated is a library for simulated GPUs of processes on one machine. It is as unkind as
// NCCL's rules allow: what is exchanged moves when the stream is waited for, and waits for a
// process that is lost, or takes part in something else, until the communicator is aborted.
type simulated struct {
	mu     sync.Mutex
	made   comm
	comms  map[comm]*mesh
	last   string // what went wrong
	depth  int    // of groups that are open
	queued []transfer
}

func newSimulated() *simulated { return &simulated{comms: map[comm]*mesh{}} }

// transfer is memory that goes to a process or comes from it.
type transfer struct {
	stream  *simdriver.Stream
	mesh    *mesh
	peer    int
	at      cuda.Address
	bytes   int
	receive bool
}

// mesh is a communicator: a socket to each of the others.
type mesh struct {
	peers []net.Conn // by rank; nil: this process

	mu    sync.Mutex
	async Result
	gone  chan struct{} // closed when it is aborted
}

func (s *simulated) calls() calls {
	return calls{
		getVersion: func(v *int32) Result { *v = 22703; return Success }, getUniqueID: s.uniqueID, commInitRank: s.initRank,
		commDestroy: s.destroy, commAbort: s.destroy, getAsyncError: s.asyncError,
		groupStart: func() Result { s.depth++; return Success }, groupEnd: s.groupEnd,
		send: func(at cuda.Address, bytes, peer int, c comm, stream cuda.Stream) Result {
			return s.put(transfer{at: at, bytes: bytes, peer: peer}, c, stream)
		},
		recv: func(at cuda.Address, bytes, peer int, c comm, stream cuda.Stream) Result {
			return s.put(transfer{at: at, bytes: bytes, peer: peer, receive: true}, c, stream)
		},
		errorString: func(r Result) string { return r.Error() }, lastError: func() string { return s.last },
	}
}

func (s *simulated) fail(r Result, err error) Result {
	s.last = err.Error()
	return r
}

// uniqueID names the folder in which the processes meet.
func (s *simulated) uniqueID(id *ID) Result {
	dir, err := os.MkdirTemp("", "nccl-")
	if err == nil && len(dir) > len(id) {
		err = fmt.Errorf("%s is too long a name", dir)
	}
	if err != nil {
		return s.fail(SystemError, err)
	}
	copy(id[:], dir)
	return Success
}

// joining is how long processes wait for each other.
const joining = 30 * time.Second

func (s *simulated) initRank(c *comm, world int, id *ID, rank int) Result {
	if rank < 0 || rank >= world {
		return s.fail(InvalidArgument, fmt.Errorf("rank %d of %d", rank, world))
	}
	m := &mesh{peers: make([]net.Conn, world), gone: make(chan struct{})}
	if err := m.meet(strings.TrimRight(string(id[:]), "\x00"), rank); err != nil {
		m.close()
		return s.fail(RemoteError, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	*c, s.comms[s.made] = s.made, m
	return Success
}

// meet opens the sockets: each process calls those before it, and answers those behind it.
func (m *mesh) meet(dir string, rank int) error {
	end := time.Now().Add(joining)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, fmt.Sprint(rank)), Net: "unix"})
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	if err := l.SetDeadline(end); err != nil {
		return err
	}
	for r := range rank {
		for m.peers[r] == nil {
			c, err := net.Dial("unix", filepath.Join(dir, fmt.Sprint(r)))
			if err == nil {
				m.peers[r] = c
				if err := binary.Write(c, binary.LittleEndian, uint32(rank)); err != nil {
					return err
				}
			} else if time.Now().After(end) {
				return err
			} else {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	for range len(m.peers) - 1 - rank {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		var r uint32
		if err := binary.Read(c, binary.LittleEndian, &r); err != nil || int(r) >= len(m.peers) || m.peers[r] != nil {
			return errors.Join(fmt.Errorf("a process that calls itself %d of %d", r, len(m.peers)), err, c.Close())
		}
		m.peers[r] = c
	}
	return m.met(dir, rank)
}

// met lets the first process remove the folder when all have met there.
func (m *mesh) met(dir string, rank int) error {
	if rank > 0 {
		return binary.Write(m.peers[0], binary.LittleEndian, uint32(rank))
	}
	for _, c := range m.peers[1:] {
		var r uint32
		if err := binary.Read(c, binary.LittleEndian, &r); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

func (m *mesh) close() {
	for _, c := range m.peers {
		if c != nil {
			_ = c.Close()
		}
	}
}

// destroy ends a communicator, and whatever waits in it.
func (s *simulated) destroy(c comm) Result {
	s.mu.Lock()
	m := s.comms[c]
	delete(s.comms, c)
	s.mu.Unlock()
	if m == nil {
		return s.fail(InvalidArgument, fmt.Errorf("no communicator %d", c))
	}
	close(m.gone)
	m.close()
	return Success
}

func (s *simulated) asyncError(c comm, async *Result) Result {
	s.mu.Lock()
	m := s.comms[c]
	s.mu.Unlock()
	if m == nil {
		return InvalidArgument
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	*async = m.async
	return Success
}

// put notes a transfer for the end of the group, or begins it alone.
func (s *simulated) put(t transfer, c comm, stream cuda.Stream) Result {
	on, ok := stream.(interface{ Simulated() *simdriver.Stream })
	s.mu.Lock()
	t.mesh = s.comms[c]
	s.mu.Unlock()
	if !ok || t.mesh == nil || t.peer < 0 || t.peer >= len(t.mesh.peers) || t.mesh.peers[t.peer] == nil {
		return s.fail(InvalidArgument, fmt.Errorf("%d bytes of process %d, communicator %d", t.bytes, t.peer, c))
	}
	if t.stream = on.Simulated(); t.stream == nil {
		return s.fail(InvalidArgument, errors.New("a stream that is not there"))
	}
	s.queued = append(s.queued, t)
	if s.depth == 0 {
		return s.begin()
	}
	return Success
}

func (s *simulated) groupEnd() Result {
	if s.depth == 0 {
		return s.fail(InvalidUsage, errors.New("no group is open"))
	}
	if s.depth--; s.depth > 0 {
		return Success
	}
	return s.begin()
}

// begin puts what is queued into its streams, each an operation.
func (s *simulated) begin() Result {
	streams := map[*simdriver.Stream][]transfer{}
	var order []*simdriver.Stream
	for _, t := range s.queued {
		if streams[t.stream] == nil {
			order = append(order, t.stream)
		}
		streams[t.stream] = append(streams[t.stream], t)
	}
	s.queued = nil
	for _, stream := range order {
		all := streams[stream]
		var regions []simdriver.Region
		for _, t := range all {
			regions = append(regions, simdriver.Region{Address: t.at, Bytes: t.bytes})
		}
		if r := stream.Beside("ncclGroup", regions, func(memory *sim.Memory) error { return move(memory, all) }); r != cuda.Success {
			return s.fail(InvalidArgument, r)
		}
	}
	return Success
}

// move does what is in a group. Transfers with one process are done in their order, those
// with others at the same time. What cannot be done waits for the end of the communicator.
func move(memory *sim.Memory, all []transfer) error {
	type way struct {
		mesh    *mesh
		peer    int
		receive bool
	}
	type piece struct {
		to   transfer
		data []byte
	}
	ways := map[way][]piece{}
	for _, t := range all {
		p := piece{t, make([]byte, t.bytes)}
		if !t.receive {
			if err := memory.Read(t.at, p.data); err != nil {
				return err
			}
		}
		w := way{t.mesh, t.peer, t.receive}
		ways[w] = append(ways[w], p)
	}
	var moves sync.WaitGroup
	for w, pieces := range ways {
		moves.Go(func() {
			for _, p := range pieces {
				if err := w.mesh.move(w.peer, p.data, w.receive); err != nil {
					w.mesh.failed(err)
					return
				}
			}
		})
	}
	moves.Wait()
	for _, pieces := range ways {
		for _, p := range pieces {
			if p.to.receive {
				if err := memory.Write(p.to.at, p.data); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// errLength is what one process sends and another does not wait for.
var errLength = errors.New("another process sends another number of bytes")

// move moves bytes in one direction, their number first. Who sends waits until they are taken.
func (m *mesh) move(peer int, data []byte, receive bool) error {
	c := m.peers[peer]
	if !receive {
		if err := binary.Write(c, binary.LittleEndian, uint64(len(data))); err != nil {
			return err
		}
		_, err := c.Write(data)
		return err
	}
	var n uint64
	if err := binary.Read(c, binary.LittleEndian, &n); err != nil {
		return err
	}
	if n != uint64(len(data)) {
		return errLength
	}
	_, err := io.ReadFull(c, data)
	return err
}

// failed notes an error for who asks, and waits, as a kernel does that another process does
// not answer.
func (m *mesh) failed(err error) {
	m.mu.Lock()
	m.async = RemoteError
	if errors.Is(err, errLength) {
		m.async = InvalidUsage
	}
	m.mu.Unlock()
	<-m.gone
}
