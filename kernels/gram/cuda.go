package gram

import (
	_ "embed"
	"fmt"

	"fluxion/kernels/cuda"
)

//go:embed gram.ptx.zst
var ptx string

var module = cuda.Register("gram", ptx)

const side = 16 // of a block of products

// CUDAScratch is none.
func (table) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launches: products, and the squares of both.
func (table) CUDA(l cuda.Launch) []cuda.Call {
	x, y := l.In[0], l.In[1]
	n, m, size, err := check(x.Shape, y.Shape, l.Out.Shape)
	if err == nil && (x.Pitch != x.Cols || y.Pitch != y.Cols || l.Out.Pitch != l.Out.Cols || l.Out.Address%8 != 0) {
		err = fmt.Errorf("gram: an operand has gaps, or the table at %#x is no place for float64", uint64(l.Out.Address))
	}
	if err != nil {
		panic(err)
	}
	squares := func(of cuda.Operand, n int, first, step uint64) cuda.Call {
		return cuda.Call{
			Module: module, Function: "gram_squares", Grid: [3]int{n/32 + 1, 1, 1}, Block: [3]int{128, 1, 1},
			Args: cuda.Args(l.Out.Address, of.Address, n, size, first, step),
		}
	}
	columns := uint64(m + 1)
	return []cuda.Call{
		{
			Module: module, Function: "gram_products", Grid: [3]int{(m + side - 1) / side, (n + side - 1) / side, 1}, Block: [3]int{side, side, 1},
			Args: cuda.Args(l.Out.Address, x.Address, y.Address, n, m, size),
		},
		squares(x, n, uint64(m), columns),
		squares(y, m, uint64(n)*columns, 1),
	}
}
