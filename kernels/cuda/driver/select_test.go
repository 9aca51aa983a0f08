package driver_test

import (
	"errors"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/driver"
)

func TestSelectSimulated(t *testing.T) {
	d, err := driver.Select(driver.Simulated)
	if err != nil {
		t.Fatal(err)
	}
	devices, err := d.Devices()
	if err != nil || len(devices) != 1 || !devices[0].Simulated || devices[0].Name != "Fluxion simulator (sm_80)" {
		t.Errorf("devices %+v, %v", devices, err)
	}
}

// TestSelectAgain checks that devices of one driver stay usable when it is asked for again.
func TestSelectAgain(t *testing.T) {
	var devices []cuda.Device
	for range 2 {
		d, err := driver.Select(driver.Simulated)
		if err != nil {
			t.Fatal(err)
		}
		device, err := d.Open(0, cuda.WaitAsDriver)
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, device)
	}
	for _, device := range devices {
		a, err := device.Alloc(16)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(device.Free(a), device.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestSelectNVIDIA finds a GPU, or one line that says what is missing.
func TestSelectNVIDIA(t *testing.T) {
	for _, name := range []string{"", driver.NVIDIA} {
		d, err := driver.Select(name)
		if err != nil {
			if s := err.Error(); strings.Contains(s, "\n") || !strings.Contains(s, "-tags gpu") && !strings.Contains(s, "NVIDIA's driver") {
				t.Errorf("%q does not say what is missing", s)
			}
			continue
		}
		devices, err := d.Devices()
		if err != nil || len(devices) == 0 || devices[0].Simulated {
			t.Errorf("devices %+v, %v", devices, err)
		}
	}
}

func TestSelectUnknown(t *testing.T) {
	if _, err := driver.Select("rocm"); err == nil || !strings.Contains(err.Error(), "rocm") || !strings.Contains(err.Error(), "sim") {
		t.Errorf("error is %v", err)
	}
}
