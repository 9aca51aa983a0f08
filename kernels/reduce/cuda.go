package reduce

import (
	_ "embed"

	"fluxion/kernels/cuda"
)

//go:embed reduce.ptx.zst
var ptx string

var module = cuda.Register("reduce", ptx)

// partRows is the rows of a block. It writes, and Join reads, one float32 for
// each of its columns: 1/64 of what it read in bf16, together.
const partRows = 256

// mostJoins are one launch, as in reduce.cu.
const mostJoins = 64

// cut returns how the rows are cut into blocks; without perImage all are one image.
func (s sum) cut(l cuda.Launch) cuda.Images {
	images := 1
	if s.perImage {
		images = l.Out.Rows
	}
	return cuda.CutImages(images, l.In[0].Rows/images, partRows, 0)
}

// CUDAScratch holds the sums of parts, where there are several.
func (s sum) CUDAScratch(l cuda.Launch) int {
	if i := s.cut(l); i.Parts > 1 {
		return 4 * i.Images * i.Parts * l.In[0].Cols
	}
	return 0
}

func (s sum) CUDA(l cuda.Launch) []cuda.Call {
	x := l.In[0]
	t := cuda.Over(x)
	images := s.cut(l)
	to := l.Out.Address
	if images.Parts > 1 {
		to = l.Scratch
	}
	calls := []cuda.Call{{
		Module: module, Function: t.Function("reduce_sum", x.Type),
		Grid: [3]int{images.Blocks(), t.Columns(), 1}, Block: t.Block(),
		Shared: 4 * t.Height * t.Width * t.Vector,
		Args:   cuda.Args(t.View(x), images.Argument(), to, x.Cols),
	}}
	if images.Parts > 1 {
		calls = append(calls, Join(l.Out.Address, l.Scratch, images.Images, images.Parts, x.Cols))
	}
	return calls
}

// Join launches the second pass of a sum: out[g] is the sum of parts vectors
// in[g][0] to in[g][parts−1] of cols floats each, in an order that depends on
// parts alone.
func Join(out, in cuda.Address, groups, parts, cols int) cuda.Call {
	height := 1
	for height < 32 && height < parts {
		height *= 2
	}
	return cuda.OneJob(cuda.Call{
		Module: module, Function: "reduce_join",
		Grid: [3]int{groups, (cols + 31) / 32, 1}, Block: [3]int{32, height, 1},
		Args: cuda.Args(out, in, parts, cols),
	}, mostJoins)
}
