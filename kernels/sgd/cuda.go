package sgd

import (
	_ "embed"
	"fmt"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
	"fluxion/kernels/row"
)

//go:embed sgd.ptx
var ptx string

var module = cuda.Register("sgd", ptx)

const threads = 256

// Row is the hyperparameters as the kernel takes them: struct Row of sgd.cu.
type Row struct {
	GradScale, ClipNorm             float64
	Rate, Momentum, Decay, EMADecay float32
	Nesterov                        row.Flag
	_                               uint32
}

// ParameterBytes is the size of a step's row, a Row.
func (update) ParameterBytes() int { return row.Bytes[Row](1) }

// PutParameters writes the row of a step.
func (u update) PutParameters(to []byte) {
	h := u.hyper
	row.Put(to, Row{
		GradScale: h.GradScale, ClipNorm: h.ClipNorm, Rate: float32(h.LearningRate), Momentum: float32(h.Momentum),
		Decay: float32(h.WeightDecay), EMADecay: float32(h.EMADecay), Nesterov: row.If(h.Nesterov),
	})
}

// CUDAScratch is none.
func (update) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch. Buffers are 16-byte aligned; an input behind the norm
// is the bf16 copy of the parameters, which is brought up to date.
func (u update) CUDA(l cuda.Launch) []cuda.Call {
	n := l.Out.Shape.TotalSize()
	var copied cuda.Operand
	if len(l.In) > copyInput {
		copied = l.In[copyInput]
		if copied.Type != number.BFloat16 {
			panic(fmt.Errorf("%v: a copy of the parameters in %v, want bf16", u, copied.Type))
		}
	}
	for i, o := range []cuda.Operand{l.Out, l.In[0], l.In[1], l.In[2], copied} {
		if o.Address%16 != 0 || o.Address == 0 && i < 4 || o.Address != 0 && o.Shape.TotalSize() != n {
			panic(fmt.Errorf("%v: buffer %d of %v at %#x, want %d elements, 16-byte aligned", u, i, o.Shape, uint64(o.Address), n))
		}
	}
	return []cuda.Call{{
		Module: module, Function: "sgd_update", Grid: [3]int{(n + 4*threads - 1) / (4 * threads), 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(l.Out.Address, l.In[0].Address, l.In[1].Address, l.In[2].Address, copied.Address, l.In[3].Address, int64(n), l.Parameters),
	}}
}
