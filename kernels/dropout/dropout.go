// Package dropout leaves out a share of an image's values in training, and makes the others
// larger by as much: N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks
// from Overfitting" (2014).
package dropout

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/philox"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Columns of the keys of Apply: the seed and the address of an image in pieces of 16 bits,
// which are float32 numbers.
const Columns = 8

// PutKey writes the key of an image, Columns numbers. The same key leaves out the same
// values in every application of a layer.
func PutKey(row []float32, seed, address uint64) {
	for i := range 4 {
		row[i] = float32(uint16(seed >> (16 * i)))
		row[4+i] = float32(uint16(address >> (16 * i)))
	}
}

func key(row []float32) (seed, address uint64) {
	for i := range 4 {
		seed |= uint64(uint16(row[i])) << (16 * i)
		address |= uint64(uint16(row[4+i])) << (16 * i)
	}
	return seed, address
}

// Apply returns x/(1−share) where an image's uniform number at a value is share or more, 0
// elsewhere, for x (N,…,C), keys (N,Columns), and the number of a layer.
func Apply(x, keys *gorgonia.Node, share float64, layer int) *gorgonia.Node {
	return kernels.Apply(newOp(x.Dims(), share, layer), x, keys)
}

// Op is Apply's, and its own gradient.
type Op struct {
	kernels.Signature
	share float32
	layer uint32
}

func newOp(rank int, share float64, layer int) Op {
	if !(share > 0 && share < 1) || layer < 0 {
		panic(fmt.Errorf("dropout of a share %g in layer %d: want a share between 0 and 1", share, layer))
	}
	return Op{kernels.Signature{Name: fmt.Sprintf("dropout %g of layer %d", share, layer), Ranks: []int{rank, 2}, Rank: rank}, float32(share), uint32(layer)}
}

func (o Op) scale() float32 { return 1 / (1 - o.share) }

// InferShape checks that there is a key for each image.
func (o Op) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	if s[0][0] != s[1][0] || s[1][1] != Columns {
		return nil, fmt.Errorf("dropout of %v by keys %v, want (N,%d)", s[0], s[1], Columns)
	}
	return s[0].Clone(), nil
}

// Do evaluates the reference.
func (o Op) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := kernels.NewArray(in[0].Shape...)
		images := in[1].Shape[0]
		per := len(y.Data) / images
		row, uniform := make([]float32, Columns), make([]float32, per)
		for n := range images {
			for i := range row {
				row[i] = float32(in[1].Data[n*Columns+i])
			}
			o.draw(uniform, 0, row)
			for i, u := range uniform {
				if u >= o.share {
					y.Data[n*per+i] = in[0].Data[n*per+i] / (1 - float64(o.share))
				}
			}
		}
		return y
	}, v)
}

// draw makes uniform numbers of an image, from a value on.
func (o Op) draw(to []float32, first int, row []float32) {
	seed, address := key(row)
	philox.UniformAt(to, first, 0.5, 0.5, seed, philox.Dropout, address, o.layer)
}

// DiffWRT says that keys have no gradient.
func (Op) DiffWRT(int) []bool { return []bool{true, false} }

// SymDiff leaves out the same values of dy.
func (o Op) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{kernels.Apply(o, dy, in[1]), nil}, nil
}

// Cost of one launch; a uniform number counts as 15 operations.
func (Op) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 16 * int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

// piece is how many numbers are drawn at a time.
const piece = 256

// CPU binds the operation.
func (o Op) CPU(l kernels.Launch) func(*cpu.Pool) {
	pixels := l.Out.Rows / l.In[1].Rows
	scale := o.scale()
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, from, n int) {
		var uniform [piece]float32
		for r := from; r < from+n; r++ {
			y := l.Out.Row(r)
			x := l.In[0].Row(r)[:len(y)]
			keys := l.In[1].Row(r / pixels)
			for c := 0; c < len(y); c += piece {
				u := uniform[:min(piece, len(y)-c)]
				o.draw(u, r%pixels*len(y)+c, keys)
				for i, u := range u {
					if y[c+i] = 0; u >= o.share {
						y[c+i] = scale * x[c+i]
					}
				}
			}
		}
	})
}
