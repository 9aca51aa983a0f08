package amx

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Run runs a program to its end. It is not for two goroutines at once.
func Run(p Program) (Result, error) {
	runtime.LockOSThread() // the thread that traces
	defer runtime.UnlockOSThread()
	files := p.Files[:]
	process, err := os.StartProcess(p.Path, p.Args, &os.ProcAttr{Env: p.Env, Files: files, Sys: &syscall.SysProcAttr{Ptrace: true}})
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		return Result{}, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if err != nil {
		return Result{}, err
	}
	t := tracer{main: process.Pid, refuse: p.Refuse, threads: map[int]*thread{}}
	err = t.run() // which waits for its end
	return t.result, errors.Join(err, process.Release())
}

// Of arch_prctl, from asm/prctl.h of Linux; and the components of state.
const (
	getSupported      = 0x1021
	requestPermission = 0x1023
	tileConfig        = 17
	tileData          = 18
)

// A stop with this bit is one at a system call.
const systemCall = 0x80

type tracer struct {
	main    int
	refuse  bool
	asked   bool // for the tiles; until then every system call stops
	granted bool
	threads map[int]*thread
	result  Result
}

// thread is one that is traced.
type thread struct {
	id    int
	tiles Tiles
	regs  unix.PtraceRegsAmd64

	local  []unix.Iovec
	remote []unix.RemoteIovec
	span   [spanBytes + rowBytes]byte
}

