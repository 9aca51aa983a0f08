package sim

import (
	"fmt"

	"fluxion/kernels/cuda"
)

// Kernel is what a driver can say of a kernel without running it.
type Kernel struct {
	Parameters []Parameter
	Shared     int // bytes of static shared memory
	Local      int // bytes a thread
	MaxBlock   int // threads of a block that the kernel allows; 0 if it does not say
}

// Parameter is an argument of a kernel.
type Parameter struct{ Offset, Bytes int }

// Bytes is the length of the parameter buffer.
func (k Kernel) Bytes() int {
	if len(k.Parameters) == 0 {
		return 0
	}
	last := k.Parameters[len(k.Parameters)-1]
	return last.Offset + last.Bytes
}

// Kernel describes a kernel of a module.
func (m *Machine) Kernel(module *cuda.Module, name string) (Kernel, error) {
	l, err := m.load(module)
	if err != nil {
		return Kernel{}, err
	}
	c := l.program.functions[name]
	if c == nil || !c.entry {
		return Kernel{}, fmt.Errorf("sim: module %s has no kernel %s", module.Name, name)
	}
	k := Kernel{Shared: c.sharedBytes, Local: c.deepest, MaxBlock: c.maxBlock}
	for _, v := range c.params {
		k.Parameters = append(k.Parameters, Parameter{int(v.offset), v.bytes})
	}
	return k, nil
}

// Unload forgets a module, and gives the memory of its variables back.
func (m *Machine) Unload(module *cuda.Module) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.programs[module]
	delete(m.programs, module)
	if l == nil || l.err != nil {
		return
	}
	m.mem.mu.Lock()
	defer m.mem.mu.Unlock()
	for _, a := range l.addresses {
		if block := m.mem.find(a); block != nil {
			block.freed, block.data, block.written = true, nil, nil
		}
	}
}
