package device

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"fluxion/engine/device/tuning"
	"fluxion/engine/plan"
	"fluxion/kernels"
	"fluxion/kernels/cast"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// CPU runs plans on a pool of threads.
type CPU struct {
	pool  *cpu.Pool
	table *tuning.Table // nil: launches are cut as their kernels do it by themselves
}

// NewCPU returns the CPU with this many threads (0: all that this process may
// use) and the instruction set of that name (empty: the best there is).
func NewCPU(threads int, instructions string) (*CPU, error) {
	k, err := cpu.Select(instructions)
	if err != nil {
		return nil, err
	}
	if threads == 0 {
		threads = cpu.Threads()
	}
	return &CPU{pool: cpu.NewPool(threads, k)}, nil
}

// Name returns "cpu".
func (*CPU) Name() string { return "cpu" }

// Describe names the instruction set and the threads.
func (d *CPU) Describe() string {
	return fmt.Sprintf("%s, %d threads", d.pool.Kernels().Name, d.pool.Threads())
}

// Arithmetic names what decides the bits that a device computes, besides the plan.
func Arithmetic(d Device) string {
	if c, ok := d.(*CPU); ok {
		return c.pool.Kernels().Name
	}
	return d.Describe()
}

// Identity names the hardware of a device that two processes should not share; empty: they may.
func Identity(d Device) string {
	gpu, ok := d.(*CUDA)
	if !ok {
		return ""
	}
	host, _ := os.Hostname() // without one, those of one machine are still told apart
	p := gpu.device.Properties()
	if p.UUID == "" && p.BusID == "" {
		return ""
	}
	return fmt.Sprintf("the %s %s of %s", p.Name, cmp.Or(p.UUID, "at "+p.BusID), host)
}

// Threads is the size of the pool.
func (d *CPU) Threads() int { return d.pool.Threads() }

// Target is a CPU with as many threads.
func (d *CPU) Target() plan.Target { return targetOf(d.pool.Kernels(), d.pool.Threads()) }

// PeakFLOPS measures the rate of multiply-adds on all threads: of bfloat16, where
// the instruction set has none, in float32.
func (d *CPU) PeakFLOPS(precision number.Type) float64 {
	if precision == number.BFloat16 {
		return cpu.PeakBF16(d.pool)
	}
	return cpu.Peak(d.pool)
}

// PeakBytes measures the rate of copying memory on all threads.
func (d *CPU) PeakBytes() float64 { return cpu.Bandwidth(d.pool) }

// Close ends the threads.
func (d *CPU) Close() error {
	d.pool.Close()
	return nil
}

// CPUTarget is a CPU as something to compile plans for.
type CPUTarget struct {
	Threads int
	BF16    bool // it multiplies bfloat16 itself (cpu.Kernels.BF16)
}

// NewCPUTarget returns the CPU with this many threads (0: all that this process
// may use) and the instruction set that is used without a name.
func NewCPUTarget(threads int) CPUTarget {
	if threads == 0 {
		threads = cpu.Threads()
	}
	k, err := cpu.Select("")
	if err != nil {
		return CPUTarget{Threads: threads} // and no device will be made for it
	}
	return targetOf(k, threads)
}

func targetOf(k *cpu.Kernels, threads int) CPUTarget {
	return CPUTarget{threads, k.BF16 != nil}
}

func (t CPUTarget) String() string {
	products := ""
	if t.BF16 {
		products = " and products of bf16"
	}
	return fmt.Sprintf("a CPU with %d threads%s", t.Threads, products)
}

// Precision is bfloat16 where the instruction set multiplies it: tiles at 13 times the
// rate of float32 (the peaks of a Sapphire Rapids), AVX512-BF16 at twice the rate. With
// Winograd's convolution in both precisions, a training step of preset cifar takes 0.63
// of the processor time on AVX512-BF16.
func (t CPUTarget) Precision() number.Type {
	if t.BF16 {
		return number.BFloat16
	}
	return number.Float32
}

// Rounds says yes: products pack their weights at each use anyway.
func (CPUTarget) Rounds() bool { return true }

// Joins says yes: a second launch would read tensors from memory again.
func (CPUTarget) Joins() bool { return true }

// Upsamples says yes: the larger image would be written, kept and read.
func (CPUTarget) Upsamples() bool { return true }