func (t *tracer) run() error {
	const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL
	var status unix.WaitStatus
	if _, err := wait(t.main, &status); err != nil {
		return fmt.Errorf("waiting for the program: %w", err)
	}
	if !status.Stopped() {
		t.end(status)
		return nil
	}
	if err := unix.PtraceSetOptions(t.main, options); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	t.threads[t.main] = &thread{id: t.main}
	for id, signal := t.main, 0; ; {
		if err := t.resume(id, signal); err != nil && !errors.Is(err, unix.ESRCH) { // that is a thread just killed
			return fmt.Errorf("resuming thread %d: %w", id, err)
		}
		for {
			var err error
			if id, err = wait(-1, &status); err != nil {
				return fmt.Errorf("waiting for a thread: %w", err)
			}
			if status.Stopped() {
				break
			}
			delete(t.threads, id)
			if id == t.main {
				t.end(status)
				return nil
			}
		}
		var err error
		if signal, err = t.stopped(id, status); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
}

// wait is for a thread of ours, or any, but not for children of other threads of this process.
func wait(id int, status *unix.WaitStatus) (int, error) {
	for {
		n, err := unix.Wait4(id, status, unix.WALL|unix.WNOTHREAD, nil)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

func (t *tracer) end(status unix.WaitStatus) {
	t.result.ExitCode = status.ExitStatus()
	if status.Signaled() {
		t.result.ExitCode = 128 + int(status.Signal())
	}
}

func (t *tracer) resume(id, signal int) error {
	if !t.asked {
		return unix.PtraceSyscall(id, signal)
	}
	return unix.PtraceCont(id, signal)
}

// stopped handles a stop and returns the signal to go on with.
func (t *tracer) stopped(id int, status unix.WaitStatus) (signal int, err error) {
	x := t.threads[id]
	isNew := x == nil
	if isNew {
		x = &thread{id: id}
		t.threads[id] = x
	}
	switch signal := status.StopSignal(); {
	case status>>16 != 0: // an event of ptrace: a thread was made, or the program replaced
		if status.TrapCause() == unix.PTRACE_EVENT_EXEC {
			*x, t.asked, t.granted = thread{id: id}, false, false
		}
		return 0, nil
	case isNew && signal == unix.SIGSTOP: // so they begin
		return 0, nil
	case signal == unix.SIGTRAP|systemCall:
		return 0, t.call(x)
	case signal == unix.SIGILL && t.granted:
		return t.illegal(x)
	default:
		return int(signal), nil
	}
}

// call grants the tiles, or refuses them, at the end of the system calls that ask.
func (t *tracer) call(x *thread) error {
	if t.asked {
		return nil
	}
	if err := unix.PtraceGetRegsAmd64(x.id, &x.regs); err != nil {
		return err
	}
	r := &x.regs
	isEntry := int64(r.Rax) == -int64(unix.ENOSYS)
	if r.Orig_rax != unix.SYS_ARCH_PRCTL || isEntry {
		return nil
	}
	refused := -int64(unix.EPERM)
	switch r.Rdi {
	case getSupported:
		var mask [8]byte
		if int64(r.Rax) == 0 {
			if err := x.Read(r.Rsi, 0, [][]byte{mask[:]}); err != nil {
				return err
			}
		}
		for _, component := range []int{tileConfig, tileData} {
			mask[component/8] |= 1 << (component % 8)
		}
		if err := x.Write(r.Rsi, 0, [][]byte{mask[:]}); err != nil {
			return err
		}
		r.Rax = 0
	case requestPermission:
		t.asked = true
		if t.granted = !t.refuse && r.Rsi == tileData; t.granted {
			r.Rax = 0
		} else {
			r.Rax = uint64(refused)
		}
	default:
		return nil
	}
	return unix.PtraceSetRegsAmd64(x.id, r)
}

// illegal executes the instruction that the processor refused, and those of ours that
// follow it. What is none of ours, or at fault, is left to the program.
func (t *tracer) illegal(x *thread) (signal int, err error) {
	if err := unix.PtraceGetRegsAmd64(x.id, &x.regs); err != nil {
		return 0, err
	}
	signal = int(unix.SIGILL)
	var buffer [codeBytes]byte
	for code := buffer[:0]; ; {
		i, ok := Decode(code)
		if !ok && len(code) < MaxLength { // at the end of what was read
			code = x.code(buffer[:])
			i, ok = Decode(code)
		}
		if !ok {
			break
		}
		if err := x.tiles.Execute(i, x, x.register); err != nil {
			signal = int(unix.SIGSEGV)
			if errors.Is(err, ErrUndefined) {
				signal = int(unix.SIGILL)
			}
			break
		}
		t.result.Executed[i.Operation]++
		x.regs.Rip += uint64(i.Length)
		code, signal = code[i.Length:], 0
	}
	return signal, unix.PtraceSetRegsAmd64(x.id, &x.regs)
}

// codeBytes are read at a time: a step of a product, or two.
const codeBytes = 128

// code reads instructions, or at least one, where the last begins near the end of memory.
func (x *thread) code(to []byte) []byte {
	for n := len(to); n > 0; n-- {
		if x.Read(x.regs.Rip, 0, [][]byte{to[:n]}) == nil {
			return to[:n]
		}
	}
	return nil
}

// register reads one by its number in machine code.
func (x *thread) register(n int) uint64 {
	r := &x.regs
	return [...]uint64{r.Rax, r.Rcx, r.Rdx, r.Rbx, r.Rsp, r.Rbp, r.Rsi, r.Rdi, r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15, r.Rip}[n]
}

// Read copies from the memory of the program, all rows or it fails.
func (x *thread) Read(address, stride uint64, rows [][]byte) error {
	if x.readSpan(address, stride, rows) {
		return nil
	}
	return x.transfer(unix.ProcessVMReadv, address, stride, rows)
}

// Write copies to the memory of the program.
func (x *thread) Write(address, stride uint64, rows [][]byte) error {
	return x.transfer(unix.ProcessVMWritev, address, stride, rows)
}

// spanBytes is memory that is faster read in one piece, with what lies between the rows.
const spanBytes = 16 << 10

func (x *thread) transfer(system func(int, []unix.Iovec, []unix.RemoteIovec, uint) (int, error), address, stride uint64, rows [][]byte) error {
	x.local, x.remote = x.local[:0], x.remote[:0]
	total := 0
	for i, row := range rows {
		x.local = append(x.local, unix.Iovec{Base: &row[0], Len: uint64(len(row))})
		x.remote = append(x.remote, unix.RemoteIovec{Base: uintptr(address + uint64(i)*stride), Len: len(row)})
		total += len(row)
	}
	n, err := system(x.id, x.local, x.remote, 0)
	if err == nil && n != total {
		err = unix.EFAULT
	}
	return err
}

// readSpan reads rows that lie near each other with what is between them. It says no
// where it could not.
func (x *thread) readSpan(address, stride uint64, rows [][]byte) bool {
	last := uint64(len(rows)-1) * stride
	if len(rows) == 1 || last > spanBytes {
		return false
	}
	span := x.span[:last+uint64(len(rows[0]))]
	if x.transfer(unix.ProcessVMReadv, address, 0, [][]byte{span}) != nil {
		return false
	}
	for i, row := range rows {
		copy(row, span[uint64(i)*stride:])
	}
	return true
}
