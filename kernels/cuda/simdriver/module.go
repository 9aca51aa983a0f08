package simdriver

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
)

// Module is PTX made ready to run.
type Module struct {
	context   *Context
	module    *cuda.Module
	functions map[string]*Function
	globals   map[string]global
	unloaded  bool
}

// global is a variable of a module, in device memory.
type global struct {
	address cuda.Address
	bytes   int
}

// ModuleLoad compiles PTX. The log says what is wrong with it.
func (c *Context) ModuleLoad(ptx string) (m *Module, log string, r cuda.Result) {
	r = c.unsafeCall("cuModuleLoadData", func() cuda.Result {
		m, log, r = c.load(ptx)
		return r
	})
	return m, log, r
}

// ModuleLoadCode loads machine code that the program brings. It runs none: its PTX is what is executed.
func (c *Context) ModuleLoadCode(code []byte) (m *Module, log string, r cuda.Result) {
	r = c.unsafeCall("cuModuleLoadData", func() cuda.Result {
		_, capability, err := cuda.CubinHead([64]byte(code))
		module := cuda.ModuleOf(code)
		switch own := c.driver.capability(); {
		case err != nil:
			return c.driver.fail(cuda.InvalidImage, "%v", err)
		case c.driver.options.NoCode:
			return c.driver.fail(cuda.NoBinaryForGPU, "machine code is not for this driver")
		case capability != own:
			return c.driver.fail(cuda.NoBinaryForGPU, "machine code for sm_%d does not run on sm_%d", capability, own)
		case module == nil:
			return c.driver.fail(cuda.InvalidImage, "machine code of no module of this program")
		}
		m, log, r = c.load(module.PTX())
		return r
	})
	return m, log, r
}

func (c *Context) load(ptx string) (m *Module, log string, r cuda.Result) {
	r = func() cuda.Result {
		if log = newer(ptx, c.driver.options.Version); log != "" {
			return c.driver.fail(cuda.UnsupportedPTXVersion, "%s", log)
		}
		if log = targets(ptx, c.driver.capability()); log != "" {
			return c.driver.fail(cuda.InvalidPTX, "%s", log)
		}
		image := cuda.NewModule("module", ptx)
		if err := c.driver.machine.Load(image); err != nil {
			log = err.Error()
			c.driver.machine.Unload(image)
			return c.driver.fail(cuda.InvalidPTX, "%s", log)
		}
		m = &Module{context: c, module: image, functions: map[string]*Function{}, globals: map[string]global{}}
		c.modules[m] = true
		return cuda.Success
	}()
	return m, log, r
}

// capability is 80 for compute capability 8.0.
func (d *Driver) capability() int { return 10*d.options.Major + d.options.Minor }

var version = regexp.MustCompile(`(?m)^\s*\.version\s+(\d+)\.(\d+)`)