// Row is 0: kernels read their parameters where the host has them.
func (CPUTarget) Row(plan.Launch) int { return 0 }

// Scratch is what the kernel asks for and, where the kernel takes float32 only,
// copies of the operands that are stored in bfloat16.
func (t CPUTarget) Scratch(l plan.Launch) int {
	shapes := make([]tensor.Shape, len(l.In))
	for i, in := range l.In {
		shapes[i] = in.Shape
	}
	if l.Prepared.Bytes > 0 {
		_, scratch := t.prepared(l)
		return 4 * scratch
	}
	if p, ok := t.product(l); ok {
		return 4 * p.BFloat16Scratch(shapes, l.Out.Shape, t.Threads)
	}
	floats := l.Kernel.Scratch(shapes, l.Out.Shape, t.Threads)
	for _, o := range t.widened(l) {
		floats += widenedFloats(*o)
	}
	return 4 * floats
}

// Prepared is the weights as the kernel lays them out, unless it must have copies
// of its operands anyway.
func (t CPUTarget) Prepared(l plan.Launch) int {
	floats, _ := t.prepared(l)
	return 4 * floats
}

func (t CPUTarget) prepared(l plan.Launch) (floats, scratch int) {
	p, ok := l.Kernel.(kernels.Preparer)
	if !ok || len(t.widened(l)) > 0 {
		return 0, 0
	}
	shapes := make([]tensor.Shape, len(l.In))
	for i, in := range l.In {
		shapes[i] = in.Shape
	}
	return p.Prepared(shapes, l.Out.Shape, l.In[0].Type, t.Threads)
}

// product returns the kernel of a launch on bfloat16 that is computed in it.
func (t CPUTarget) product(l plan.Launch) (kernels.NativeProduct, bool) {
	p, ok := l.Kernel.(kernels.NativeProduct)
	return p, ok && t.BF16 && l.In[0].Type == number.BFloat16
}

// widened lists the operands that a launch must have in float32 copies.
func (t CPUTarget) widened(l plan.Launch) []*plan.Tensor {
	if _, ok := t.product(l); ok {
		return nil
	}
	if n, ok := l.Kernel.(kernels.Native); ok && n.TakesBFloat16() {
		return nil
	}
	var list []*plan.Tensor
	for i := range l.In {
		list = append(list, &l.In[i])
	}
	list = append(list, l.Add, l.PerImage, &l.Out)
	kept := list[:0]
	for _, o := range list {
		if o != nil && o.Type == number.BFloat16 {
			kept = append(kept, o)
		}
	}
	return kept
}

// readPast is how many floats behind a copy kernels may read.
const readPast = 64

// widenedFloats is the size of an operand's copy: dense, on a cache line.
func widenedFloats(t plan.Tensor) int { return (t.Values() + readPast + 15) / 16 * 16 }

// cpuMemory is buffers in the memory of the process.
type cpuMemory struct {
	sizes   plan.Sizes
	buffers map[*plan.Buffer][]float32
}

// Room is none: a data set is in the memory of the host already.
func (*CPU) Room() (int64, error) { return 0, nil }

// Simulated says no.
func (*CPU) Simulated() bool { return false }

// Alloc returns zeroed memory, or a *MemoryError.
func (d *CPU) Alloc(sizes plan.Sizes) (Memory, error) {
	if err := CheckMemory(PlanNeed(d, sizes)); err != nil {
		return nil, err
	}
	m := &cpuMemory{maps.Clone(sizes), map[*plan.Buffer][]float32{}}
	separate := sizes.Separate()
	for _, b := range separate.Buffers() {
		m.buffers[b] = cpu.Alloc((separate[b] + 3) / 4)
	}
	for b, n := range sizes {
		if b.Transient {
			m.buffers[b] = m.buffers[plan.Arena][:(n+3)/4]
		}
	}
	m.sizes[plan.Arena] = separate[plan.Arena]
	return m, nil
}

func (m *cpuMemory) Sizes() plan.Sizes { return m.sizes }

func (m *cpuMemory) Read(b *plan.Buffer, offset int, dst []float32) error {
	if err := inside(b, m.sizes[b], offset, len(dst)); err != nil {
		return err
	}
	copy(dst, m.buffers[b][offset:])
	return nil
}

