// Package sim executes PTX in plain Go: the very text that is shipped to a GPU,
// warp by warp, with shared memory, barriers and the instructions that NVRTC
// writes for compute_80. It finds what a sanitizer finds and counts what a
// profiler counts. An instruction it does not know is an error, never skipped.
package sim

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"fluxion/kernels/cuda"
)

// Options of a machine; zero values are the defaults.
type Options struct {
	Seed    uint64 // of the order in which warps run
	Workers int    // blocks at a time; default GOMAXPROCS
	Budget  int64  // instructions of one block before it counts as endless; default 2^28

	// Sample runs only so many blocks of a launch, spread over it, and counts as if
	// all had run; 0 runs all. Where blocks differ (cuda.Split) these are so many of each kind, and as many more as
	// share something. What a launch leaves in memory is then incomplete:
	// for counting at sizes that would take too long.
	Sample int64
	Shared int // bytes of shared memory that a block may have; default 163 KiB, that of compute capability 8.0, or 227 KiB for a module of 9.0
}

// Machine runs launches over a memory. It is safe for concurrent use.
type Machine struct {
	mem     *Memory
	options Options

	mu       sync.Mutex
	programs map[*cuda.Module]*linked
	pool     pool
}

// New is a machine on the given memory.
func New(mem *Memory, options Options) *Machine {
	if options.Workers <= 0 {
		options.Workers = runtime.GOMAXPROCS(0)
	}
	if options.Budget <= 0 {
		options.Budget = 1 << 28
	}
	return &Machine{mem: mem, options: options, programs: map[*cuda.Module]*linked{}}
}

// Load parses a module and gives its variables memory; Run does it when needed.
func (m *Machine) Load(module *cuda.Module) error {
	_, err := m.load(module)
	return err
}

func (m *Machine) load(module *cuda.Module) (*linked, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.programs[module]
	if l == nil {
		if p, err := programOf(module); err != nil {
			l = &linked{err: err}
		} else {
			l = link(m.mem, p)
		}
		m.programs[module] = l
	}
	return l, l.err
}

// Variable is the address and size of a module's .global or .const variable.
func (m *Machine) Variable(module *cuda.Module, name string) (cuda.Address, int, error) {
	l, err := m.load(module)
	if err != nil {
		return 0, 0, err
	}
	v := l.program.variables[name]
	if v == nil || l.addresses[v.index] == 0 {
		return 0, 0, fmt.Errorf("sim: module %s has no variable %s", module.Name, name)
	}
	return cuda.Address(l.addresses[v.index]), v.bytes, nil
}

// launch is a call being executed.
type launch struct {
	entry   *code
	linked  *linked
	call    cuda.Call
	mem     *Memory
	pages   []*allocation
	options Options
	dynamic int // where dynamic shared memory starts
	shared  int // bytes of shared memory, gaps included

	alone bool    // a single block, or a sample: nobody to race with
	kind  kind    // of the blocks that are run
	share float64 // of them that are

	next   atomic.Int64 // cluster
	atomic sync.Mutex   // held by atomic operations on global memory

	mu     sync.Mutex
	races  *raceCheck // nil if alone
	fault  error
	faulty int64 // cluster of the fault
}

// Limits of a launch, those of compute capability 8.0.
const (
	maxThreads    = 1024
	defaultShared = 163 << 10
	hopperShared  = 227 << 10
)

// kind is clusters of a launch that do alike: so many, from the first on, of which some neighbours share something.
type kind struct{ first, clusters, together int64 }

// kinds are those of a call's blocks, which are alike where there are several in a cluster.
func kinds(call cuda.Call, cluster int64) []kind {
	blocks := int64(call.Grid[0]) * int64(call.Grid[1]) * int64(call.Grid[2])
	whole := int64(call.Split.Whole)
	switch {
	case call.Split.Parts == 0:
		return []kind{{0, blocks / cluster, 1}}
	case whole == 0:
		return []kind{{0, blocks, int64(call.Split.Parts)}}
	}
	return []kind{{0, whole, 1}, {whole, blocks - whole, int64(call.Split.Parts)}}
}

// Run executes a call and returns what it did. Errors of the kernel are of type *Fault.
func (m *Machine) Run(ctx context.Context, call cuda.Call) (Counters, error) {
	l, err := m.prepare(call)
	if err != nil {
		return Counters{}, err
	}
	m.mem.mu.RLock()
	defer m.mem.mu.RUnlock()
	l.pages = m.mem.pages
	cluster := int64(l.entry.clusterBlocks())
	blocks := int64(call.Grid[0]) * int64(call.Grid[1]) * int64(call.Grid[2])
	if n := m.options.Sample; n <= 0 || n >= blocks {
		l.alone = blocks == 1
		return m.run(ctx, l, kind{0, blocks / cluster, 1}, blocks/cluster)
	}
	l.alone = true
	var total Counters
	for _, k := range kinds(call, cluster) {
		n := (m.options.Sample/cluster + k.together - 1) / k.together * k.together
		c, err := m.run(ctx, l, k, min(max(1, n), k.clusters))
		if err != nil {
			return total, err
		}
		total.Add(c)
	}
	return total, nil
}

