package simdriver

import (
	"fluxion/kernels/cuda"
)

// Context is a context on the device. Everything made in it goes with it.
type Context struct {
	driver    *Driver
	flags     uint
	destroyed bool
	sticky    cuda.Result // after a kernel failed, what every call gives
	why       string

	legacy  *Stream // the default stream
	streams map[*Stream]bool
	events  map[*Event]bool
	modules map[*Module]bool
	blocks  map[cuda.Address]int
	host    map[*byte]*pinned
}

// CtxCreate makes a context on the device.
func (d *Driver) CtxCreate(flags uint, device int) (c *Context, r cuda.Result) {
	r = d.call("cuCtxCreate", func() cuda.Result {
		if device != 0 {
			return cuda.InvalidDevice
		}
		if d.lost != cuda.Success {
			return d.lost
		}
		c = &Context{
			driver: d, flags: flags,
			streams: map[*Stream]bool{}, events: map[*Event]bool{}, modules: map[*Module]bool{},
			blocks: map[cuda.Address]int{}, host: map[*byte]*pinned{},
		}
		c.legacy = &Stream{context: c}
		d.contexts = append(d.contexts, c)
		return cuda.Success
	})
	return c, r
}

// call serves one call within the context.
func (c *Context) call(name string, f func() cuda.Result) cuda.Result {
	return c.driver.call(name, func() cuda.Result {
		if c.destroyed {
			return c.driver.fail(cuda.ContextIsDestroyed, "the context was destroyed")
		}
		if r := c.state(); r != cuda.Success {
			return r
		}
		return f()
	})
}

// unsafeCall serves a call that may not be made while a stream captures.
func (c *Context) unsafeCall(name string, f func() cuda.Result) cuda.Result {
	return c.call(name, func() cuda.Result {
		if r := c.driver.prohibited(name); r != cuda.Success {
			return r
		}
		return f()
	})
}

// state is what an earlier failure makes of every call.
func (c *Context) state() cuda.Result {
	if c.sticky != cuda.Success {
		c.driver.detail = c.why
		return c.sticky
	}
	return c.driver.lost
}

// Flags are those it was created with.
func (c *Context) Flags() uint { return c.flags }

// Synchronize runs everything in all streams.
func (c *Context) Synchronize() cuda.Result {
	return c.unsafeCall("cuCtxSynchronize", func() cuda.Result {
		c.drain()
		return c.state()
	})
}

func (c *Context) drain() {
	c.legacy.drain(c.legacy.count)
	for s := range c.streams {
		s.drain(s.count)
	}
}

// Destroy frees everything made in the context. It does so even if a fault makes
// it fail, or the device is lost.
func (c *Context) Destroy() cuda.Result {
	d := c.driver
	d.mu.Lock()
	defer d.mu.Unlock()
	d.detail = ""
	r := d.injected("cuCtxDestroy", "")
	if c.destroyed {
		return cuda.InvalidContext
	}
	c.drain()
	for s := range c.streams {
		s.destroy()
	}
	for m := range c.modules {
		m.unload()
	}
	for a := range c.blocks {
		c.free(a)
	}
	for _, p := range c.host {
		p.free(c)
	}
	for e := range c.events {
		delete(c.events, e)
	}
	c.destroyed = true
	for i, other := range d.contexts {
		if other == c {
			d.contexts = append(d.contexts[:i], d.contexts[i+1:]...)
			break
		}
	}
	return r
}

// Context is itself; everything that was made in a context has this method.
func (c *Context) Context() *Context  { return c }
func (s *Stream) Context() *Context   { return s.context }
func (e *Event) Context() *Context    { return e.context }
func (m *Module) Context() *Context   { return m.context }
func (f *Function) Context() *Context { return f.module.context }