func (m *cpuMemory) Write(b *plan.Buffer, offset int, src []float32) error {
	if err := inside(b, m.sizes[b], offset, len(src)); err != nil {
		return err
	}
	copyAll(m.buffers[b][offset:], src)
	return nil
}

// copyAll copies with all threads, because the first write to a page of memory, for which
// the system has to find one, takes many times as long as the copy.
func copyAll(dst, src []float32) {
	const part = 1 << 20
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (len(src)+part-1)/part) {
		workers.Go(func() {
			for from := int(next.Add(part)) - part; from < len(src); from = int(next.Add(part)) - part {
				copy(dst[from:], src[from:min(from+part, len(src))])
			}
		})
	}
	workers.Wait()
}

func (m *cpuMemory) WriteBytes(b *plan.Buffer, offset int, src []byte) error {
	if err := insideBytes(b, m.sizes[b], offset, len(src)); err != nil {
		return err
	}
	copy(m.bytes(b)[offset:], src)
	return nil
}

func (m *cpuMemory) Fill(b *plan.Buffer, value byte) error {
	bytes := m.bytes(b)
	for i := range bytes {
		bytes[i] = value
	}
	return nil
}

func (m *cpuMemory) Free() error {
	for b, x := range m.buffers {
		if !b.Transient {
			cpu.Free(x)
		}
	}
	m.buffers, m.sizes = nil, nil
	return nil
}

// bytes is a buffer as bytes.
func (m *cpuMemory) bytes(b *plan.Buffer) []byte {
	x := m.buffers[b]
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// operand is the memory of a tensor. Its slice reaches to the end of the buffer,
// since kernels may read past a row.
func (m *cpuMemory) operand(t plan.Tensor) kernels.Operand {
	o := kernels.Operand{Shape: t.Shape, Type: t.Type}
	if o.Shape == nil {
		o.Shape = tensor.ScalarShape()
	}
	o.Rows, o.Cols, o.Pitch = t.Rows(), t.Cols(), t.Pitch
	b := m.bytes(t.Buffer)[t.Offset:]
	switch t.Type {
	case number.Float32:
		o.Data = m.buffers[t.Buffer][t.Offset/4:]
	case number.BFloat16:
		o.BF16 = unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/2)
	case number.Uint8:
		o.Bytes = b
	}
	return o
}

// cpuProgram is a plan bound on the CPU.
type cpuProgram struct {
	pool     *cpu.Pool
	plan     *plan.Plan
	memory   *cpuMemory
	launches []func(*cpu.Pool)
	tuner    *tuning.Tuner // nil without a table
	launch   func(i int)
}

// Load binds a plan.
func (d *CPU) Load(p *plan.Plan, m Memory, _ ...plan.Tensor) (Program, error) {
	memory, ok := m.(*cpuMemory)
	if !ok {
		return nil, fmt.Errorf("memory of another device than the CPU")
	}
	if err := fits(p, d, m); err != nil {
		return nil, err
	}
	g := &cpuProgram{pool: d.pool, plan: p, memory: memory}
	var cuts []*kernels.Cut
	for _, l := range p.Launches {
		var cut *kernels.Cut
		if d.table != nil && !l.Prepares {
			cut = &kernels.Cut{}
		}
		cuts = append(cuts, cut)
		g.launches = append(g.launches, g.bind(l, cut))
	}
	if d.table != nil {
		g.tuner = tuning.NewTuner(d.table, cuts, func(i int) string { return d.key(p.Launches[i]) })
	}
	g.launch = func(i int) { g.launches[i](g.pool) }
	return g, nil
}