// newer says why a driver of that version of CUDA does not know the PTX, or nothing.
func newer(ptx string, driver int) string {
	m := version.FindStringSubmatch(ptx)
	if m == nil {
		return "no .version directive"
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	if needs := cuda.VersionOfPTX(major, minor); needs > driver {
		return fmt.Sprintf("PTX .version %s.%s is that of CUDA %s, the driver is one of %s", m[1], m[2], cuda.CUDAVersion(needs), cuda.CUDAVersion(driver))
	}
	return ""
}

var target = regexp.MustCompile(`(?m)^\s*\.target\s+sm_(\d+)(a?)`)

// targets says why the device cannot run PTX for its target, or nothing.
func targets(ptx string, own int) string {
	m := target.FindStringSubmatch(ptx)
	if m == nil {
		return "no .target directive"
	}
	number, _ := strconv.Atoi(m[1])
	if number > own || m[2] == "a" && number != own {
		return fmt.Sprintf("PTX for sm_%s%s does not run on sm_%d", m[1], m[2], own)
	}
	return ""
}

func (m *Module) call(name string, f func() cuda.Result) cuda.Result {
	return m.context.call(name, func() cuda.Result {
		if m.unloaded {
			return m.context.driver.fail(cuda.InvalidHandle, "the module was unloaded")
		}
		return f()
	})
}

// Function finds a kernel.
func (m *Module) Function(name string) (f *Function, r cuda.Result) {
	r = m.call("cuModuleGetFunction", func() cuda.Result {
		if f = m.functions[name]; f != nil {
			return cuda.Success
		}
		kernel, err := m.context.driver.machine.Kernel(m.module, name)
		if err != nil {
			return m.context.driver.fail(cuda.NotFound, "%v", err)
		}
		f = &Function{module: m, name: name, kernel: kernel, dynamic: max(0, sharedDefault-kernel.Shared)}
		m.functions[name] = f
		return cuda.Success
	})
	return f, r
}

// Global finds a variable.
func (m *Module) Global(name string) (a cuda.Address, bytes int, r cuda.Result) {
	r = m.call("cuModuleGetGlobal", func() cuda.Result {
		var err error
		if a, bytes, err = m.context.driver.machine.Variable(m.module, name); err != nil {
			return m.context.driver.fail(cuda.NotFound, "%v", err)
		}
		m.globals[name] = global{a, bytes}
		return cuda.Success
	})
	return a, bytes, r
}

// Unload lets go of the module.
func (m *Module) Unload() cuda.Result {
	return m.context.unsafeCall("cuModuleUnload", func() cuda.Result {
		if m.unloaded {
			return cuda.InvalidHandle
		}
		m.context.drain()
		m.unload()
		return m.context.state()
	})
}

func (m *Module) unload() {
	m.unloaded = true
	m.context.driver.machine.Unload(m.module)
	delete(m.context.modules, m)
}

// Function is a kernel of a module.
type Function struct {
	module  *Module
	name    string
	kernel  sim.Kernel
	dynamic int // bytes of dynamic shared memory that a launch may ask for
}

// Attributes of a function; numbers of CUfunction_attribute.
const (
	FunctionMaxThreads       = 0
	FunctionShared           = 1
	FunctionLocal            = 3
	FunctionPTXVersion       = 5
	FunctionBinaryVersion    = 6
	FunctionMaxDynamicShared = 8
)

// Attribute says a property of the function. How many registers a GPU would give
// it is not among what the simulator knows.
func (f *Function) Attribute(attribute int) (value int, r cuda.Result) {
	r = f.module.call("cuFuncGetAttribute", func() cuda.Result {
		switch attribute {
		case FunctionMaxThreads:
			value = 1024
			if f.kernel.MaxBlock > 0 {
				value = f.kernel.MaxBlock
			}
		case FunctionShared:
			value = f.kernel.Shared
		case FunctionLocal:
			value = f.kernel.Local
		case FunctionPTXVersion, FunctionBinaryVersion:
			value = f.module.context.driver.capability()
		case FunctionMaxDynamicShared:
			value = f.dynamic
		default:
			return cuda.NotSupported
		}
		return cuda.Success
	})
	return value, r
}

// SetAttribute changes how much dynamic shared memory launches may ask for.
func (f *Function) SetAttribute(attribute, value int) cuda.Result {
	return f.module.call("cuFuncSetAttribute", func() cuda.Result {
		d := f.module.context.driver
		if attribute != FunctionMaxDynamicShared {
			return cuda.NotSupported
		}
		if limit := sharedLimit(d.options.Major); value < 0 || value+f.kernel.Shared > limit {
			return d.fail(cuda.InvalidValue, "%d + %d bytes of shared memory, %d are there", value, f.kernel.Shared, limit)
		}
		f.dynamic = value
		return cuda.Success
	})
}

// Pack lays out arguments given one by one, as kernelParams of cuLaunchKernel are.
func (f *Function) Pack(argument func(i, bytes int) []byte) []byte {
	var buffer []byte
	for i, p := range f.kernel.Parameters {
		buffer = append(buffer, make([]byte, p.Offset-len(buffer))...)
		buffer = append(buffer, argument(i, p.Bytes)...)
	}
	return buffer
}

// Launch puts a launch into the stream. Arguments are the parameter buffer.
func (s *Stream) Launch(f *Function, grid, block [3]int, shared int, arguments []byte) cuda.Result {
	return s.submit("cuLaunchKernel", func() (operation, cuda.Result) {
		m, d := f.module, s.context.driver
		switch {
		case m.unloaded || m.context != s.context:
			return operation{}, d.fail(cuda.InvalidHandle, "a function of a module that is not in the context")
		case shared > f.dynamic:
			return operation{}, d.fail(cuda.InvalidValue, "%d bytes of dynamic shared memory, the function may ask for %d", shared, f.dynamic)
		case len(arguments) != f.kernel.Bytes():
			return operation{}, d.fail(cuda.InvalidValue, "%d bytes of arguments, the function takes %d", len(arguments), f.kernel.Bytes())
		}
		if what := outsideLimits(grid, block); what != "" {
			return operation{}, d.fail(cuda.InvalidValue, "%s", what)
		}
		if n := block[0] * block[1] * block[2]; f.kernel.MaxBlock > 0 && n > f.kernel.MaxBlock {
			return operation{}, d.fail(cuda.InvalidValue, "%d threads in a block, the function allows %d", n, f.kernel.MaxBlock)
		}
		call := cuda.Call{
			Module: m.module, Function: f.name, Grid: grid, Block: block, Shared: shared,
			Args: append([]byte(nil), arguments...),
		}
		return operation{f.name, func() error {
			_, err := d.machine.Run(context.Background(), call)
			return err
		}}, cuda.Success
	})
}

// outsideLimits says which limit of compute capability 8.0 and 9.0 a launch breaks.
func outsideLimits(grid, block [3]int) string {
	gridLimits, blockLimits := [3]int{1<<31 - 1, 65535, 65535}, [3]int{1024, 1024, 64}
	for i := range 3 {
		if grid[i] < 1 || grid[i] > gridLimits[i] {
			return fmt.Sprintf("a grid of %v blocks", grid)
		}
		if block[i] < 1 || block[i] > blockLimits[i] {
			return fmt.Sprintf("a block of %v threads", block)
		}
	}
	if n := block[0] * block[1] * block[2]; n > 1024 {
		return fmt.Sprintf("%d threads in a block", n)
	}
	return ""
}

// resultOf is the result that a GPU would give for a mistake of a kernel.
func resultOf(err error) cuda.Result {
	var fault *sim.Fault
	if !errors.As(err, &fault) {
		return cuda.LaunchFailed
	}
	for what, r := range faults {
		if strings.HasPrefix(fault.What, what) {
			return r
		}
	}
	return cuda.LaunchFailed
}

// faults are what a GPU notices, too, by how the simulator's finding begins. The
// rest (races, uninitialised memory) it would not; here it ends the launch.
var faults = map[string]cuda.Result{
	"misaligned":    cuda.MisalignedAddress,
	"out of bounds": cuda.IllegalAddress,
	"no end after":  cuda.LaunchTimeout,
}
