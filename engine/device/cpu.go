package device

import (
	"fmt"

	"fluxion/engine/plan"
	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/tensor"
)

// CPU runs plans on a pool of threads.
type CPU struct{ pool *cpu.Pool }

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
	return &CPU{cpu.NewPool(threads, k)}, nil
}

// Name returns "cpu".
func (*CPU) Name() string { return "cpu" }

// Describe names the instruction set and the threads.
func (d *CPU) Describe() string {
	return fmt.Sprintf("%s, %d threads", d.pool.Kernels().Name, d.pool.Threads())
}

// Threads is the size of the pool.
func (d *CPU) Threads() int { return d.pool.Threads() }

// Bind returns the kernel on this device's pool.
func (d *CPU) Bind(kernel func(*cpu.Pool)) func() { return func() { kernel(d.pool) } }

// Alloc returns zeroed memory.
func (d *CPU) Alloc(sizes [plan.Regions]int) Memory {
	var m Memory
	for r, n := range sizes {
		if n > 0 {
			m[r] = cpu.Alloc(n)
		}
	}
	return m
}

// Free returns memory to the system.
func (d *CPU) Free(m Memory) {
	for _, r := range m {
		if r != nil {
			cpu.Free(r)
		}
	}
}

// PeakFLOPS measures the rate of fused multiply-adds on all threads.
func (d *CPU) PeakFLOPS() float64 { return cpu.Peak(d.pool) }

// Close ends the threads.
func (d *CPU) Close() { d.pool.Close() }

// program is a plan bound on the CPU.
type program struct {
	pool     *cpu.Pool
	memory   Memory
	launches []func(*cpu.Pool)
}

// Load binds a plan.
func (d *CPU) Load(p *plan.Plan, m Memory) Program {
	g := &program{pool: d.pool, memory: m}
	for _, l := range p.Launches {
		g.launches = append(g.launches, l.Kernel.CPU(g.bind(l, p.Threads)))
	}
	return g
}

func (g *program) bind(l plan.Launch, threads int) kernels.Launch {
	b := kernels.Launch{Out: g.operand(l.Out), Threads: threads}
	for _, t := range l.In {
		b.In = append(b.In, g.operand(t))
	}
	if l.Add != nil {
		b.Add = g.operand(*l.Add)
	}
	if l.PerImage != nil {
		b.PerImage = g.operand(*l.PerImage)
	}
	if s := l.Scratch; len(s.Shape) > 0 {
		b.Scratch = g.memory[s.Region][s.Offset : s.Offset+s.Shape[0]]
	}
	return b
}

func (g *program) operand(t plan.Tensor) kernels.Operand {
	shape := t.Shape
	if shape == nil {
		shape = tensor.ScalarShape()
	}
	return kernels.Operand{Matrix: g.Matrix(t), Shape: shape}
}

// Matrix is the memory of a tensor. Its slice reaches to the end of the region,
// since kernels may read past a row.
func (g *program) Matrix(t plan.Tensor) cpu.Matrix {
	return cpu.Matrix{Data: g.memory[t.Region][t.Offset:], Rows: t.Rows(), Cols: t.Cols(), Pitch: t.Pitch}
}

// Run executes the plan.
func (g *program) Run() {
	for _, launch := range g.launches {
		launch(g.pool)
	}
}

// Launches executes the plan and reports each launch.
func (g *program) Launches(visit func(i int)) {
	for i, launch := range g.launches {
		launch(g.pool)
		visit(i)
	}
}
