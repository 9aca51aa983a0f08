package sgd

import (
	_ "embed"

	"fluxion/kernels/cuda"
	"fluxion/kernels/optim"
	"fluxion/kernels/row"
)

//go:embed sgd.ptx
var ptx string

var module = cuda.Register("sgd", ptx)

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
		GradScale: h.Clip.Scale, ClipNorm: h.Clip.Norm, Rate: float32(h.LearningRate), Momentum: float32(h.Momentum),
		Decay: float32(h.WeightDecay), EMADecay: float32(h.EMADecay), Nesterov: row.If(h.Nesterov),
	})
}

// CUDAScratch is none.
func (update) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch.
func (u update) CUDA(l cuda.Launch) []cuda.Call {
	return optim.Launch(u, module, "sgd_update", l, normInput, copyInput)
}
