//go:build mpi && (linux || darwin)

package collective

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// abi is what the constants of a kind of MPI library are. Those of Open MPI are addresses
// of its symbols.
type abi struct {
	name                        string
	world, octet, errorsReturn  uintptr
	statusIgnore                uintptr
	threadFunneled              int32
	versionLength, stringLength int
}

// Read from mpi.h of MPICH 4 and 5, whose numbers are Intel MPI's, too, and from mpi_abi.h,
// the ABI of MPI 5.0 (MPI Forum).
var (
	mpichABI = abi{"MPICH's ABI", 0x44000000, 0x4c00010d, 0x54000001, 1, 1, 8192, 1024}
	forumABI = abi{"the ABI of MPI 5", 0x101, 0x247, 0x143, 0, 1024, 8192, 1024}
)

// library is an MPI library that was loaded. One thread makes all calls.
type library struct {
	abi
	path, version string

	initThread      func(argc, argv unsafe.Pointer, required int32, provided *int32) int32
	commRank        func(comm uintptr, rank *int32) int32
	commSize        func(comm uintptr, size *int32) int32
	setErrhandler   func(comm, handler uintptr) int32
	libraryVersion  func(text *byte, n *int32) int32
	errorString     func(code int32, text *byte, n *int32) int32
	isend           func(from unsafe.Pointer, n int32, of uintptr, to, tag int32, comm uintptr, request unsafe.Pointer) int32
	irecv           func(to unsafe.Pointer, n int32, of uintptr, from, tag int32, comm uintptr, request unsafe.Pointer) int32
	test            func(request, flag unsafe.Pointer, status uintptr) int32
	finalize        func() int32
	abiVersion      func(major, minor *int32) int32
	calls           chan func()
	arena           []byte // all that the library is given: registered memory must never be given back
	chunk           int
	rank, processes int
	*pulse
	pulses []*beating
	tick   *time.Ticker
}

// libraries are where an MPI library is looked for, in this order: of what launched the
// process, as processes do not find each other by another.
func (l launch) libraries() []string {
	if path := os.Getenv(LibraryVariable); path != "" {
		return []string{path}
	}
	if l.by == hydra {
		return []string{"libmpi_abi.so.1", "libmpich.so.12", "libmpi.so.12", "libmpi.so"}
	}
	return []string{"libmpi.so.40", "libmpi_abi.so.1", "libmpi.so"}
}

// Libraries are the MPI libraries that are found on this machine, or the one that LibraryVariable
// names, without being started: each with its file and version. Where there is none, it says
// what was tried.
func Libraries() (found []string, err error) {
	paths := slices.Concat(launch{}.libraries(), launch{by: hydra}.libraries())
	var tried []string
	for i, path := range paths {
		if slices.Contains(paths[:i], path) {
			continue
		}
		handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err == nil {
			m := library{path: path}
			if err = m.bind(handle); err == nil {
				m.says()
				if !slices.ContainsFunc(found, func(text string) bool { return strings.HasPrefix(text, m.version+" (") }) {
					found = append(found, fmt.Sprintf("%s (%s)", m.version, path))
				}
				continue
			}
		}
		tried = append(tried, err.Error())
	}
	if found == nil {
		err = fmt.Errorf("no MPI library can be loaded: %s; %s=PATH says where it is", strings.Join(tried, "; "), LibraryVariable)
	}
	return found, err
}

// openMPIOf loads the library of a launcher and joins its processes.
func openMPIOf(l launch) (Group, error) {
	// Its handlers of signals would run on stacks of goroutines.
	if err := os.Setenv("UCX_ERROR_SIGNALS", ""); err != nil {
		return Group{}, err
	}
	m := &library{calls: make(chan func()), tick: time.NewTicker(beat)}
	go func() {
		runtime.LockOSThread()
		for {
			select {
			case f := <-m.calls:
				f()
			case <-m.tick.C:
				m.beat()
			}
		}
	}()
	var err error
	m.do(func() {
		if err = m.load(l); err == nil {
			err = m.begin(l)
		}
	})
	if err != nil {
		return Group{}, err
	}
	return Join(m, m.rank, m.processes), nil
}

// do lets the one thread call f.
func (m *library) do(f func()) {
	done := make(chan struct{})
	m.calls <- func() { f(); close(done) }
	<-done
}

