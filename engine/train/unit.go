package train

import (
	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/magnitude"
	"fluxion/nets"
)

// unitWeights are the weights that a network wants of unit size in each step (nets.Param.Unit).
func unitWeights(weights []nets.Param) (all []magnitude.Matrix) {
	for _, p := range weights {
		if p.Unit > 0 {
			columns := p.Shape[len(p.Shape)-1]
			all = append(all, magnitude.Matrix{Offset: p.Offset, Rows: p.Size() / columns, Columns: columns, Counted: p.Unit})
		}
	}
	return all
}

// compileUnit makes the plan that brings them to it. It is one of its own, as it needs whole
// tensors, of which processes that train together change parts. Averages are of weights before
// it, as EDM2's are: the network divides them in its graph. So are copies in bfloat16, of which
// the network reads none of these.
func (s *Step) compileUnit(flat plan.Options) error {
	matrices := unitWeights(s.Trained.Params)
	if matrices == nil {
		return nil
	}
	flat.Inputs, flat.After = nil, []plan.Stage{{Kernel: magnitude.Forced(matrices), Out: plan.Ref{Buffer: s.Buffers.Parameters}}}
	var err error
	s.unit, err = plan.Compile(flat)
	return err
}

// forceUnit runs it where all weights are here: on those that a run begins with, as EDM2 does before
// each step, and behind a step. Those that come from other processes are brought to it as they come.
func (t *Trainer) forceUnit() error {
	if t.unit == nil {
		return nil
	}
	return device.Run(t.unit)
}
