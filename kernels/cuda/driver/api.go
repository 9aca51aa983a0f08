//go:build gpu

package driver

import (
	"fmt"
	"reflect"
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
		p.Problem = err // one that is sick does not hide the others
		all = append(all, p)
	}
	return all, nil
}

func properties(ordinal int) (p cuda.Properties, err error) {
	what := fmt.Sprintf("device %d", ordinal)
	p.Ordinal, p.Simulated = ordinal, bind.Simulator() != nil
	d, err := cu.GetDevice(ordinal)
	if err != nil {
		return p, errorOf("cuDeviceGet", resultOf(err), "%s", what)
	}
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
	own, whole, r := uuids(ordinal)
	if r != cuda.Success {
		return p, errorOf("cuDeviceGetUuid", r, "%s", what)
	}
	p.Identify(own, whole)
	err = cuda.ReadAttributes(&p, func(number int) (int, error) {
		v, err := d.Attribute(cu.DeviceAttribute(number))
		return v, errorOf("cuDeviceGetAttribute", resultOf(err), "%s, attribute %d", what, number)
	})
	return p, err
}

// devices numbers what was opened in this process.
var devices atomic.Uint64

// flags of a context by how its threads wait.
var flags = map[cuda.Waiting]cu.ContextFlags{cuda.WaitAsDriver: cu.SchedAuto, cuda.WaitSpinning: cu.SchedSpin, cuda.WaitBlocking: cu.SchedBlockingSync}

// Open takes the primary context of a device, which all of the process share: libraries that
// work beside us on the same device, as those of several GPUs do, use it.
func (api) Open(ordinal int, w cuda.Waiting) (cuda.Device, error) {
	p, err := properties(ordinal)
	if err != nil {
		return nil, err
	}
	if err := p.Usable(); err != nil {
		return nil, err
	}
	primary := cu.Device(ordinal)
	_, active, err := primary.PrimaryCtxState()
	if err != nil {
		return nil, errorOf("cuDevicePrimaryCtxGetState", resultOf(err), "device %d", ordinal)
	}
	if active == 0 { // else whoever made it has chosen
		if err := primary.SetPrimaryCtxFlags(flags[w]); err != nil {
			return nil, errorOf("cuDevicePrimaryCtxSetFlags", resultOf(err), "device %d", ordinal)
		}
	}
	context, err := primary.RetainPrimaryCtx()
	if err != nil {
		return nil, errorOf("cuDevicePrimaryCtxRetain", resultOf(err), "device %d", ordinal)
	}
	return &device{
		number: devices.Add(1), primary: primary, context: context, properties: p,
		modules: map[*cuda.Module]*module{}, made: map[any]func() cuda.Result{},
	}, nil
}