// load finds and binds the library.
func (m *library) load(l launch) error {
	var tried []string
	for _, path := range l.libraries() {
		handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err != nil {
			tried = append(tried, err.Error())
			continue
		}
		m.path = path
		return m.bind(handle)
	}
	return fmt.Errorf("%v, and no MPI library can be loaded: %s; %s=PATH says where it is", l, strings.Join(tried, "; "), LibraryVariable)
}

// bind takes the functions of the library, and finds out what its constants are: file
// names do not tell, as that of MPICH is libmpi.so.12 and has the function of the Forum's
// ABI, too.
func (m *library) bind(handle uintptr) error {
	for name, to := range map[string]any{
		"MPI_Init_thread": &m.initThread, "MPI_Comm_rank": &m.commRank, "MPI_Comm_size": &m.commSize, "MPI_Comm_set_errhandler": &m.setErrhandler,
		"MPI_Get_library_version": &m.libraryVersion, "MPI_Error_string": &m.errorString,
		"MPI_Isend": &m.isend, "MPI_Irecv": &m.irecv, "MPI_Test": &m.test, "MPI_Finalize": &m.finalize,
	} {
		if _, err := purego.Dlsym(handle, name); err != nil {
			return fmt.Errorf("the MPI library %s has no %s; want another, %s=PATH", m.path, name, LibraryVariable)
		}
		purego.RegisterLibFunc(to, handle, name)
	}
	major, minor := int32(-1), int32(-1)
	if _, err := purego.Dlsym(handle, "MPI_Abi_get_version"); err == nil {
		purego.RegisterLibFunc(&m.abiVersion, handle, "MPI_Abi_get_version")
		m.abiVersion(&major, &minor)
	}
	world, err := purego.Dlsym(handle, "ompi_mpi_comm_world")
	switch {
	case major >= 1:
		m.abi = forumABI
	case err != nil:
		m.abi = mpichABI
	default:
		m.abi = abi{name: "Open MPI's ABI", world: world, threadFunneled: 1, versionLength: 256, stringLength: 256}
		for name, to := range map[string]*uintptr{"ompi_mpi_byte": &m.octet, "ompi_mpi_errors_return": &m.errorsReturn} {
			if *to, err = purego.Dlsym(handle, name); err != nil {
				return fmt.Errorf("the MPI library %s has no %s: %w", m.path, name, err)
			}
		}
	}
	return nil
}

// shortVersion is what matters of what an MPI library says of its version.
func shortVersion(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	text, _, _ = strings.Cut(text, ", ")
	return strings.Join(strings.Fields(text), " ")
}

// says asks the library for its version, which it may be before it is started.
func (m *library) says() {
	text := make([]byte, max(m.versionLength, mpichABI.versionLength))
	var n int32
	m.libraryVersion(&text[0], &n)
	m.version = shortVersion(strings.TrimRight(string(text[:n]), "\x00"))
}

// begin starts the library.
func (m *library) begin(l launch) error {
	m.says()
	var provided, rank, size int32
	if err := m.check("MPI_Init_thread", m.initThread(nil, nil, m.threadFunneled, &provided)); err != nil {
		return err
	}
	err := errors.Join(m.check("MPI_Comm_set_errhandler", m.setErrhandler(m.world, m.errorsReturn)),
		m.check("MPI_Comm_rank", m.commRank(m.world, &rank)), m.check("MPI_Comm_size", m.commSize(m.world, &size)))
	if err != nil {
		return err
	}
	if int(size) != l.world && l.world > 0 {
		return fmt.Errorf("%v, and the MPI library %s (%s) knows of %d: it is not the launcher's; %s=PATH says which is", l, m.path, m.version, size, LibraryVariable)
	}
	m.rank, m.processes = int(rank), int(size)
	return m.reserve()
}

// Memory that the library moves: a piece in each direction for each peer.
const (
	arenaBytes              = 64 << 20
	leastChunk, mostChunk   = 64 << 10, 4 << 20
	requestBytes            = 16 // of a request and its flag
	flagAt                  = 8
	spin                    = 200 * time.Microsecond // how long nothing may happen before the thread sleeps
	shortestNap, longestNap = 20 * time.Microsecond, time.Millisecond
	tag                     = 1
)

