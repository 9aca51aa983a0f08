package cudatest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
)

// RunSimulated checks a driver over a simulated one, of both kinds of GPU: what
// Run checks, that nothing is left behind, and what RunFaults checks.
func RunSimulated(t *testing.T, open func(*simdriver.Driver) cuda.Driver) {
	for name, major := range map[string]int{"sm_80": 8, "sm_90": 9} {
		t.Run(name, func(t *testing.T) {
			Run(t, func(t *testing.T) cuda.Driver {
				d := simdriver.New(simdriver.Options{Memory: 16 << 20, Major: major})
				t.Cleanup(func() {
					if leaks := d.Leaks(); leaks != nil {
						t.Errorf("left behind: %v", leaks)
					}
				})
				return open(d)
			})
		})
	}
	for why, o := range map[string]simdriver.Options{
		"its compute capability is 7.5, the kernels need 8.0 (Ampere) or newer; use --device cpu":      {Major: 7, Minor: 5},
		"its driver is one of CUDA 11.2, the program needs 11.4 or newer: install driver 470 or newer": {Version: 11020},
	} {
		t.Run("too old", func(t *testing.T) {
			d := simdriver.New(o)
			_, err := open(d).Open(0, cuda.WaitAsDriver)
			if !errors.Is(err, cuda.NotSupported) || !strings.HasSuffix(err.Error(), why) || strings.Contains(err.Error(), "\n") || d.Leaks() != nil {
				t.Errorf("error is %v, left behind %v", err, d.Leaks())
			}
		})
	}
	t.Run("PTX of a newer CUDA", func(t *testing.T) {
		d := simdriver.New(simdriver.Options{Version: cuda.OldestDriver})
		device, err := open(d).Open(0, cuda.WaitAsDriver)
		if err != nil {
			t.Fatal(err)
		}
		call := Count(0)
		call.Module = cuda.NewModule("later", strings.Replace(ptx, ".version 7.0", ".version 8.1", 1))
		err = device.Prepare(call)
		if !errors.Is(err, cuda.UnsupportedPTXVersion) || !strings.Contains(err.Error(), "8.1 is that of CUDA 12.1") {
			t.Errorf("error is %v", err)
		}
		if err := errors.Join(device.Prepare(Count(0)), device.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Run("faults", func(t *testing.T) { RunFaults(t, open) })
}

// RunFaults makes each call of a whole session fail in turn, each allocation run
// out of memory, and the device be lost at each operation. Each time the session
// must end with an error that tells call and result, and leave nothing behind.
func RunFaults(t *testing.T, open func(*simdriver.Driver) cuda.Driver) {
	fresh := func() *simdriver.Driver { return simdriver.New(simdriver.Options{Memory: 1 << 20, Workers: 1}) }
	d := fresh()
	closing := map[string]int{} // calls before the device is closed
	err := session(open(d), func() {
		for _, call := range []string{"", simdriver.Operation} {
			closing[call] = d.Calls(call)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if leaks := d.Leaks(); leaks != nil {
		t.Fatalf("left behind without a fault: %v", leaks)
	}
	for _, f := range []simdriver.Fault{
		{Call: "", Result: cuda.NotPermitted},
		{Call: "", Result: cuda.DeviceUnavailable},
		{Call: "cuMemAlloc", Result: cuda.OutOfMemory},
		{Call: "cuMemHostAlloc", Result: cuda.OutOfMemory},
		{Call: simdriver.Operation, Result: cuda.LaunchFailed},
		{Call: simdriver.Operation, Result: cuda.ECCUncorrectable},
	} {
		n := d.Calls(f.Call)
		if n < 2 {
			t.Fatalf("the session makes %d calls of %q", n, f.Call)
		}
		for f.Number = 1; f.Number <= n; f.Number++ {
			faulty := fresh()
			driver := open(faulty)
			faulty.Inject(f)
			err := session(driver, func() {})
			var e *cuda.Error
			switch {
			case !errors.As(err, &e):
				// What gives all back may find the device lost: there is nobody to be told.
				if !f.Result.Lost() || f.Number <= closing[f.Call] {
					t.Errorf("%+v: the session ends with %v", f, err)
				}
			case e.Result != f.Result || e.Call == "":
				t.Errorf("%+v: the session ends with %v", f, err)
			}
			if leaks := faulty.Leaks(); leaks != nil {
				t.Errorf("%+v: left behind: %v", f, leaks)
			}
		}
	}
}

// session opens a device, uses everything once, checks the outcome and closes it, after closing is called.
func session(driver cuda.Driver, closing func()) (err error) {
	devices, err := driver.Devices()
	if err != nil {
		return err
	}
	for _, p := range devices { // one that does not answer is listed all the same
		if p.Problem != nil {
			return p.Problem
		}
	}
	device, err := driver.Open(0, cuda.WaitAsDriver)
	if err != nil {
		return err
	}
	defer func() {
		closing()
		err = errors.Join(err, device.Close())
	}()

	x, err := device.Alloc(1024)
	if err != nil {
		return err
	}
	y, err := device.Alloc(1024)
	if err != nil {
		return err
	}
	host, err := device.AllocHost(1024)
	if err != nil {
		return err
	}
	back, err := device.AllocHost(1024)
	if err != nil {
		return err
	}
	stream, err := device.NewStream()
	if err != nil {
		return err
	}
	event, err := device.NewEvent()
	if err != nil {
		return err
	}
	if _, _, err := device.MemoryInfo(); err != nil {
		return err
	}
	copy(host, Floats(1, 2, 3, 4))
	calls := []cuda.Call{Axpy(y, x, 2, 256), Reverse(y, x, 4, 64<<10)}
	steps := []func() error{
		func() error { return device.Prepare(calls...) },
		func() error { return stream.CopyIn(x, host) },
		func() error { return stream.Fill(y, 0, 1024) },
		func() error { return device.Synchronize() },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	graph, err := stream.Capture(func() error {
		return errors.Join(stream.Launch(calls[0]), stream.Copy(x+512, y, 512))
	})
	if err != nil {
		return err
	}
	steps = []func() error{
		func() error { return graph.Launch(stream) },
		func() error { return graph.Launch(stream) },
		func() error { return stream.Record(event) },
		func() error { return stream.Wait(event) },
		func() error { return stream.CopyOut(back, y) },
		event.Synchronize,
		stream.Synchronize,
		func() error { return device.CopyIn(x, host[:16]) },
		func() error { return device.CopyOut(host[:16], x) },
		graph.Close,
		event.Close,
		stream.Close,
		func() error { return device.Free(x) },
		func() error { return device.Free(y) },
		func() error {
			if want := Floats(4, 8, 12, 16); !slices.Equal(back[:16], want) {
				return fmt.Errorf("got % x, want % x", back[:16], want)
			}
			return nil
		},
		func() error { return device.FreeHost(host) },
		func() error { return device.FreeHost(back) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
