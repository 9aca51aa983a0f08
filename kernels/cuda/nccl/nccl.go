// Package nccl moves memory between the GPUs of several processes: by NVIDIA's libnccl,
// which is looked for when it is asked for (build tag gpu), or by what stands in for it
// beside the simulated driver. It moves bytes; it adds nothing up.
package nccl

import (
	"fmt"

	"fluxion/kernels/cuda"
)

// Simulated is the name of the library that moves memory of simulated GPUs.
const Simulated = "sim"

// ID is what the processes of a communicator have in common: one asks for it, and brings it
// to the others.
type ID [128]byte

// Library is libnccl or stands in for it.
type Library struct {
	calls
	name    string
	version int32
}

// comm is a communicator of a library.
type comm uintptr

// calls are the functions of a library, as nccl.h has them.
type calls struct {
	getVersion    func(version *int32) Result
	getUniqueID   func(id *ID) Result
	commInitRank  func(c *comm, world int, id *ID, rank int) Result
	commDestroy   func(c comm) Result
	commAbort     func(c comm) Result
	getAsyncError func(c comm, async *Result) Result
	groupStart    func() Result
	groupEnd      func() Result
	send          func(from cuda.Address, bytes, peer int, c comm, s cuda.Stream) Result
	recv          func(to cuda.Address, bytes, peer int, c comm, s cuda.Stream) Result
	errorString   func(r Result) string
	lastError     func() string
}

// oldest is the version of NCCL that is needed: older ones say less of what is wrong.
const oldest = 21400

// Open finds a library: by its path, or the installed one if that is empty.
func Open(name string) (*Library, error) {
	l := &Library{name: name, calls: newSimulated().calls()}
	if name != Simulated {
		var err error
		if l.calls, l.name, err = load(name); err != nil {
			return nil, err
		}
	}
	return l, l.check()
}

// check asks for the version.
func (l *Library) check() error {
	if err := l.errorOf("ncclGetVersion", l.getVersion(&l.version)); err != nil {
		return err
	}
	if l.version < oldest {
		return fmt.Errorf("%s is NCCL %s, want %s or newer", l.name, versionText(l.version), versionText(oldest))
	}
	return nil
}

// String names the library and its version.
func (l *Library) String() string {
	if l.name == Simulated {
		return "simulated NCCL"
	}
	return "NCCL " + versionText(l.version)
}

// Path is the file that was loaded.
func (l *Library) Path() string { return l.name }

// versionText is a version in words: 22703 is 2.27.3, and 2804, of before 2.9, is 2.8.4.
func versionText(v int32) string {
	if v < 10000 {
		return fmt.Sprintf("%d.%d.%d", v/1000, v/100%10, v%100)
	}
	return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100)
}

// ID is a new one, for all processes of a communicator. NCCL_COMM_ID, where it is set, says
// at which address they meet.
func (l *Library) ID() (id ID, err error) {
	return id, l.errorOf("ncclGetUniqueId", l.getUniqueID(&id))
}

// Communicator is the GPUs of several processes, of which this process has one.
type Communicator struct {
	library *Library
	device  cuda.Device
	comm    comm
}

// Join waits for the other processes. All have the same ID.
func (l *Library) Join(d cuda.Device, id ID, rank, world int) (*Communicator, error) {
	c := &Communicator{library: l, device: d}
	return c, c.do("ncclCommInitRank", func() Result { return l.commInitRank(&c.comm, world, &id, rank) })
}

// do makes a call in the context of the device.
func (c *Communicator) do(name string, call func() Result) error {
	r := Success
	err := c.device.Within(func() { r = call() })
	if err != nil {
		return err
	}
	return c.library.errorOf(name, r)
}

// Part is memory of a device.
type Part struct {
	Address cuda.Address
	Bytes   int
}

// Exchange puts into the stream that the parts of send, by rank, go to the others, and those
// of recv come from them: as many, and as long, as those send, in the same order. Nothing
// waits for anything but the others.
func (c *Communicator) Exchange(s cuda.Stream, send, recv [][]Part) error {
	l := c.library
	return c.do("ncclGroupEnd", func() Result {
		r := l.groupStart()
		put := func(to func(cuda.Address, int, int, comm, cuda.Stream) Result, all [][]Part) {
			for peer, parts := range all {
				for _, p := range parts {
					if r == Success && p.Bytes > 0 {
						r = to(p.Address, p.Bytes, peer, c.comm, s)
					}
				}
			}
		}
		put(l.send, send)
		put(l.recv, recv)
		if end := l.groupEnd(); r == Success {
			r = end
		}
		return r
	})
}

// Failed is what went wrong beside the calls, such as the loss of another process; nil: nothing.
func (c *Communicator) Failed() error {
	var async Result
	if r := c.library.getAsyncError(c.comm, &async); r != Success {
		return c.library.errorOf("ncclCommGetAsyncError", r)
	}
	if async == inProgress {
		return nil
	}
	return c.library.errorOf("NCCL", async)
}

// Abort ends what is in streams and waits for others. Nothing can be exchanged any more. It is
// not called in the context of the device, which whoever waits for a stream may hold.
func (c *Communicator) Abort() error {
	if c.comm == 0 {
		return nil
	}
	gone := c.comm
	c.comm = 0
	return c.library.errorOf("ncclCommAbort", c.library.commAbort(gone))
}

// Close ends the communicator, when all that was exchanged is over.
func (c *Communicator) Close() error {
	if c.comm == 0 {
		return nil
	}
	gone := c.comm
	c.comm = 0
	return c.do("ncclCommDestroy", func() Result { return c.library.commDestroy(gone) })
}

// Error is a call of the library that failed.
type Error struct {
	Call   string
	Result Result
	Detail string // what the library says of it
}

func (e *Error) Error() string { return e.Call + ": " + e.Detail }

// Unwrap lets errors.Is find the result.
func (e *Error) Unwrap() error { return e.Result }

// errorOf makes an error of a result.
func (l *Library) errorOf(call string, r Result) error {
	if r == Success {
		return nil
	}
	text := l.errorString(r)
	if last := l.lastError(); last != "" {
		text += " (" + last + ")"
	}
	return &Error{call, r, text}
}

// Result is an ncclResult_t.
type Result int32

// Results that are looked at; their numbers are those of nccl.h.
const (
	Success         Result = 0
	SystemError     Result = 2
	InvalidArgument Result = 4
	InvalidUsage    Result = 5
	RemoteError     Result = 6
	inProgress      Result = 7
)

func (r Result) Error() string { return fmt.Sprintf("ncclResult %d", int32(r)) }
