package simdriver

import (
	"errors"
	"runtime"
	"unsafe"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
)

// MemInfo returns the free bytes of the device, and all.
func (c *Context) MemInfo() (free, total int64, r cuda.Result) {
	r = c.call("cuMemGetInfo", func() cuda.Result {
		total = c.driver.memory.Capacity()
		free = total - c.driver.memory.Used()
		return cuda.Success
	})
	return free, total, r
}

// Alloc takes device memory.
func (c *Context) Alloc(bytes int) (a cuda.Address, r cuda.Result) {
	r = c.unsafeCall("cuMemAlloc", func() cuda.Result {
		if bytes <= 0 {
			return cuda.InvalidValue
		}
		var err error
		a, err = c.driver.memory.Alloc(bytes)
		if errors.Is(err, sim.ErrOutOfMemory) {
			return c.driver.fail(cuda.OutOfMemory, "%v", err)
		}
		if err != nil {
			return c.driver.fail(cuda.InvalidValue, "%v", err)
		}
		c.blocks[a] = bytes
		return cuda.Success
	})
	return a, r
}

// Free gives device memory back, after all that is in streams was run.
func (c *Context) Free(a cuda.Address) cuda.Result {
	return c.unsafeCall("cuMemFree", func() cuda.Result {
		if a == 0 {
			return cuda.Success
		}
		if _, ours := c.blocks[a]; !ours {
			return c.driver.fail(cuda.InvalidValue, "%#x is not what cuMemAlloc returned", uint64(a))
		}
		c.drain()
		c.free(a)
		return c.state()
	})
}

func (c *Context) free(a cuda.Address) {
	if err := c.driver.memory.Free(a); err != nil {
		panic(err) // what is in blocks was allocated
	}
	delete(c.blocks, a)
}

// AddressRange returns the allocation around an address.
func (c *Context) AddressRange(a cuda.Address) (base cuda.Address, bytes int, r cuda.Result) {
	r = c.call("cuMemGetAddressRange", func() cuda.Result {
		for start, n := range c.blocks {
			if a >= start && a < start+cuda.Address(n) {
				base, bytes = start, n
				return cuda.Success
			}
		}
		return c.driver.fail(cuda.NotFound, "no allocation is at %#x", uint64(a))
	})
	return base, bytes, r
}

// pinned keeps page-locked memory, which is Go's, where it is: callers hold it as a C pointer.
type pinned struct {
	bytes []byte
	pin   runtime.Pinner
}

// HostAlloc takes page-locked memory of the host.
func (c *Context) HostAlloc(bytes int) (b []byte, r cuda.Result) {
	r = c.unsafeCall("cuMemHostAlloc", func() cuda.Result {
		if bytes <= 0 {
			return cuda.InvalidValue
		}
		b = make([]byte, bytes)
		p := &pinned{bytes: b}
		p.pin.Pin(&b[0])
		c.host[&b[0]] = p
		return cuda.Success
	})
	return b, r
}

// HostFree gives page-locked memory back.
func (c *Context) HostFree(start *byte) cuda.Result {
	return c.unsafeCall("cuMemFreeHost", func() cuda.Result {
		p := c.host[start]
		if p == nil {
			return c.driver.fail(cuda.InvalidValue, "the memory was not page-locked here")
		}
		c.drain()
		p.free(c)
		return c.state()
	})
}

func (p *pinned) free(c *Context) {
	delete(c.host, &p.bytes[0])
	p.pin.Unpin()
}

// locked tells whether b lies in page-locked memory.
func (c *Context) locked(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	first := uintptr(unsafe.Pointer(&b[0]))
	for _, p := range c.host {
		start := uintptr(unsafe.Pointer(&p.bytes[0]))
		if first >= start && first+uintptr(len(b)) <= start+uintptr(len(p.bytes)) {
			return true
		}
	}
	return false
}

