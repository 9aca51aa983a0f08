package device

import (
	"fmt"

	"fluxion/engine/plan"
	"fluxion/kernels/cuda"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// CUDATarget is a CUDA GPU as something to compile plans for. Launches are cut for the card,
// which changes the order of sums in training alone: images are the same on every card.
type CUDATarget struct{ Card cuda.Card }

func (t CUDATarget) String() string { return t.Card.String() }

// Precision is bfloat16, which tensor cores multiply.
func (CUDATarget) Precision() number.Type { return number.BFloat16 }

// unplaced is where operands are thought to be while their addresses are not
// known: nowhere, but as well aligned as they will be.
const unplaced cuda.Address = 1 << 40

// Scratch is what the kernel asks for. A kernel that does not run on a GPU is
// refused when the plan is loaded.
func (t CUDATarget) Scratch(l plan.Launch) int {
	k, ok := l.Kernel.(cuda.Kernel)
	if !ok {
		return 0
	}
	return k.CUDAScratch(t.bind(l, func(t plan.Tensor) cuda.Address { return unplaced + cuda.Address(t.Offset) }))
}

// rowAlignment of a kernel's parameters within a row of the table.
const rowAlignment = 64

// Row is the bytes of the kernel's parameters.
func (CUDATarget) Row(l plan.Launch) int {
	k, ok := l.Kernel.(cuda.Parameterised)
	if !ok {
		return 0
	}
	return (k.ParameterBytes() + rowAlignment - 1) / rowAlignment * rowAlignment
}

// Joins says that norms take their statistics themselves, and their gradients their sums.
func (CUDATarget) Joins() bool { return true }

// Chains asks the kernel.
func (t CUDATarget) Chains(l plan.Launch) bool {
	k, ok := l.Kernel.(cuda.Chained)
	return ok && k.CUDAChains(t.bind(l, func(t plan.Tensor) cuda.Address { return unplaced + cuda.Address(t.Offset) }))
}

// Widens asks the kernel.
func (t CUDATarget) Widens(l plan.Launch) bool {
	k, ok := l.Kernel.(cuda.Widened)
	return ok && k.CUDAWidens(t.bind(l, func(t plan.Tensor) cuda.Address { return unplaced + cuda.Address(t.Offset) }))
}

// Sums says that products of tensor cores sum the rows that they have in shared memory.
func (CUDATarget) Sums() bool { return true }

// Stacks says that products of the same are one.
func (CUDATarget) Stacks() bool { return true }

// Upsamples says that convolutions enlarge images themselves.
func (CUDATarget) Upsamples() bool { return true }

// Partials are those of a kernel that can leave them and one that can use them.
func (t CUDATarget) Partials(maker, reader plan.Launch, input int) plan.Partials {
	nowhere := func(t plan.Tensor) cuda.Address { return unplaced + cuda.Address(t.Offset) }
	if k, ok := reader.Kernel.(cuda.Taker); ok && k.CUDATakes() == input {
		if m, ok := maker.Kernel.(cuda.Leaver); ok {
			return plan.Partials{Space: plan.Space{Bytes: m.CUDALeaves(t.bind(maker, nowhere))}, Chunks: 1}
		}
	}
	m, leaves := maker.Kernel.(cuda.Measurer)
	r, takes := reader.Kernel.(cuda.Measured)
	if !leaves || !takes || input != 0 {
		return plan.Partials{}
	}
	groups, instead := r.CUDAGroups()
	p := cuda.Partials{Groups: groups, Chunks: m.CUDAChunks(t.bind(maker, nowhere), groups)}
	return plan.Partials{Space: plan.Space{Bytes: p.Bytes(maker.Out.Shape[0])}, Groups: p.Groups, Chunks: p.Chunks, Instead: instead}
}

// bind is a launch with the addresses of its operands, but for partials, scratch and parameters.
func (t CUDATarget) bind(l plan.Launch, address func(plan.Tensor) cuda.Address) cuda.Launch {
	operand := func(t plan.Tensor) cuda.Operand {
		o := cuda.Operand{Address: address(t), Type: t.Type, Shape: t.Shape, Rows: t.Rows(), Cols: t.Cols(), Pitch: t.Pitch}
		if o.Shape == nil {
			o.Shape = tensor.ScalarShape()
		}
		return o
	}
	b := cuda.Launch{Card: t.Card, Trains: l.Trains, Out: operand(l.Out)}
	for _, t := range l.In {
		b.In = append(b.In, operand(t))
	}
	if l.Add != nil {
		b.Add = operand(*l.Add)
	}
	if l.PerImage != nil {
		b.PerImage = operand(*l.PerImage)
	}
	b.Partials = cuda.Partials{Groups: l.Partials.Groups, Chunks: l.Partials.Chunks}
	return b
}

// Gathers says that calls of jobs run with others of the same functions.
func (t CUDATarget) Gathers(l plan.Launch) (name string, from int, ok bool) {
	if _, ok := l.Kernel.(cuda.Kernel); !ok || t.Row(l) > 0 {
		return "", 0, false
	}
	b := t.bind(l, func(t plan.Tensor) cuda.Address { return unplaced + cuda.Address(t.Offset) })
	b.Scratch = unplaced
	calls, err := callsOf(l, b)
	if err != nil {
		return "", 0, false // which loading the plan will say
	}
	for from = len(calls); from > 0 && len(calls[from-1].Jobs.List) > 0; from-- {
		name = fmt.Sprint(calls[from-1].Name(), calls[from-1].Block, " ", name)
	}
	return name, from, name != ""
}

// callsOf asks a kernel for its launches. Kernels panic on operands they are not
// made for, which is an error here.
func callsOf(l plan.Launch, b cuda.Launch) (calls []cuda.Call, err error) {
	k, ok := l.Kernel.(cuda.Kernel)
	if !ok {
		return nil, fmt.Errorf("operator %v has no CUDA kernel", l.Kernel)
	}
	defer func() {
		if r := recover(); r != nil {
			calls, err = nil, fmt.Errorf("operator %v: %v", l.Kernel, r)
		}
	}()
	return k.CUDA(b), nil
}