// bind returns the launch on its operands. Where the kernel takes float32 only,
// operands in bfloat16 are widened into working memory before, and what it wrote
// is rounded after: the same sums as in float32, of rounded numbers.
func (g *cpuProgram) bind(l plan.Launch, cut *kernels.Cut) func(*cpu.Pool) {
	b := kernels.Launch{Out: g.memory.operand(l.Out), Threads: g.pool.Threads(), Cut: cut, Trains: l.Trains}
	for _, t := range l.In {
		b.In = append(b.In, g.memory.operand(t))
	}
	if l.Add != nil {
		b.Add = g.memory.operand(*l.Add)
	}
	if l.PerImage != nil {
		b.PerImage = g.memory.operand(*l.PerImage)
	}
	if l.Prepared.Bytes > 0 {
		b.Prepared, b.Preparing = g.memory.buffers[g.plan.Prepared][l.Prepared.Offset/4:][:l.Prepared.Bytes/4], l.Prepares
	}
	if l.Scratch.Bytes > 0 {
		b.Scratch = g.memory.buffers[plan.Arena][l.Scratch.Offset/4:][:l.Scratch.Bytes/4]
	}
	if len(targetOf(g.pool.Kernels(), g.pool.Threads()).widened(l)) == 0 {
		return l.Kernel.CPU(b)
	}
	var before []func(*cpu.Pool)
	single := func(o *kernels.Operand) (bf16, copied kernels.Operand) {
		bf16, copied = *o, *o
		n := (o.Rows*o.Cols + readPast + 15) / 16 * 16
		copied.Type, copied.BF16 = number.Float32, nil
		copied.Matrix = cpu.Matrix{Data: b.Scratch[:n], Rows: o.Rows, Cols: o.Cols, Pitch: o.Cols}
		b.Scratch = b.Scratch[n:]
		*o = copied
		return bf16, copied
	}
	convert := func(from, to kernels.Operand) func(*cpu.Pool) {
		return cast.New(len(to.Shape)).CPU(kernels.Launch{In: []kernels.Operand{from}, Out: to})
	}
	widen := func(o *kernels.Operand) {
		if o.Type == number.BFloat16 {
			before = append(before, convert(single(o)))
		}
	}
	for i := range b.In {
		widen(&b.In[i])
	}
	widen(&b.Add)
	widen(&b.PerImage)
	after := func(*cpu.Pool) {}
	if b.Out.Type == number.BFloat16 {
		bf16, copied := single(&b.Out)
		after = convert(copied, bf16)
	}
	run := l.Kernel.CPU(b)
	return func(p *cpu.Pool) {
		for _, widen := range before {
			widen(p)
		}
		run(p)
		after(p)
	}
}

func (g *cpuProgram) RunSteps(n int, set func(i int) error) error {
	for i := range n {
		if set != nil {
			if err := set(i); err != nil {
				return err
			}
		}
		if !g.tuner.Settled() {
			g.tuner.Run(g.launch, func(int) {})
			continue
		}
		for _, launch := range g.launches {
			launch(g.pool)
		}
	}
	return nil
}

func (g *cpuProgram) Launches(visit func(i int) error) error {
	var err error
	launch := func(i int) {
		if err == nil {
			g.launch(i)
		}
	}
	behind := func(i int) {
		if err == nil {
			err = visit(i)
		}
	}
	if !g.tuner.Settled() {
		g.tuner.Run(launch, behind)
		return err
	}
	for i := range g.launches {
		launch(i)
		behind(i)
	}
	return err
}

func (g *cpuProgram) Read(t plan.Tensor, dst []float32) error {
	if len(dst) != t.Values() {
		return errLength
	}
	o := g.memory.operand(t)
	for r := range o.Rows {
		to := dst[r*o.Cols:][:o.Cols]
		switch t.Type {
		case number.Float32:
			copy(to, o.Row(r))
		case number.BFloat16:
			cast.Widen(to, o.BF16[r*o.Pitch:][:o.Cols])
		default:
			return errNumbers(t)
		}
	}
	return nil
}

func (g *cpuProgram) ReadBytes(t plan.Tensor, dst []byte) error {
	if len(dst) != t.Values() {
		return errLength
	}
	if t.Type != number.Uint8 || t.Pitch != t.Cols() {
		return errBytes(t)
	}
	copy(dst, g.memory.operand(t).Bytes)
	return nil
}

func (g *cpuProgram) Write(t plan.Tensor, src []float32) error {
	if len(src) != t.Values() {
		return errLength
	}
	o := g.memory.operand(t)
	for r := range o.Rows {
		from := src[r*o.Cols:][:o.Cols]
		switch t.Type {
		case number.Float32:
			copy(o.Row(r), from)
		case number.BFloat16:
			cast.Narrow(o.BF16[r*o.Pitch:][:o.Cols], from)
		default:
			return errNumbers(t)
		}
	}
	return nil
}

func (g *cpuProgram) Free() error {
	g.tuner.Close()
	return nil
}
