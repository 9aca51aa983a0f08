package draw

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
	"fluxion/kernels/philox"
)

// Shape of a batch of images: NHWC, seen as Images·Pixels rows of Channels. Under
// guidance the network's batch holds it twice: one half after the other.
type Shape struct{ Images, Pixels, Channels int }

// Values of one image.
func (s Shape) Values() int { return s.Pixels * s.Channels }

func (s Shape) String() string { return fmt.Sprintf("%dx%dx%d", s.Images, s.Pixels, s.Channels) }

// Network is the shape of the network's batch.
func (s Shape) Network(guided bool) Shape {
	if guided {
		s.Images *= 2
	}
	return s
}

// Check reports why matrices do not have the shape.
func (s Shape) Check(named map[string]cpu.Matrix) error {
	if s.Images < 1 || s.Pixels < 1 || s.Channels < 1 {
		return fmt.Errorf("shape %v, want positive numbers", s)
	}
	if s.Values() > philox.MaxValues {
		return fmt.Errorf("an image of %d values, philox addresses %d", s.Values(), philox.MaxValues)
	}
	for name, m := range named {
		if m.Rows != s.Images*s.Pixels || m.Cols != s.Channels {
			return fmt.Errorf("%s is a matrix of %d by %d, want %d by %d", name, m.Rows, m.Cols, s.Images*s.Pixels, s.Channels)
		}
		if m.Pitch < m.Cols || len(m.Data) < (m.Rows-1)*m.Pitch+m.Cols {
			return fmt.Errorf("%s has pitch %d and %d floats, too few for %d by %d", name, m.Pitch, len(m.Data), m.Rows, m.Cols)
		}
	}
	return nil
}

const (
	piece = 256        // values drawn at a time, on the stack
	chunk = 16 * piece // values of a task
)

// Chunks returns how many tasks an image is cut into.
func (s Shape) Chunks() int { return (s.Values() + chunk - 1) / chunk }

// Chunk returns the image of a task and its range of values.
func (s Shape) Chunk(task int) (image, from, to int) {
	c := s.Chunks()
	from = task % c * chunk
	return task / c, from, min(from+chunk, s.Values())
}

// Halves of a matrix of the network's batch; without guidance the first is all of
// it, and the second has no Data.
func (s Shape) Halves(m cpu.Matrix, guided bool) (first, second cpu.Matrix) {
	if !guided {
		return m, cpu.Matrix{}
	}
	rows := s.Images * s.Pixels
	return kernels.Rows(m, 0, rows), kernels.Rows(m, rows, rows)
}

// Repeat returns what runs, followed by the copying of the first half to the second,
// if there is one.
func Repeat(run func(*cpu.Pool), first, second cpu.Matrix) func(*cpu.Pool) {
	if second.Data == nil {
		return run
	}
	repeat := kernels.RowLoop(first, func(k *cpu.Kernels, r, n int) {
		k.Copy(kernels.Rows(second, r, n), kernels.Rows(first, r, n))
	})
	return func(p *cpu.Pool) {
		run(p)
		repeat(p)
	}
}

// HalvesCUDA is Halves on a GPU; without guidance the second has no rows.
func (s Shape) HalvesCUDA(o cuda.Operand, guided bool) (first, second cuda.Operand) {
	if !guided {
		return o, cuda.Operand{}
	}
	rows := s.Images * s.Pixels
	first, second = o, o
	first.Rows, second.Rows = rows, o.Rows-rows
	second.Address += cuda.Address(rows * o.Pitch * o.Type.Size())
	return first, second
}

// Views packs operands as struct View of group.cuh, those without rows as null, and
// says whether all lie dense, aligned, and in whole groups of 4 values. It panics for
// an operand that does not have the shape.
func (s Shape) Views(operands ...cuda.Operand) (views []byte, dense bool) {
	dense = s.Values()%4 == 0
	for i, o := range operands {
		if o.Rows != 0 {
			if o.Rows != s.Images*s.Pixels || o.Cols != s.Channels || o.Type != number.Float32 || o.Address == 0 {
				panic(fmt.Errorf("matrix %d is %d by %d %v at %#x, want %d by %d fp32", i, o.Rows, o.Cols, o.Type, uint64(o.Address), s.Images*s.Pixels, s.Channels))
			}
			dense = dense && o.Pitch == o.Cols && o.Address%16 == 0
		}
		views = append(views, cuda.Args(o.Address, uint64(o.Pitch))...)
	}
	return views, dense
}
