package generate

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
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

// again is the bytes of what is written to the second half of a guided network's
// batch, and of the pixels of a last step.
func (s *Step) again() int64 {
	n := int64(s.Batch * s.shape.Values())
	if s.Guided {
		return 5 * n
	}
	return n
}