// within checks that n bytes at a were allocated, as the driver does before a copy.
func (c *Context) within(a cuda.Address, n int) cuda.Result {
	for start, size := range c.blocks {
		if a >= start && uint64(a-start)+uint64(n) <= uint64(size) {
			return cuda.Success
		}
	}
	for m := range c.modules {
		for _, g := range m.globals {
			if a >= g.address && uint64(a-g.address)+uint64(n) <= uint64(g.bytes) {
				return cuda.Success
			}
		}
	}
	return c.driver.fail(cuda.InvalidValue, "%d bytes at %#x are not within an allocation", n, uint64(a))
}

// The operations on memory. Each checks its addresses when it is put into a
// stream, and touches the memory when it is run.

func (c *Context) writing(to cuda.Address, from []byte) (operation, cuda.Result) {
	return operation{"copy to the device", func() error { return c.driver.memory.Write(to, from) }}, c.within(to, len(from))
}

func (c *Context) reading(to []byte, from cuda.Address) (operation, cuda.Result) {
	return operation{"copy to the host", func() error { return c.driver.memory.Read(from, to) }}, c.within(from, len(to))
}

func (c *Context) copying(to, from cuda.Address, n int) (operation, cuda.Result) {
	r := c.within(to, n)
	if r == cuda.Success {
		r = c.within(from, n)
	}
	return operation{"copy", func() error { return c.driver.memory.Copy(to, from, n) }}, r
}

func (c *Context) filling(a cuda.Address, pattern []byte, count int) (operation, cuda.Result) {
	n := count * len(pattern)
	if uint64(a)%uint64(len(pattern)) != 0 {
		return operation{}, c.driver.fail(cuda.InvalidValue, "%#x is not aligned to the pattern", uint64(a))
	}
	return operation{"fill", func() error { return c.driver.memory.Fill(a, n, pattern) }}, c.within(a, n)
}

// fills are the names of cuMemset by the bytes of its pattern.
var fills = map[int]string{1: "cuMemsetD8", 2: "cuMemsetD16", 4: "cuMemsetD32"}

// The functions that take no stream work on the default stream, which streams
// that do not block know nothing of. Of these only copies to the host, and copies
// from page-locked memory, are over when they return ("API synchronization
// behavior" in the manual of the driver API).

// MemcpyHtoD copies to the device. From memory that is not page-locked it returns
// when the bytes were taken, not when they are there.
func (c *Context) MemcpyHtoD(to cuda.Address, from []byte) cuda.Result {
	return c.onDefault("cuMemcpyHtoD", func() (operation, bool, cuda.Result) {
		over := c.locked(from)
		if !over {
			from = append([]byte(nil), from...)
		}
		o, r := c.writing(to, from)
		return o, over, r
	})
}

// MemcpyDtoH copies to the host.
func (c *Context) MemcpyDtoH(to []byte, from cuda.Address) cuda.Result {
	return c.onDefault("cuMemcpyDtoH", func() (operation, bool, cuda.Result) {
		o, r := c.reading(to, from)
		return o, true, r
	})
}

// MemcpyDtoD copies within the device.
func (c *Context) MemcpyDtoD(to, from cuda.Address, bytes int) cuda.Result {
	return c.onDefault("cuMemcpyDtoD", func() (operation, bool, cuda.Result) {
		o, r := c.copying(to, from, bytes)
		return o, false, r
	})
}

// Memset repeats a pattern of 1, 2 or 4 bytes.
func (c *Context) Memset(a cuda.Address, pattern []byte, count int) cuda.Result {
	return c.onDefault(fills[len(pattern)], func() (operation, bool, cuda.Result) {
		o, r := c.filling(a, pattern, count)
		return o, false, r
	})
}

// onDefault puts an operation into the default stream, and sees it over if it must be.
func (c *Context) onDefault(name string, prepare func() (o operation, over bool, r cuda.Result)) cuda.Result {
	return c.call(name, func() cuda.Result {
		if r := c.driver.prohibited(name); r != cuda.Success {
			return cuda.StreamCaptureImplicit
		}
		o, over, r := prepare()
		if r != cuda.Success {
			return r
		}
		c.legacy.put(entry{operation: o})
		if over {
			c.legacy.drain(c.legacy.count)
		}
		return c.state()
	})
}
