package groupnorm

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/tensor"
)

// Sums over pixels are a tree of this many rows a leaf and a block, whatever the
// number of threads.
const (
	leafRows  = 32
	blockRows = 8 * leafRows
)

// images is the shape of what is normalised.
type images struct{ n, pixels, channels, blocks int }

func newImages(x tensor.Shape) images {
	pixels := x[1] * x[2]
	return images{x[0], pixels, x[3], (pixels + blockRows - 1) / blockRows}
}

// rows returns the rows of a block of an image.
func (s images) rows(block int) (from, n int) {
	return block * blockRows, min(blockRows, s.pixels-block*blockRows)
}

// blockOf returns the image of a task and its rows of m.
func blockOf[T cpu.Element](s images, m cpu.MatrixOf[T], task int) (n int, rows cpu.MatrixOf[T]) {
	n = task / s.blocks
	from, count := s.rows(task % s.blocks)
	return n, rowsOf(m, n*s.pixels+from, count)
}

// rowsOf returns rows of a matrix, or nothing of one that is not there.
func rowsOf[T cpu.Element](m cpu.MatrixOf[T], from, n int) cpu.MatrixOf[T] {
	if m.Data == nil {
		return m
	}
	return m.Part(from, n, 0, m.Cols)
}

// kernelsOf is an instruction set on an element type.
type kernelsOf[T cpu.Element] struct {
	*cpu.Kernels
	norms *cpu.Norms[T]
}

func newKernels[T cpu.Element](p *cpu.Pool) kernelsOf[T] {
	return kernelsOf[T]{p.Kernels(), cpu.NormsOf[T](p.Kernels())}
}

// sumLeaves calls add, which adds the sums of some rows to a vector, for every leaf
// of rows, and leaves their sum in acc.
func (k kernelsOf[T]) sumLeaves(acc, leaf []float32, rows int, add func(from, n int)) {
	clear(acc)
	row := func(v []float32) cpu.Matrix { return cpu.Matrix{Data: v, Rows: 1, Cols: len(acc), Pitch: len(acc)} }
	for r := 0; r < rows; r += leafRows {
		clear(leaf[:len(acc)])
		add(r, min(leafRows, rows-r))
		k.Add(row(acc), row(acc), row(leaf))
	}
}

// measure writes, for each column of the rows of a block, their sum and then, a
// vector on, the squares around their mean. Spare is two vectors.
func (k kernelsOf[T]) measure(measured, spare []float32, x cpu.MatrixOf[T]) {
	sum, squares := measured[:x.Cols], measured[x.Cols:]
	leaf, mean := spare[:x.Cols], spare[x.Cols:][:x.Cols]
	k.sumLeaves(sum, leaf, x.Rows, func(from, n int) { k.norms.ColSum(leaf, rowsOf(x, from, n)) })
	for c, s := range sum {
		mean[c] = s / float32(x.Rows)
	}
	k.sumLeaves(squares, leaf, x.Rows, func(from, n int) { k.norms.ColSumSquares(leaf, mean, rowsOf(x, from, n)) })
}

// merge computes mean and 1/√(variance+ε) of each group of an image from what measure
// found for its blocks: sums, and sums of squares around the mean of the block. The formula
// is that of Chan, Golub & LeVeque (1979).
func (s images) merge(stats, measured []float32, o Options) {
	c, per := s.channels, s.channels/o.Groups
	for g := range o.Groups {
		count, total := float64(per*s.pixels), 0.0
		for b := range s.blocks {
			for _, sum := range measured[2*b*c+g*per:][:per] {
				total += float64(sum)
			}
		}
		mean, variance := total/count, 0.0
		for b := range s.blocks {
			_, n := s.rows(b)
			sums, squares := measured[2*b*c+g*per:][:per], measured[(2*b+1)*c+g*per:][:per]
			for i, sum := range sums {
				d := float64(sum)/float64(n) - mean
				variance += float64(squares[i]) + float64(n)*d*d
			}
		}
		stats[2*g], stats[2*g+1] = float32(mean), float32(1/math.Sqrt(variance/count+o.Epsilon))
	}
}

// gradSums writes Σdu and Σdu·x of each column of the rows of a block and, behind
// a SiLU, keeps du if there is memory for it. Spare is two vectors.
func (k kernelsOf[T]) gradSums(silu bool, sums, spare []float32, du cpu.Matrix, x, dy cpu.MatrixOf[T], a, b []float32) {
	first, second := spare[:x.Cols], spare[x.Cols:][:x.Cols]
	k.sumLeaves(sums, spare[:2*x.Cols], x.Rows, func(from, n int) {
		x, dy := rowsOf(x, from, n), rowsOf(dy, from, n)
		if silu {
			k.norms.SiLUGradSums(rowsOf(du, from, n), first, second, x, dy, a, b)
		} else {
			k.norms.GradSums(first, second, x, dy)
		}
	})
}

// total adds up what gradSums left of the blocks of an image.
func (s images) total(out, sums []float32) {
	for i := range out {
		sum := 0.0
		for b := range s.blocks {
			sum += float64(sums[b*len(out)+i])
		}
		out[i] = float32(sum)
	}
}

// affine is the normalisation of some rows.
func (k kernelsOf[T]) affine(silu bool, y, x cpu.MatrixOf[T], a, b []float32) {
	if silu {
		k.norms.AffineSiLU(y, x, a, b)
	} else {
		k.norms.Affine(y, x, a, b)
	}
}

// fields32 reads the small inputs of a launch.
func (c common) fields32(l kernels.Launch, channels int) fields[float32] {
	f := fields[float32]{l.In[1].Data, l.In[2].Data, l.In[3].Data, nil, c.o.Groups, channels}
	if c.scaleShift {
		f.scaleShift = l.In[4].Data
	}
	return f
}

// lines writes a and b of u = a·x + b for the channels of image n.
func (f fields[T]) lines(n int, a, b []float32) {
	for c := range a {
		ac, bc := f.line(n, c)
		a[c], b[c] = float32(ac), float32(bc)
	}
}

// corrections writes q and r of dx = a·du + q·x + r for the channels of image n.
func (f fields[T]) corrections(sums []T, n, pixels int, q, r []float32) {
	per := f.channels / f.groups
	for c := range q {
		if c%per == 0 {
			qg, rg := f.correction(sums, n, c/per, pixels)
			q[c], r[c] = float32(qg), float32(rg)
		} else {
			q[c], r[c] = q[c-1], r[c-1]
		}
	}
}

// vectors cuts scratch memory into this many vectors of channels for each image.
func (s images) vectors(scratch []float32, count int) func(n, i int) []float32 {
	return func(n, i int) []float32 { return scratch[(n*count+i)*s.channels:][:s.channels] }
}