// run executes n clusters of a kind, and counts as if they were all of it.
func (m *Machine) run(ctx context.Context, l *launch, k kind, n int64) (Counters, error) {
	l.kind, l.share, l.faulty = k, float64(n)/float64(k.clusters), n
	l.next.Store(0)
	if !l.alone {
		l.races = m.raceCheck(len(l.pages))
	}
	workers := make([]*worker, min(int64(m.options.Workers), n))
	var wait sync.WaitGroup
	for i := range workers {
		workers[i] = m.worker()
		workers[i].bind(l)
		wait.Go(func() { workers[i].work(ctx, n) })
	}
	wait.Wait()
	var total Counters
	for _, w := range workers {
		total.Add(w.counters)
	}
	m.giveBack(workers, l.races)
	total.scale(1 / l.share)
	return total, l.fault
}

// pick is the number of the i-th cluster that runs. Of a sample it is spread by the
// golden ratio, which falls in step with no side of a grid.
func (l *launch) pick(i int64) int64 {
	if l.share == 1 {
		return l.kind.first + i
	}
	group, in := i/l.kind.together, i%l.kind.together
	_, part := math.Modf((float64(group) + 0.5) * (math.Phi - 1))
	return l.kind.first + int64(part*float64(l.kind.clusters/l.kind.together))*l.kind.together + in
}

// prepare checks a call against the function it names.
func (m *Machine) prepare(call cuda.Call) (*launch, error) {
	if call.Module == nil {
		return nil, fmt.Errorf("sim: a call of %s names no module", call.Function)
	}
	linked, err := m.load(call.Module)
	if err != nil {
		return nil, err
	}
	entry := linked.program.functions[call.Function]
	bad := func(format string, args ...any) (*launch, error) {
		return nil, fmt.Errorf("sim: launch of %s.%s: %s", call.Module.Name, call.Function, fmt.Sprintf(format, args...))
	}
	if entry == nil || !entry.entry {
		return bad("the module has no such kernel")
	}
	limits := [3][2]int{{1<<31 - 1, 1024}, {65535, 1024}, {65535, 64}}
	for i, limit := range limits {
		if g, b := call.Grid[i], call.Block[i]; g < 1 || g > limit[0] || b < 1 || b > limit[1] {
			return bad("grid %v, block %v", call.Grid, call.Block)
		}
	}
	threads := call.Block[0] * call.Block[1] * call.Block[2]
	if threads > maxThreads {
		return bad("block %v has %d threads, more than %d", call.Block, threads, maxThreads)
	}
	if entry.maxBlock > 0 && threads > entry.maxBlock {
		return bad("block %v has %d threads, the kernel allows %d", call.Block, threads, entry.maxBlock)
	}
	for i, n := range entry.cluster {
		if call.Grid[i]%n != 0 {
			return bad("grid %v is no multiple of clusters of %v", call.Grid, entry.cluster)
		}
	}
	if n := call.Cluster; n > 0 && entry.cluster != [3]int{n, 1, 1} {
		return bad("the kernel has clusters of %v, the call of %d", entry.cluster, n)
	}
	if n := entry.clusterBlocks(); n > 1 && (n > 8 || n*(threads+31)/32 > 32 || call.Split.Parts > 0) {
		return bad("clusters of more than 8 blocks or 32 warps, or of blocks that differ, are not known: %v blocks of %d threads", entry.cluster, threads)
	}
	if len(call.Args) != entry.paramBytes {
		return bad("%d bytes of arguments, the kernel takes %d", len(call.Args), entry.paramBytes)
	}
	limit := m.options.Shared
	if limit <= 0 {
		limit = defaultShared
		if strings.HasPrefix(linked.program.src.target, "sm_9") {
			limit = hopperShared
		}
	}
	if call.Shared < 0 || call.Shared+entry.sharedBytes > limit {
		return bad("%d + %d bytes of shared memory, at most %d are there", entry.sharedBytes, call.Shared, limit)
	}
	if call.Args, err = call.Mapped(EncodeTensorMap); err != nil {
		return bad("%v", err)
	}
	l := &launch{entry: entry, linked: linked, call: call, mem: m.mem, options: m.options}
	l.dynamic = 0
	for _, v := range entry.shared {
		l.dynamic = max(l.dynamic, alignUp(int(v.offset)+v.bytes, 128)+sharedGap)
	}
	l.shared = l.dynamic + call.Shared
	return l, nil
}