// reserve maps the arena, which stays for as long as the process does.
func (m *library) reserve() (err error) {
	m.chunk = min(mostChunk, max(leastChunk, arenaBytes/(2*m.processes)))
	m.arena, err = unix.Mmap(-1, 0, 2*m.processes*(m.chunk+requestBytes+beatBytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("memory for MPI: %w", err)
	}
	m.pulse = newPulse(m.processes)
	m.beginPulses(m.arena[2*m.processes*(m.chunk+requestBytes):])
	return nil
}

// check makes an error of a return code.
func (m *library) check(what string, code int32) error {
	if code == 0 {
		return nil
	}
	text := make([]byte, max(m.stringLength, mpichABI.stringLength))
	var n int32
	m.errorString(code, &text[0], &n)
	return fmt.Errorf("%s: %s (%d)", what, text[:n], code)
}

// About names the library.
func (m *library) About() string { return m.version }

// Close ends the library if all processes do. If not, the launcher sees that this process
// ends without, and ends the others.
func (m *library) Close(inOrder bool) (err error) {
	if inOrder {
		m.do(func() {
			if err = m.endPulses(); err == nil {
				err = m.check("MPI_Finalize", m.finalize())
			}
			m.tick.Stop()
		})
	}
	return err
}

// stream is what moves in one direction between this process and another, piece by piece.
type stream struct {
	peer    int
	data    []byte // that is still to move
	receive bool
	piece   []byte // of the arena
	request unsafe.Pointer
	moving  int // bytes of the piece on its way; 0: none
}

// Exchange moves all streams, piece by piece.
func (m *library) Exchange(send, recv [][]byte, watch func([]int, time.Duration) error) (err error) {
	m.do(func() { err = m.exchange(send, recv, watch) })
	return err
}

func (m *library) exchange(send, recv [][]byte, watch func([]int, time.Duration) error) error {
	var all []*stream
	requests := m.arena[2*m.processes*m.chunk:]
	for r := range m.processes {
		for direction, data := range [][]byte{send[r], recv[r]} {
			if at := 2*r + direction; r != m.rank && len(data) > 0 {
				all = append(all, &stream{peer: r, data: data, receive: direction == 1, piece: m.arena[at*m.chunk:][:m.chunk], request: unsafe.Pointer(&requests[at*requestBytes])})
			}
		}
	}
	begin := time.Now()
	last, told, nap := begin, begin, shortestNap
	for len(all) > 0 {
		moved := false
		kept := all[:0]
		for _, s := range all {
			more, did, err := m.step(s)
			if err != nil {
				return &LostError{s.peer, err}
			}
			moved = moved || did
			if more {
				kept = append(kept, s)
			}
		}
		all = kept
		now := time.Now()
		switch {
		case moved:
			last, nap = now, shortestNap
		case now.Sub(last) < spin:
		default:
			time.Sleep(nap)
			nap = min(longestNap, nap+nap/4)
		}
		select {
		case <-m.tick.C:
			m.beat()
		default:
		}
		if now.Sub(told) >= beat {
			told = now
			if err := watch(missing(all), now.Sub(begin)); err != nil {
				return err
			}
		}
	}
	return nil
}

// missing are the peers of streams.
func missing(all []*stream) (ranks []int) {
	for _, s := range all {
		if n := len(ranks); n == 0 || ranks[n-1] != s.peer {
			ranks = append(ranks, s.peer)
		}
	}
	return ranks
}

// step begins or ends the next piece of a stream.
func (m *library) step(s *stream) (more, did bool, err error) {
	if s.moving == 0 {
		s.moving = min(len(s.data), len(s.piece))
		if s.receive {
			return true, true, m.check("MPI_Irecv", m.irecv(unsafe.Pointer(&s.piece[0]), int32(s.moving), m.octet, int32(s.peer), tag, m.world, s.request))
		}
		copy(s.piece, s.data[:s.moving])
		return true, true, m.check("MPI_Isend", m.isend(unsafe.Pointer(&s.piece[0]), int32(s.moving), m.octet, int32(s.peer), tag, m.world, s.request))
	}
	flag := unsafe.Add(s.request, flagAt)
	if err := m.check("MPI_Test", m.test(s.request, flag, m.statusIgnore)); err != nil {
		return true, false, err
	}
	if *(*int32)(flag) == 0 {
		return true, false, nil
	}
	if s.receive {
		copy(s.data, s.piece[:s.moving])
	}
	s.data, s.moving = s.data[s.moving:], 0
	return len(s.data) > 0, true, nil
}
