package magnitude

import (
	_ "embed"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
	"fluxion/kernels/reduce"
)

//go:embed magnitude.ptx.zst
var ptx string

var module = cuda.Register("magnitude", ptx)

const (
	rowsPerThread = 4   // as in magnitude.cu
	partRows      = 256 // rows of a block of products
	warps         = 8   // of a block of pixels
	weightRows    = 32  // threads down a column of weights
)

// CUDAScratch is none.
func (scale) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch.
func (scale) CUDA(l cuda.Launch) []cuda.Call {
	x, y, factors := l.In[0], l.Out, l.In[1]
	t := cuda.Over(y, x)
	image, channel := steps(factors.Shape)
	return []cuda.Call{{
		Module: module, Function: t.Function("magnitude_scale", y.Type), Grid: t.Grid(rowsPerThread), Block: t.Block(),
		Args: cuda.Args(t.View(y), t.View(x), factors.Address, t.Rows, t.Cols, y.Rows/x.Shape[0], image, channel),
	}}
}

func (d dots) images(l cuda.Launch) cuda.Images {
	images := 1
	if d.perImage {
		images = l.Out.Rows
	}
	return cuda.CutImages(images, l.In[0].Rows/images, partRows, 0)
}

// CUDAScratch holds the sums of parts, where there are several.
func (d dots) CUDAScratch(l cuda.Launch) int {
	if i := d.images(l); i.Parts > 1 {
		return 4 * i.Images * i.Parts * l.In[0].Cols
	}
	return 0
}

// CUDA returns the launch, and one that joins parts.
func (d dots) CUDA(l cuda.Launch) []cuda.Call {
	x, y := l.In[0], l.In[1]
	t, images, to := cuda.Over(x, y), d.images(l), l.Out.Address
	if images.Parts > 1 {
		to = l.Scratch
	}
	calls := []cuda.Call{{
		Module: module, Function: t.Function("magnitude_products", x.Type), Grid: [3]int{images.Blocks(), t.Columns(), 1}, Block: t.Block(),
		Shared: 4 * t.Height * t.Width * t.Vector,
		Args:   cuda.Args(t.View(x), t.View(y), images.Argument(), to, x.Cols),
	}}
	if images.Parts > 1 {
		calls = append(calls, reduce.Join(l.Out.Address, l.Scratch, images.Images, images.Parts, x.Cols))
	}
	return calls
}

// CUDAScratch is none.
func (sum) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch.
func (o sum) CUDA(l cuda.Launch) []cuda.Call {
	return cuda.Elements(module, "magnitude_sum", rowsPerThread, []cuda.Operand{l.Out, l.In[0], l.In[1]}, o.p, o.q, o.limit)
}

// CUDAScratch is none.
func (sumGrad) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch.
func (o sumGrad) CUDA(l cuda.Launch) []cuda.Call {
	return cuda.Elements(module, "magnitude_sum_grad", rowsPerThread, []cuda.Operand{l.Out, l.In[0], l.In[1]}, o.factor, o.limit)
}

// CUDAScratch of either direction: none.
func (pixels) CUDAScratch(cuda.Launch) int { return 0 }

func (o pixels) launch(function string, operands ...cuda.Operand) []cuda.Call {
	y := operands[0]
	suffix := "_f32"
	if y.Type == number.BFloat16 {
		suffix = "_bf16"
	}
	var args []any
	for _, x := range operands {
		args = append(args, x.View())
	}
	return []cuda.Call{{
		Module: module, Function: function + suffix, Grid: [3]int{(y.Rows*o.groups + warps - 1) / warps, 1, 1}, Block: [3]int{32, warps, 1},
		Args: cuda.Args(append(args, y.Rows, y.Cols, o.groups)...),
	}}
}

// CUDA returns the launch.
func (o pixel) CUDA(l cuda.Launch) []cuda.Call {
	return o.launch("magnitude_pixel", l.Out, l.In[0])
}

// CUDA returns the launch.
func (o pixelGrad) CUDA(l cuda.Launch) []cuda.Call {
	return o.launch("magnitude_pixel_grad", l.Out, l.In[0], l.In[1])
}

// CUDAScratch of either direction: none.
func (columns) CUDAScratch(cuda.Launch) int { return 0 }

func overColumns(function string, cols int, args ...any) cuda.Call {
	return cuda.Call{Module: module, Function: function, Grid: [3]int{(cols + 31) / 32, 1, 1}, Block: [3]int{32, weightRows, 1}, Args: cuda.Args(args...)}
}

// CUDA returns the launch.
func (o weight) CUDA(l cuda.Launch) []cuda.Call {
	w, y := l.In[0], l.Out
	return []cuda.Call{overColumns("magnitude_weight", y.Cols, y.View(), w.View(), y.Rows, y.Cols, o.counted, o.factor, cuda.Address(0))}
}

// CUDA returns the launch.
func (o weightGrad) CUDA(l cuda.Launch) []cuda.Call {
	w, dy, to := l.In[0], l.In[1], l.Out
	return []cuda.Call{overColumns("magnitude_weight_grad", to.Cols, to.View(), w.View(), dy.View(), to.Rows, to.Cols, o.counted, o.factor)}
}

// CUDAScratch is none.
func (fill) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch.
func (o fill) CUDA(l cuda.Launch) []cuda.Call {
	return cuda.Elements(module, "magnitude_fill", rowsPerThread, []cuda.Operand{l.Out}, o.value)
}
