//go:build gpu

package nccl

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"fluxion/kernels/cuda"
)

// listener is a library in C that writes down how it is called.
const listener = `
#include <stdio.h>
#include <string.h>
typedef struct { char internal[128]; } ncclUniqueId;
static FILE *out;
int ncclGetVersion(int *v) { out = fopen(LOG, "w"); *v = VERSION; return 0; }
int ncclGetUniqueId(ncclUniqueId *id) { memset(id, 'x', 128); id->internal[127] = 'y'; return 0; }
int ncclCommInitRank(void **comm, int world, ncclUniqueId id, int rank) {
	fprintf(out, "init %d of %d, %c%c\n", rank, world, id.internal[0], id.internal[127]);
	*comm = (void *)0x77;
	return 0;
}
int ncclCommDestroy(void *c) { fprintf(out, "destroy %p\n", c); return 0; }
int ncclCommAbort(void *c) { fprintf(out, "abort %p\n", c); fflush(out); return 0; }
int ncclCommGetAsyncError(void *c, int *e) { fprintf(out, "ask %p\n", c); *e = 6; return 0; }
int ncclGroupStart(void) { fprintf(out, "start\n"); return 0; }
int ncclGroupEnd(void) { fprintf(out, "end\n"); return 0; }
int ncclSend(const void *p, size_t n, int type, int peer, void *c, void *s) { fprintf(out, "send %p %zu of type %d to %d, %p, %p\n", p, n, type, peer, c, s); return 0; }
#ifndef OLD
int ncclRecv(void *p, size_t n, int type, int peer, void *c, void *s) { fprintf(out, "recv %p %zu of type %d from %d, %p, %p\n", p, n, type, peer, c, s); return 5; }
#endif
const char *ncclGetErrorString(int r) { return r == 6 ? "remote process exited" : "invalid usage"; }
const char *ncclGetLastError(void *c) { return c ? "?" : "what it says"; }
`

// built is the listener as a library, and the file that it writes to.
func built(t *testing.T, defines ...string) (path, log string) {
	t.Helper()
	dir := t.TempDir()
	path, log = filepath.Join(dir, "libnccl.so"), filepath.Join(dir, "log")
	source := filepath.Join(dir, "listener.c")
	if err := os.WriteFile(source, []byte(listener), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-shared", "-fPIC", "-o", path, source, `-DLOG="` + log + `"`}, defines...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path, log
}

// handled is a stream that is only named.
type handled struct {
	cuda.Stream
	at uintptr
}

func (h *handled) Handle() unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&h.at)) }

// anywhere is a device of which nothing is needed.
type anywhere struct{ cuda.Device }

func (anywhere) Within(f func()) error { f(); return nil }

// TestCalls: the functions of a library in C are given what nccl.h says.
func TestCalls(t *testing.T) {
	path, log := built(t, "-DVERSION=22703")
	l, err := Open(path)
	if err != nil || l.String() != "NCCL 2.27.3" {
		t.Fatal(l, err)
	}
	id, err := l.ID()
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Join(anywhere{}, id, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	s := &handled{at: 0x99}
	err = c.Exchange(s, [][]Part{{{0x1000, 1 << 33}}, nil, {{0x3000, 5}, {0, 0}}}, [][]Part{{{0x2000, 7}}})
	if !errors.Is(err, InvalidUsage) || !strings.Contains(err.Error(), "invalid usage (what it says)") {
		t.Error(err)
	}
	if err := c.Failed(); !errors.Is(err, RemoteError) || !strings.Contains(err.Error(), "remote process exited") {
		t.Error(err)
	}
	if err := errors.Join(c.Abort(), c.Close()); err != nil {
		t.Error(err)
	}
	got, err := os.ReadFile(log)
	want := `init 1 of 3, xy
start
send 0x1000 8589934592 of type 0 to 0, 0x77, 0x99
send 0x3000 5 of type 0 to 2, 0x77, 0x99
recv 0x2000 7 of type 0 from 0, 0x77, 0x99
end
ask 0x77
abort 0x77
`
	if err != nil || string(got) != want {
		t.Errorf("%v, called:\n%s", err, got)
	}
}

// TestMissing: what is no NCCL, or an old one, is one line.
func TestMissing(t *testing.T) {
	old, _ := built(t, "-DVERSION=2604", "-DOLD")
	before, _ := built(t, "-DVERSION=21304")
	for path, want := range map[string]string{
		"/nowhere/libnccl.so.2": "NCCL cannot be loaded: /nowhere/libnccl.so.2: cannot open shared object file",
		"libc.so.6":             "libc.so.6 has no ncclGetVersion: it is no NCCL, or an older one than 2.14.0",
		old:                     "has no ncclRecv: it is no NCCL, or an older one than 2.14.0",
		before:                  "is NCCL 2.13.4, want 2.14.0 or newer",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}
