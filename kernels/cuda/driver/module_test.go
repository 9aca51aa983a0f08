//go:build gpu

package driver_test

import (
	"errors"
	"strings"
	"testing"

	"fluxion/kernels/cast"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/driver"
	"fluxion/kernels/cuda/simdriver"
	"fluxion/kernels/number"

	"gorgonia.org/cu"
)

// The machine code of the program's modules is loaded where there is some for the GPU, and PTX where
// there is none, or the driver refuses it.
func TestMachineCode(t *testing.T) {
	for name, c := range map[string]struct {
		options simdriver.Options
		loads   int
		refused string
	}{
		"8.0":        {simdriver.Options{}, 1, ""},
		"8.6":        {simdriver.Options{Minor: 6}, 1, ""},
		"8.9":        {simdriver.Options{Minor: 9}, 1, ""},
		"9.0":        {simdriver.Options{Major: 9}, 1, ""},
		"10.0":       {simdriver.Options{Major: 10, Version: 12080}, 1, ""},
		"12.0":       {simdriver.Options{Major: 12, Version: 12080}, 1, ""},
		"8.7":        {simdriver.Options{Minor: 7}, 1, ""}, // an Orin: PTX
		"13.0":       {simdriver.Options{Major: 13, Version: 14000}, 1, ""},
		"old driver": {simdriver.Options{NoCode: true, Version: 11040}, 2, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
	} {
		t.Run(name, func(t *testing.T) {
			sim := simdriver.New(c.options)
			device, err := driver.Simulate(sim).Open(0, cuda.WaitAsDriver)
			if err != nil {
				t.Fatal(err)
			}
			p := device.Properties()
			call := castCall()
			code, err := call.Module.Cubin(p.Major, p.Minor)
			if known := name != "8.7" && name != "13.0"; err != nil || known != (code != nil) {
				t.Errorf("%d bytes of machine code, %v", len(code), err)
			}
			if err := device.Prepare(call, call); err != nil {
				t.Fatal(err)
			}
			if n := sim.Calls("cuModuleLoadData"); n != c.loads {
				t.Errorf("%d loads, want %d", n, c.loads)
			}
			if err := device.Refused(); (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
				t.Errorf("refused: %v, want %q", err, c.refused)
			}
			if err := device.Close(); err != nil || sim.Leaks() != nil {
				t.Errorf("%v, left behind %v", err, sim.Leaks())
			}
		})
	}
}

// castCall is a launch of a module that the program brings.
func castCall() cuda.Call {
	operand := func(t number.Type) cuda.Operand {
		return cuda.Operand{Address: 4096, Type: t, Rows: 1, Cols: 4, Pitch: 4}
	}
	return cast.Op{}.CUDA(cuda.Launch{In: []cuda.Operand{operand(number.Float32)}, Out: operand(number.BFloat16)})[0]
}

// An error of the device is none that PTX would mend.
func TestMachineCodeLost(t *testing.T) {
	sim := simdriver.New(simdriver.Options{})
	device, err := driver.Simulate(sim).Open(0, cuda.WaitAsDriver)
	if err != nil {
		t.Fatal(err)
	}
	sim.Inject(simdriver.Fault{Call: "cuModuleLoadData", Number: 1, Result: cuda.OutOfMemory})
	if err := device.Prepare(castCall()); !errors.Is(err, cuda.OutOfMemory) || sim.Calls("cuModuleLoadData") != 1 {
		t.Errorf("%v after %d loads", err, sim.Calls("cuModuleLoadData"))
	}
	if err := errors.Join(device.Prepare(castCall()), device.Close()); err != nil {
		t.Error(err)
	}
}

// How the host waits is a flag of the context, which whoever makes it decides.
func TestWaiting(t *testing.T) {
	for way, flag := range map[cuda.Waiting]cu.ContextFlags{cuda.WaitAsDriver: cu.SchedAuto, cuda.WaitSpinning: cu.SchedSpin, cuda.WaitBlocking: cu.SchedBlockingSync} {
		d := driver.Simulate(simdriver.New(simdriver.Options{}))
		device, err := d.Open(0, way)
		if err != nil {
			t.Fatal(err)
		}
		again, err := d.Open(0, cuda.WaitAsDriver)
		if err != nil {
			t.Fatal(err)
		}
		if flags, active, err := cu.Device(0).PrimaryCtxState(); err != nil || active == 0 || flags != flag {
			t.Errorf("way %v: flags %v, want %v; active %d, %v", way, flags, flag, active, err)
		}
		if err := errors.Join(again.Close(), device.Close()); err != nil {
			t.Error(err)
		}
	}
}
