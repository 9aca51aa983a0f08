//go:build gpu

package driver

import (
	"bytes"
	"errors"
	"runtime"
	"sync"

	"fluxion/kernels/cuda"

	"gorgonia.org/cu"
)

// module is a loaded module with the functions that were asked for.
type module struct {
	module    cu.Module
	refused   error // why its machine code was not taken
	functions map[string]*function
}

type function struct {
	function cu.Function
	dynamic  int // bytes of dynamic shared memory that a launch may ask for
}

// loadAll loads the modules of calls that are not there yet, side by side: where the driver has to compile PTX, each takes
// a processor for up to two seconds. It is called with the lock.
func (d *device) loadAll(calls []cuda.Call) error {
	var wanted []*cuda.Module
	asked := map[*cuda.Module]bool{}
	for _, c := range calls {
		if d.modules[c.Module] == nil && !asked[c.Module] {
			asked[c.Module] = true
			wanted = append(wanted, c.Module)
		}
	}
	loaded, failed := make([]*module, len(wanted)), make([]error, len(wanted))
	var wait sync.WaitGroup
	room := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, m := range wanted {
		room <- struct{}{}
		wait.Go(func() {
			loaded[i], failed[i] = d.load(m)
			<-room
		})
	}
	wait.Wait()
	for i, m := range wanted {
		if loaded[i] == nil {
			continue
		}
		d.modules[m] = loaded[i]
		d.made[loaded[i]] = func() cuda.Result { return resultOf(loaded[i].module.Unload()) }
		if d.refused == nil {
			d.refused = loaded[i].refused
		}
	}
	return errors.Join(failed...)
}

// load takes the machine code of a module if there is any for this GPU. Where there is none, or the driver
// refuses it, the driver compiles the PTX, and keeps the result on disk for the next time.
func (d *device) load(m *cuda.Module) (*module, error) {
	code, err := m.Cubin(d.properties.Major, d.properties.Minor)
	if code != nil {
		var loaded *module
		if loaded, err = d.loadImage(m, string(code)); err == nil || !isRefusal(err) {
			return loaded, err
		}
	}
	loaded, failed := d.loadImage(m, m.PTX())
	if failed == nil {
		loaded.refused = err
	}
	return loaded, failed
}

// isRefusal tells errors that another form of the module may mend from those of the device.
func isRefusal(err error) bool {
	var e *cuda.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Result {
	case cuda.InvalidImage, cuda.NoBinaryForGPU, cuda.InvalidPTX, cuda.UnsupportedPTXVersion, cuda.InvalidSource, cuda.NotSupported:
		return true
	}
	return false
}

func (d *device) loadImage(m *cuda.Module, image string) (*module, error) {
	log := make([]byte, 16<<10)
	loaded := &module{functions: map[string]*function{}}
	r := d.do(func() (err error) {
		loaded.module, err = cu.LoadDataEx(image, &cu.JITErrorLogBuffer{Buffer: log})
		return err
	})
	if r == cuda.Success {
		return loaded, nil
	}
	text, _, _ := bytes.Cut(log, []byte{0})
	err := errorOf("cuModuleLoadDataEx", r, "module %s", m.Name).(*cuda.Error)
	if len(text) > 0 {
		err.Detail = string(text)
	}
	return nil, err
}

// Refused is why machine code was not taken.
func (d *device) Refused() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused
}
