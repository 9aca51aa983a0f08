//go:build gpu

package bind_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/cuda/driver/bind"
	"fluxion/kernels/cuda/simdriver"

	"gorgonia.org/cu"
)

// library compiles C source to a shared library that poses as libcuda.
func library(t testing.TB, source string) string {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "cuda.c")
	if err := os.WriteFile(file, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "libcuda.so.1")
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-o", path, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func TestNoLibrary(t *testing.T) {
	bind.ToNobody()
	err := bind.ToLibrary("libcuda-that-is-not-there.so.1")
	if err == nil || !strings.Contains(err.Error(), "driver is not installed") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error is %q", err)
	}
	if n, err := cu.NumDevices(); n != 0 || err != cu.NotInitialized {
		t.Errorf("%d devices, %v", n, err)
	}
	if _, err := cu.MemAlloc(16); err != cu.NotInitialized {
		t.Errorf("memory: %v", err)
	}
}

func TestNoDevice(t *testing.T) {
	bind.ToNobody()
	err := bind.ToLibrary(library(t, `int cuInit(unsigned flags) { return 100; }`))
	if err == nil || !strings.Contains(err.Error(), "CUDA_ERROR_NO_DEVICE") || !strings.Contains(err.Error(), "sees no GPU") {
		t.Errorf("error is %v", err)
	}
	if _, err := cu.NumDevices(); err != cu.NoDevice {
		t.Errorf("devices: %v", err)
	}
}

// What cuInit says is told in words of what to do.
func TestRefusals(t *testing.T) {
	bind.ToNobody()
	for result, want := range map[int]string{
		2: "no memory left", 46: "busy or was lost", 802: "nvidia-fabricmanager", 803: "restart the machine", 804: "cuda-compat", 999: "after a suspend",
	} {
		err := bind.ToLibrary(library(t, fmt.Sprintf(`int cuInit(unsigned flags) { return %d; }`, result)))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "CUresult") {
			t.Errorf("%d: error is %v", result, err)
		}
	}
}

func TestNotCUDA(t *testing.T) {
	bind.ToNobody()
	if err := bind.ToLibrary(library(t, `int other(void) { return 0; }`)); err == nil || !strings.Contains(err.Error(), "no cuInit") {
		t.Errorf("error is %v", err)
	}
}

// TestLibrary passes arguments of all kinds on to a library, and what it answers back.
func TestLibrary(t *testing.T) {
	bind.ToNobody()
	t.Cleanup(bind.ToNobody)
	path := library(t, `
#include <stddef.h>
int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *n) { *n = 3; return 0; }
int cuMemAlloc_v2(unsigned long long *p, size_t bytes) { *p = 0x123456789abcull + bytes; return 0; }
int cuMemsetD8Async(unsigned long long to, unsigned char v, size_t n, void *stream) {
	return to == 0x700000000001ull && v == 200 && n == 1ull << 40 && !stream ? 0 : 1;
}
int cuTexRefSetMipmapLevelClamp(void *ref, float low, float high) { return low == 0.25f && high == -8.5f ? 0 : 1; }
int cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **params, void **extra) {
	return gx == 1 && gy == 2 && gz == 3 && bx == 4 && by == 5 && bz == 6 && shared == 7 && !stream && *(long *)params[0] == 8 && !extra ? 0 : 1;
}
`)
	if err := bind.ToLibrary(path); err != nil {
		t.Fatal(err)
	}
	if n, err := cu.NumDevices(); n != 3 || err != nil {
		t.Errorf("%d devices, %v", n, err)
	}
	if p, err := cu.MemAlloc(0x10); p != 0x123456789acc || err != nil {
		t.Errorf("memory at %v, %v", p, err)
	}
	if err := cu.MemsetD8Async(0x700000000001, 200, 1<<40, cu.NoStream); err != nil {
		t.Errorf("fill: %v", err)
	}
	if err := (cu.TexRef{}).SetMipmapLevelClamp(0.25, -8.5); err != nil {
		t.Errorf("floats: %v", err)
	}
	eight := int64(8)
	if err := (cu.Function{}).Launch(1, 2, 3, 4, 5, 6, 7, cu.NoStream, []unsafe.Pointer{unsafe.Pointer(&eight)}); err != nil {
		t.Errorf("launch: %v", err)
	}
	// What an older library lacks is an error of that call only.
	if err := cu.Synchronize(); err != cu.SharedObjectSymbolNotFound || bind.Detail(302) == "" {
		t.Errorf("missing function: %v", err)
	}
}

