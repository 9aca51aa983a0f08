package machine

import (
	"errors"

	"fluxion/engine/device"
	"fluxion/engine/generate"
)

// Load puts a sampling step on a device, with the weights that write writes; free gives all back.
func Load(dev device.Device, step *generate.Step, write func(device.Memory) error) (g *generate.Generator, free func() error, err error) {
	if err := step.CheckRoom(dev); err != nil {
		return nil, nil, err
	}
	memory, err := dev.Alloc(step.Sizes())
	if err != nil {
		return nil, nil, err
	}
	if err = write(memory); err == nil {
		g, err = step.Load(dev, memory)
	}
	if err != nil {
		return nil, nil, errors.Join(err, memory.Free())
	}
	return g, func() error { return errors.Join(g.Free(), memory.Free()) }, nil
}
