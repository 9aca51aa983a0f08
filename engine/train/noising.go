package train

import (
	"fluxion/engine/plan"
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/draw"

	"gorgonia.org/tensor"
)

// drawStage puts the noising of a batch into a plan. Its inputs are the target,
// the network times, and the data set if it lies on the device.
type drawStage struct {
	kernels.Signature
	pair  draw.Pair
	batch *draw.Batch
}

func (d drawStage) String() string { return d.pair.String() }

func (d drawStage) Cost([]tensor.Shape, tensor.Shape) kernels.Cost { return d.pair.Cost() }

func (d drawStage) CPU(l kernels.Launch) func(*cpu.Pool) {
	var set []byte
	if len(l.In) > 2 {
		set = l.In[2].Bytes[:l.In[2].Cols]
	}
	return d.pair.CPU(d.batch, set, l.Out.Matrix, l.In[0].Matrix, l.In[1].Data[:l.In[1].Shape[0]])
}

func (drawStage) CUDAScratch(cuda.Launch) int { return 0 }

func (d drawStage) CUDA(l cuda.Launch) []cuda.Call {
	var set cuda.Address
	if len(l.In) > 2 {
		set = l.In[2].Address
	}
	return d.pair.CUDA(d.batch, set, l)
}

func (d drawStage) ParameterBytes() int { return d.pair.ParameterBytes(d.batch) }

func (d drawStage) PutParameters(row []byte) { d.pair.PutParameters(d.batch, row) }

// noising is the stage that begins a micro-batch.
func (s *Step) noising(shape draw.Shape) plan.Stage {
	if s.Resident > 0 {
		s.batch.Sources = make([]int64, s.Batch)
	}
	if s.Resident > 0 && s.Flip {
		s.batch.Flips = make([]bool, s.Batch)
	}
	stage := plan.Stage{
		Kernel: drawStage{pair: draw.Pair{Shape: shape, Width: s.Width}, batch: s.batch},
		In:     []plan.Ref{{Node: s.target}, {Node: s.Graph.Time}}, Out: plan.Ref{Node: s.Graph.Sample},
	}
	if s.Resident > 0 {
		stage.In = append(stage.In, plan.Ref{Buffer: s.Buffers.Images})
	}
	return stage
}