// TestCu uses gorgonia.org/cu as its own examples do, on the simulated driver.
func TestCu(t *testing.T) {
	d := simdriver.New(simdriver.Options{Memory: 1 << 20})
	bind.ToSimulator(d)
	t.Cleanup(bind.ToNobody)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%v (%s)", err, d.Detail())
		}
	}
	device, err := cu.GetDevice(0)
	check(err)
	id, err := device.UUID()
	check(err)
	if want, _ := d.WholeUUID(0); id != want {
		t.Errorf("UUID %q", id)
	}
	context, err := device.RetainPrimaryCtx()
	check(err)
	check(context.Lock())
	_, active, err := device.PrimaryCtxState()
	check(err)
	if current, err := cu.CurrentContext(); err != nil || current != context || active != 1 {
		t.Errorf("current context %v, want %v, %v", current, context, err)
	}
	module, err := cu.LoadData(cudatest.Module.PTX())
	check(err)
	axpy, err := module.Function("axpy")
	check(err)
	x, err := cu.MemAlloc(16)
	check(err)
	y, err := cu.MemAlloc(16)
	check(err)
	check(cu.MemsetD32(x, 0x3F800000, 4)) // 1
	check(cu.MemsetD8(y, 0, 16))
	a, n := float32(2.5), uint32(4)
	aWord, nWord := *(*uint32)(unsafe.Pointer(&a)), n
	words := []uint64{uint64(y), uint64(x), uint64(aWord), uint64(nWord)} // cu copies 8 bytes of each
	var params []unsafe.Pointer
	for i := range words {
		params = append(params, unsafe.Pointer(&words[i]))
	}
	check(axpy.Launch(1, 1, 1, 32, 1, 1, 0, cu.NoStream, params))
	check(cu.Synchronize())
	got := make([]byte, 16)
	check(cu.MemcpyDtoH(unsafe.Pointer(&got[0]), y, 16))
	if want := cudatest.Floats(2.5, 2.5, 2.5, 2.5); string(got) != string(want) {
		t.Errorf("got % x, want % x", got, want)
	}
	size, base, err := (y + 4).AddressRange()
	check(err)
	if size != 16 || base != y {
		t.Errorf("range of %d bytes at %v, want 16 at %v", size, base, y)
	}
	if _, _, err := module.Global("absent"); err != cu.NotFound {
		t.Errorf("a variable that is not there: %v", err)
	}
	// What the simulated driver does not have, it refuses.
	if _, err := cu.MemAllocManaged(16, cu.AttachGlobal); err != cu.NotSupported || !strings.Contains(d.Detail(), "cuMemAllocManaged") {
		t.Errorf("managed memory: %v (%s)", err, d.Detail())
	}
	check(cu.MemFree(x))
	check(cu.MemFree(y))
	check(module.Unload())
	check(context.Unlock())
	check(device.ReleasePrimaryCtx())
	if leaks := d.Leaks(); leaks != nil {
		t.Errorf("left behind: %v", leaks)
	}
	if err := cu.MemFree(x); err != cu.InvalidContext {
		t.Errorf("a call without a context: %v", err)
	}
}

// TestThreads checks that a context is current to a thread, not to the process.
func TestThreads(t *testing.T) {
	d := simdriver.New(simdriver.Options{Memory: 1 << 20})
	bind.ToSimulator(d)
	t.Cleanup(bind.ToNobody)
	device, err := cu.GetDevice(0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	lock := func(f func()) {
		go func() {
			defer func() { done <- struct{}{} }()
			cu.CUContext{}.Lock() // ties the goroutine to its thread
			f()
		}()
		<-done
	}
	var first cu.CUContext
	lock(func() {
		if first, err = device.MakeContext(cu.SchedAuto); err != nil {
			t.Error(err)
		}
		if _, err := cu.MemAlloc(16); err != nil {
			t.Error(err)
		}
	})
	lock(func() {
		if _, err := cu.MemAlloc(16); err != cu.InvalidContext {
			t.Errorf("another thread: %v", err)
		}
		if err := cu.PushCurrentCtx(first); err != nil {
			t.Error(err)
		}
		if _, err := cu.MemAlloc(16); err != nil {
			t.Error(err)
		}
		if popped, err := cu.PopCurrentCtx(); popped != first || err != nil {
			t.Errorf("popped %v, want %v, %v", popped, first, err)
		}
		if _, err := cu.MemAlloc(16); err != cu.InvalidContext {
			t.Errorf("after the pop: %v", err)
		}
		if err := first.Destroy(); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkCall is what a call costs that a library answers at once.
func BenchmarkCall(b *testing.B) {
	bind.ToNobody()
	b.Cleanup(bind.ToNobody)
	path := library(b, `int cuInit(unsigned flags) { return 0; } int cuMemFree_v2(unsigned long long p) { return 0; }`)
	if err := bind.ToLibrary(path); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := cu.MemFree(1); err != nil {
			b.Fatal(err)
		}
	}
}
