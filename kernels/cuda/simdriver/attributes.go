package simdriver

import (
	"encoding/binary"
	"fmt"
	"os"

	"fluxion/kernels/cuda"
)

// attributes of a device; numbers of CUdevice_attribute, values of an A100 and of
// an H100, so that what is decided by them is decided as there.
var attributes = map[int]struct{ sm80, sm90 int }{
	1:   {1024, 1024},                   // threads of a block
	2:   {1024, 1024},                   // x of a block
	3:   {1024, 1024},                   // y
	4:   {64, 64},                       // z
	5:   {1<<31 - 1, 1<<31 - 1},         // x of a grid
	6:   {65535, 65535},                 // y
	7:   {65535, 65535},                 // z
	8:   {sharedDefault, sharedDefault}, // bytes of shared memory of a block
	9:   {65536, 65536},                 // bytes of constant memory
	10:  {32, 32},                       // lanes of a warp
	12:  {65536, 65536},                 // registers of a block
	13:  {1410000, 1980000},             // clock, kHz
	15:  {1, 1},                         // copies while a kernel runs
	16:  {108, 132},                     // multiprocessors
	17:  {0, 0},                         // kernels have a time limit
	18:  {0, 0},                         // shares memory with the host
	19:  {0, 0},                         // kernels may read memory of the host
	20:  {0, 0},                         // compute mode: any process
	31:  {1, 1},                         // kernels run side by side
	32:  {0, 0},                         // ECC
	33:  {0, 0},                         // PCI bus
	34:  {0, 0},                         // PCI device
	35:  {0, 0},                         // TCC
	36:  {1215000, 2619000},             // clock of the memory, kHz
	37:  {5120, 5120},                   // bits of the bus
	38:  {40 << 20, 50 << 20},           // bytes of L2
	39:  {2048, 2048},                   // threads of a multiprocessor
	40:  {1, 1},                         // copy engines
	41:  {1, 1},                         // one address space
	50:  {0, 0},                         // PCI domain
	78:  {1, 1},                         // streams have priorities
	81:  {164 << 10, 228 << 10},         // bytes of shared memory of a multiprocessor
	82:  {65536, 65536},                 // registers of a multiprocessor
	83:  {0, 0},                         // managed memory
	95:  {0, 0},                         // cooperative launches
	97:  {163 << 10, 227 << 10},         // bytes of shared memory of a block that asks for it
	106: {32, 32},                       // blocks of a multiprocessor
	111: {1 << 10, 1 << 10},             // bytes of shared memory that the system takes
}

// The numbers of a compute capability are attributes, too.
const computeCapability, computeCapabilityMinor = 75, 76

// sharedDefault is the shared memory of a block that did not ask for more.
const sharedDefault = 48 << 10

// sharedLimit is the shared memory that a block may ask for.
func sharedLimit(major int) int { return attribute(97, major) }

func attribute(number, major int) int {
	if major == 9 {
		return attributes[number].sm90
	}
	return attributes[number].sm80
}

// Version is the version of CUDA that the driver implements.
func (d *Driver) Version() (int, cuda.Result) {
	return d.options.Version, d.call("cuDriverGetVersion", func() cuda.Result { return cuda.Success })
}

// DeviceCount is 1.
func (d *Driver) DeviceCount() (n int, r cuda.Result) {
	r = d.call("cuDeviceGetCount", func() cuda.Result {
		n = 1
		return cuda.Success
	})
	return n, r
}

// onDevice serves a question about a device.
func (d *Driver) onDevice(name string, ordinal int, f func() cuda.Result) cuda.Result {
	return d.call(name, func() cuda.Result {
		if ordinal != 0 {
			return cuda.InvalidDevice
		}
		return f()
	})
}

// DeviceGet checks the number of a device.
func (d *Driver) DeviceGet(ordinal int) cuda.Result {
	return d.onDevice("cuDeviceGet", ordinal, func() cuda.Result { return cuda.Success })
}

// DeviceName says plainly that it is no GPU.
func (d *Driver) DeviceName(ordinal int) (name string, r cuda.Result) {
	r = d.onDevice("cuDeviceGetName", ordinal, func() cuda.Result {
		name = fmt.Sprintf("Fluxion simulator (sm_%d)", d.capability())
		if d.options.Slice != "" {
			name += " MIG " + d.options.Slice
		}
		return cuda.Success
	})
	return name, r
}

// DeviceBusID is a PCI address that no machine has.
func (d *Driver) DeviceBusID(ordinal int) (id string, r cuda.Result) {
	r = d.onDevice("cuDeviceGetPCIBusId", ordinal, func() cuda.Result {
		id = "0000:00:00.0"
		return cuda.Success
	})
	return id, r
}

// DeviceUUID is a number that no other device has, as a slice of a GPU has its own.
func (d *Driver) DeviceUUID(ordinal int) (id [16]byte, r cuda.Result) {
	return d.uuid("cuDeviceGetUuid_v2", ordinal, d.number)
}

// WholeUUID is that of the GPU which the device may be a slice of.
func (d *Driver) WholeUUID(ordinal int) (id [16]byte, r cuda.Result) {
	if d.options.Slice == "" {
		return d.uuid("cuDeviceGetUuid", ordinal, d.number)
	}
	return d.uuid("cuDeviceGetUuid", ordinal, 0)
}

// uuid is that of a device of this process.
func (d *Driver) uuid(call string, ordinal int, number uint32) (id [16]byte, r cuda.Result) {
	r = d.onDevice(call, ordinal, func() cuda.Result {
		copy(id[:], "Fluxion ")
		binary.BigEndian.PutUint32(id[8:], uint32(os.Getpid()))
		binary.BigEndian.PutUint32(id[12:], number)
		return cuda.Success
	})
	return id, r
}

// DeviceMemory is the memory of the device in bytes.
func (d *Driver) DeviceMemory(ordinal int) (bytes int64, r cuda.Result) {
	r = d.onDevice("cuDeviceTotalMem", ordinal, func() cuda.Result {
		bytes = d.memory.Capacity()
		return cuda.Success
	})
	return bytes, r
}

// DeviceAttribute says a property of the device.
func (d *Driver) DeviceAttribute(number, ordinal int) (value int, r cuda.Result) {
	r = d.onDevice("cuDeviceGetAttribute", ordinal, func() cuda.Result {
		switch _, known := attributes[number]; {
		case number == computeCapability:
			value = d.options.Major
		case number == computeCapabilityMinor:
			value = d.options.Minor
		case !known:
			return d.fail(cuda.InvalidValue, "device attribute %d is not known to the simulator", number)
		default:
			value = attribute(number, d.options.Major)
		}
		return cuda.Success
	})
	return value, r
}
