package generate

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/update"

	"gorgonia.org/tensor"
)

// half is the i-th half of the rows of the network's input or output, all of
// them without guidance.
func (s *Step) half(m cpu.Matrix, i int) cpu.Matrix {
	rows := s.Batch * s.shape.Pixels
	return kernels.Rows(m, i*rows, rows)
}

// repeated returns what runs, followed by the copying of the first half of z to
// the second, if there is guidance.
func (s *Step) repeated(z cpu.Matrix, run func(*cpu.Pool)) func(*cpu.Pool) {
	if !s.Guided {
		return run
	}
	first, second := s.half(z, 0), s.half(z, 1)
	repeat := kernels.RowLoop(first, func(k *cpu.Kernels, r, n int) {
		k.Copy(kernels.Rows(second, r, n), kernels.Rows(first, r, n))
	})
	return func(p *cpu.Pool) {
		run(p)
		repeat(p)
	}
}

// part is half on a GPU; its Address is 0 for a second half without guidance.
func (s *Step) part(o cuda.Operand, i int) cuda.Operand {
	if i > 0 && !s.Guided {
		return cuda.Operand{}
	}
	rows := s.Batch * s.shape.Pixels
	o.Address += cuda.Address(i * rows * o.Pitch * o.Type.Size())
	o.Rows = rows
	return o
}

// updateStage puts the sampler's update into the plan. Its output is the
// network's input, whose second half, under guidance, repeats the first. Inputs
// are the network's output, the pixels, and the slots.
type updateStage struct {
	kernels.Signature
	step *Step
}

func (u updateStage) kernel() update.Kernel { return update.Kernel{Shape: u.step.shape} }

func (u updateStage) String() string { return u.kernel().String() }

func (u updateStage) Cost([]tensor.Shape, tensor.Shape) kernels.Cost {
	c := u.kernel().Cost(u.step.Slots)
	c.Bytes += u.step.again()
	if u.step.guide == nil && u.step.Guided {
		c.Bytes += 4 * int64(u.step.Batch*u.step.shape.Values()) // the unconditional output
	}
	return c
}

// again is the bytes of what is written to the second half of a guided network's
// batch, and of the pixels of a last step.
func (s *Step) again() int64 {
	n := int64(s.Batch * s.shape.Values())
	if s.Guided {
		return 5 * n
	}
	return n
}

func (u updateStage) CPU(l kernels.Launch) func(*cpu.Pool) {
	s := u.step
	o := update.Operands{Z: s.half(l.Out.Matrix, 0), Y: s.half(l.In[0].Matrix, 0), Pixels: l.In[1].Bytes[:l.In[1].Cols]}
	if s.Guided && s.guide == nil {
		o.Unconditional = s.half(l.In[0].Matrix, 1)
	}
	for _, slot := range l.In[2:] {
		o.History = append(o.History, slot.Matrix)
	}
	return s.repeated(l.Out.Matrix, u.kernel().CPU(s.update, o))
}

func (updateStage) CUDAScratch(cuda.Launch) int { return 0 }

func (u updateStage) CUDA(l cuda.Launch) []cuda.Call {
	s := u.step
	o := update.CUDAOperands{
		Z: s.part(l.Out, 0), Second: s.part(l.Out, 1), Y: s.part(l.In[0], 0), Unconditional: s.part(l.In[0], 1),
		History: l.In[2:], Pixels: l.In[1].Address,
	}
	if s.guide != nil {
		o.Unconditional = cuda.Operand{} // guided already
	}
	return u.kernel().CUDA(o, l.Parameters)
}

func (u updateStage) ParameterBytes() int { return u.kernel().ParameterBytes() }

func (u updateStage) PutParameters(row []byte) { u.kernel().PutParameters(u.step.update, row) }
