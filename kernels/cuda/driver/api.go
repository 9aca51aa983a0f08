//go:build gpu

package driver

import (
	"fmt"
	"reflect"
	"runtime"
	"sync/atomic"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/driver/bind"

	"gorgonia.org/cu"
)

// api is the driver that is bound.
type api struct{}

// resultOf is the number behind an error of cu, whose type it does not export.
func resultOf(err error) cuda.Result {
	if err == nil {
		return cuda.Success
	}
	return cuda.Result(reflect.ValueOf(err).Int())
}

// errorOf makes an error of a result.
func errorOf(call string, r cuda.Result, what string, args ...any) error {
	if r == cuda.Success {
		return nil
	}
	return &cuda.Error{Call: call, Result: r, What: fmt.Sprintf(what, args...), Detail: bind.Detail(r)}
}

// Devices lists the devices of the driver.
func (api) Devices() ([]cuda.Properties, error) {
	n, err := cu.NumDevices()
	if err != nil {
		return nil, errorOf("cuDeviceGetCount", resultOf(err), "")
	}
	var all []cuda.Properties
	for i := range n {
		p, err := properties(i)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func properties(ordinal int) (p cuda.Properties, err error) {
	what := fmt.Sprintf("device %d", ordinal)
	d, err := cu.GetDevice(ordinal)
	if err != nil {
		return p, errorOf("cuDeviceGet", resultOf(err), "%s", what)
	}
	p.Ordinal, p.Simulated = ordinal, bind.Simulator() != nil
	if p.Name, err = d.Name(); err != nil {
		return p, errorOf("cuDeviceGetName", resultOf(err), "%s", what)
	}
	if p.Memory, err = d.TotalMem(); err != nil {
		return p, errorOf("cuDeviceTotalMem", resultOf(err), "%s", what)
	}
	var r cuda.Result
	if p.DriverVersion, r = version(); r != cuda.Success {
		return p, errorOf("cuDriverGetVersion", r, "")
	}
	if p.BusID, r = busID(ordinal); r != cuda.Success {
		return p, errorOf("cuDeviceGetPCIBusId", r, "%s", what)
	}
	err = cuda.ReadAttributes(&p, func(number int) (int, error) {
		v, err := d.Attribute(cu.DeviceAttribute(number))
		return v, errorOf("cuDeviceGetAttribute", resultOf(err), "%s, attribute %d", what, number)
	})
	return p, err
}

// devices numbers the contexts of this process.
var devices atomic.Uint64

// Open makes a context on a device.
func (api) Open(ordinal int) (cuda.Device, error) {
	p, err := properties(ordinal)
	if err != nil {
		return nil, err
	}
	if err := p.Usable(); err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	context, err := cu.Device(ordinal).MakeContext(cu.SchedAuto)
	if err != nil {
		return nil, errorOf("cuCtxCreate", resultOf(err), "device %d", ordinal)
	}
	d := &device{
		number: devices.Add(1), context: context, properties: p,
		modules: map[*cuda.Module]*module{}, graphs: map[*graph]bool{},
	}
	// The new context is current to this thread, which goes on to other work.
	if _, err := cu.PopCurrentCtx(); err != nil {
		_ = d.Close()
		return nil, errorOf("cuCtxPopCurrent", resultOf(err), "")
	}
	return d, nil
}
